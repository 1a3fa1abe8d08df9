"""Examples that do not fit what is asked of them."""

from __future__ import annotations

from typing import Any

import pytest
from graph.cases_parsing import data

import tensorkiln as tf


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        (tf.VarLenFeature(tf.float32), "Data types don't match"),
        (tf.FixedLenSequenceFeature([3], tf.int64, True), "not a multiple of stride length. Saw 2"),
        (tf.FixedLenFeature([2], tf.int64), "Number of int64 values != expected"),
    ],
)
def test_runs_that_fail(feature: Any, text: str, session: Any) -> None:
    found = tf.parse_example(data(tf), {"b": feature})["b"]
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        session.run(found)


def test_features_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="requires allow_missing"):
        tf.parse_example([b""], {"b": tf.FixedLenSequenceFeature([], tf.int64)})
    with pytest.raises(ValueError, match="Missing type for feature b"):
        tf.parse_example([b""], {"b": tf.VarLenFeature(None)})
    with pytest.raises(ValueError, match="Invalid feature b:3"):
        tf.parse_example([b""], {"b": 3})
