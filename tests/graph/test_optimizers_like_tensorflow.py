"""Optimizers step as TensorFlow's do, with slots of the same names and values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graph import cases_optimizers, like_tensorflow
from graph.conftest import new_session

import tensorkiln as tf

RECORDED = like_tensorflow.load("optimizers")


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "rows"])
@pytest.mark.parametrize("name", cases_optimizers.OPTIMIZERS)
def test_steps(name: str, sparse: bool, session: Any) -> None:
    check(name, sparse, session)


@pytest.mark.parametrize("name", ["nesterov", "adam", "ftrl l1 l2"])
def test_compiled_steps(name: str) -> None:
    with new_session(interpreted=False) as session:
        check(name, True, session)


def check(name: str, sparse: bool, session: Any) -> None:
    found = cases_optimizers.trajectory(tf, name, sparse, session)
    for key, value in found.items():
        expected = RECORDED[f"{name}|{sparse}|{key}"]
        if key == "names":
            assert list(value) == list(expected)
        else:
            np.testing.assert_allclose(value, expected, rtol=2e-5, atol=1e-6, err_msg=key)
