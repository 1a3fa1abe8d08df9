"""Sorting in the graph API."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

X = np.array([[3.0, 1, 4, 1, 5], [9, 2, 6, 5, 3]], np.float32)


def test_the_largest(any_session: Any) -> None:
    found = tf.nn.top_k(tf.constant(X), k=2)
    assert found.values.shape.as_list() == [2, 2]
    values, indices = any_session.run(found)
    np.testing.assert_array_equal(values, [[5, 4], [9, 6]])
    np.testing.assert_array_equal(indices, [[4, 2], [0, 2]])
    assert indices.dtype == np.int32


def test_gradients_go_where_the_largest_are(session: Any) -> None:
    x = tf.constant(X)
    (found,) = session.run(tf.gradients(tf.math.top_k(x, 2).values, [x]))
    np.testing.assert_array_equal(found, [[0, 0, 1, 0, 1], [1, 0, 1, 0, 0]])


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint64, np.float64])
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("direction", ["ASCENDING", "DESCENDING"])
def test_order(dtype: type, axis: int, direction: str, any_session: Any) -> None:
    x = X.astype(dtype)
    found = any_session.run([
        tf.sort(x, axis, direction), tf.argsort(x, axis, direction, stable=True)
    ])  # fmt: skip
    expected = np.sort(x, axis)
    if direction == "DESCENDING":
        expected = np.flip(expected, axis)
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(np.take_along_axis(x, found[1], axis), expected)


def test_what_does_not_go() -> None:
    with pytest.raises(ValueError, match="last dimension >= k = 6"):
        tf.nn.top_k(tf.constant(X), 6)
    with pytest.raises(ValueError, match="direction"):
        tf.sort(X, direction="UP")
    with pytest.raises(ValueError, match="at least rank 1"):
        tf.nn.top_k(tf.constant(1.0))
