"""TopK in all of its versions, and Det."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper
from onnx_frontend.models import model, run, run_node, value

from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.errors import ModelError

X = np.array([[3.0, 1.0, 4.0, 1.0, 5.0], [9.0, 2.0, 6.0, 5.0, 3.0]], np.float32)


def _top(opset: int, k: int, **attributes: int) -> list[np.ndarray]:
    names, weights = ["x"], {}
    if opset < 10:
        attributes["k"] = k
    else:
        names, weights = ["x", "k"], {"k": np.array([k])}
    node = helper.make_node("TopK", names, ["y", "i"], "n", **attributes)
    return run(model([node], [value("x", X.shape)], ("y", "i"), weights, opset), X)


@pytest.mark.parametrize("opset", [9, 10, 11, 24])
def test_the_greatest_come_first(opset: int) -> None:
    values, indices = _top(opset, 3)
    np.testing.assert_array_equal(values, [[5, 4, 3], [9, 6, 5]])
    np.testing.assert_array_equal(indices, [[4, 2, 0], [0, 2, 3]])
    assert indices.dtype == np.int64


def test_the_least_of_another_axis() -> None:
    values, indices = _top(11, 1, axis=0, largest=0)
    np.testing.assert_array_equal(values, X.min(0, keepdims=True))
    np.testing.assert_array_equal(indices, X.argmin(0, keepdims=True))


def test_equal_elements_keep_their_order() -> None:
    _, indices = _top(11, 5, largest=0)
    np.testing.assert_array_equal(indices[0], [1, 3, 0, 2, 4])


def test_too_many_are_refused() -> None:
    node = helper.make_node("TopK", ["x", "k"], ["y", "i"], "n")
    proto = model([node], [value("x", [3])], ("y", "i"), {"k": np.array([4])}, 11)
    with pytest.raises(ModelError, match="k is 4"):
        import_model(proto)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_determinants(dtype: type) -> None:
    a = np.array([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 2.0], [2.0, 0.0]]], dtype)
    np.testing.assert_allclose(run_node("Det", [a], 22), [-2, -4], rtol=1e-3)
