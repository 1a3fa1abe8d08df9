"""Operators whose attributes and inputs changed: the old and the new form mean the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_frontend.models import model, run, run_node, value

from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.onnx.lowerings import TABLE
from tensorkiln.runtime.errors import ModelError, UnsupportedError

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((2, 3, 4)).astype(np.float32)
IMAGE = GENERATOR.standard_normal((1, 3, 4, 6)).astype(np.float32)


def _ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@pytest.mark.parametrize(("opset", "known"), [(11, False), (13, True)])
def test_squeeze_and_unsqueeze(opset: int, known: bool) -> None:
    def both(kind: str, x: np.ndarray, axes: list[int]) -> np.ndarray:
        if known:
            return run_node(kind, [x, _ints(*axes)], opset, known=1)
        return run_node(kind, [x], opset, axes=axes)

    assert both("Unsqueeze", X, [0, 4]).shape == (1, 2, 3, 4, 1)
    assert both("Squeeze", X[:, None], [1]).shape == X.shape
    assert run_node("Squeeze", [X[:, None, :1]], opset).shape == (2, 4)


@pytest.mark.parametrize("opset", [6, 11, 13])
def test_clip(opset: int) -> None:
    limits = [np.array(v, np.float32) for v in (-0.5, 0.5)]
    if opset < 11:
        found = run_node("Clip", [X], opset, min=-0.5, max=0.5)
    else:
        found = run_node("Clip", [X, *limits], opset, known=2)
    np.testing.assert_array_equal(found, np.clip(X, -0.5, 0.5))


def test_clip_with_one_limit() -> None:
    node = helper.make_node("Clip", ["x", "", "high"], ["y"])
    proto = model([node], [value("x", X.shape)], weights={"high": np.array(0.5, np.float32)})
    np.testing.assert_array_equal(run(proto, X)[0], np.minimum(X, 0.5))


@pytest.mark.parametrize("opset", [1, 2, 11])
def test_pad(opset: int) -> None:
    pads = [0, 1, 0, 0, 0, 2]
    if opset == 1:
        found = run_node("Pad", [X], opset, paddings=pads, value=7.0)
    elif opset == 2:
        found = run_node("Pad", [X], opset, pads=pads, value=7.0)
    else:
        found = run_node("Pad", [X, _ints(*pads), np.array(7, np.float32)], opset, known=2)
    expected = np.pad(X, ((0, 0), (1, 0), (0, 2)), constant_values=7)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("opset", [1, 10])
def test_slice(opset: int) -> None:
    if opset == 1:
        found = run_node("Slice", [X], opset, starts=[1, -3], ends=[1000, -1], axes=[0, 2])
    else:
        arrays = [X, _ints(1, -3), _ints(1000, -1), _ints(0, 2)]
        found = run_node("Slice", arrays, opset, known=3)
    np.testing.assert_array_equal(found, X[1:, :, -3:-1])


@pytest.mark.parametrize(
    ("start", "end", "step"),
    [(-1, -1000, -1), (3, 0, -2), (1, 4, 2), (0, 0, 1), (10, 20, 3), (2, 3, -1), (-100, 100, 3)],
)
def test_slice_steps(start: int, end: int, step: int) -> None:
    arrays = [X, _ints(start), _ints(end), _ints(2), _ints(step)]
    found = run_node("Slice", arrays, 13, known=4)
    np.testing.assert_array_equal(found, X[:, :, slice(start, end, step)])


@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize("kind", ["ReduceSum", "ReduceMax"])
def test_reductions(kind: str, opset: int) -> None:
    by_input = opset >= (13 if kind == "ReduceSum" else 18)
    if by_input:
        found = run_node(kind, [X, _ints(-1)], opset, known=1, keepdims=0)
    else:
        found = run_node(kind, [X], opset, axes=[-1], keepdims=0)
    expected = X.sum(-1) if kind == "ReduceSum" else X.max(-1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert run_node(kind, [X], opset).shape == (1, 1, 1)


def test_reduction_without_axes_can_do_nothing() -> None:
    found = run_node("ReduceSum", [X], 13, noop_with_empty_axes=1)
    np.testing.assert_array_equal(found, X)


def _softmax(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    powers = np.exp(x - x.max(axes, keepdims=True))
    return np.asarray(powers / powers.sum(axes, keepdims=True))


def test_softmax_over_all_dims_from_axis_and_over_one() -> None:
    np.testing.assert_allclose(run_node("Softmax", [X], 11), _softmax(X, (1, 2)), rtol=1e-5)
    np.testing.assert_allclose(run_node("Softmax", [X], 13), _softmax(X, (2,)), rtol=1e-5)
    found = run_node("Softmax", [X], 13, axis=1)
    np.testing.assert_allclose(found, _softmax(X, (1,)), rtol=1e-5)


@pytest.mark.parametrize(("opset", "dtype"), [(7, np.float32), (10, np.bool_), (12, np.bool_)])
def test_dropout_at_inference(opset: int, dtype: type) -> None:
    node = helper.make_node("Dropout", ["x"], ["y", "mask"])
    y, mask = run(model([node], [value("x", X.shape)], ["y", "mask"], opset=opset), X)
    np.testing.assert_array_equal(y, X)
    assert mask.dtype == dtype
    assert mask.all()


def test_dropout_in_training_is_refused() -> None:
    arrays = [X, np.array(0.5, np.float32), np.array(True)]
    with pytest.raises(UnsupportedError, match=r"'n' \(Dropout\): it drops at random"):
        run_node("Dropout", arrays, 13, known=2)


@pytest.mark.parametrize("opset", [6, 7, 9, 15])
def test_batch_normalization(opset: int) -> None:
    scale, bias, mean = (GENERATOR.standard_normal(3).astype(np.float32) for _ in range(3))
    variance = GENERATOR.uniform(0.5, 2, 3).astype(np.float32)
    more = {"is_test": 1} if opset == 6 else {}
    arrays = [IMAGE, scale, bias, mean, variance]
    found = run_node("BatchNormalization", arrays, opset, known=4, epsilon=1e-3, **more)
    a, b, m, v = (p[:, None, None] for p in (scale, bias, mean, variance))
    np.testing.assert_allclose(found, (IMAGE - m) / np.sqrt(v + 1e-3) * a + b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["Upsample-7", "Upsample-9", "Resize-10", "Resize-11", "sizes"])
def test_nearest_upsampling(form: str) -> None:
    scales = np.array([1, 1, 2, 3], np.float32)
    none = np.zeros(0, np.float32)
    kind, _, opset = form.partition("-")
    match form:
        case "Upsample-7":
            found = run_node(kind, [IMAGE], 7, scales=scales.tolist(), mode="nearest")
        case "Upsample-9" | "Resize-10":
            found = run_node(kind, [IMAGE, scales], int(opset), known=1)
        case "Resize-11":
            found = run_node(kind, [IMAGE, none, scales], 11, known=2)
        case _:
            found = run_node("Resize", [IMAGE, none, none, _ints(1, 3, 8, 18)], 13, known=3)
    np.testing.assert_array_equal(found, IMAGE.repeat(2, 2).repeat(3, 3))


@pytest.mark.parametrize("opset", [2, 13])
def test_split(opset: int) -> None:
    sizes = [1, 3]
    inputs = ["x", "sizes"] if opset == 13 else ["x"]
    more: dict[str, Any] = {} if opset == 13 else {"split": sizes}
    node = helper.make_node("Split", inputs, ["a", "b"], axis=2, **more)
    weights = {"sizes": _ints(*sizes)} if opset == 13 else {}
    a, b = run(model([node], [value("x", X.shape)], ["a", "b"], weights, opset), X)
    np.testing.assert_array_equal(a, X[..., :1])
    np.testing.assert_array_equal(b, X[..., 1:])


def test_legacy_broadcasting_aligns_at_an_axis() -> None:
    b = GENERATOR.standard_normal(3).astype(np.float32)
    found = run_node("Mul", [X, b], 6, broadcast=1, axis=1)
    np.testing.assert_array_equal(found, X * b[:, None])
    row = GENERATOR.standard_normal(4).astype(np.float32)
    np.testing.assert_array_equal(run_node("Add", [X, row], 6, broadcast=1), X + row)
    np.testing.assert_array_equal(run_node("Less", [X, row], 6, broadcast=1), row > X)
    with pytest.raises(ModelError, match="broadcast is 0"):
        run_node("Add", [X, row], 6)


@pytest.mark.parametrize("opset", [6, 7, 11])
def test_gemm(opset: int) -> None:
    a, b, c = (GENERATOR.standard_normal(s).astype(np.float32) for s in ((4, 2), (3, 4), (3,)))
    more = {"broadcast": 1} if opset == 6 else {}
    found = run_node("Gemm", [a, b, c], opset, transA=1, transB=1, alpha=0.5, beta=2.0, **more)
    np.testing.assert_allclose(found, 0.5 * a.T @ b.T + 2 * c, rtol=1e-5)


def test_attributes_that_became_inputs() -> None:
    np.testing.assert_array_equal(run_node("Reshape", [X], 1, shape=[0, -1]), X.reshape(2, 12))
    found = run_node("Tile", [X, np.array([2], np.float32), np.array([1], np.float32)], 5, known=2)
    np.testing.assert_array_equal(found, np.tile(X, (1, 2, 1)))
    found = run_node("Tile", [X, _ints(2, 1, 3)], 6, known=1)
    np.testing.assert_array_equal(found, np.tile(X, (2, 1, 3)))
    assert run_node("Cast", [X], 1, to="INT32").dtype == np.int32
    assert run_node("Cast", [X], 13, to=TensorProto.DOUBLE).dtype == np.float64
    slope = np.array([0.1, 0.2, 0.3], np.float32)
    expected = np.where(IMAGE < 0, slope[:, None, None] * IMAGE, IMAGE)
    np.testing.assert_array_equal(run_node("PRelu", [IMAGE, slope], 6), expected)


def test_the_newest_lowering_that_is_not_too_new_is_taken() -> None:
    assert TABLE.find("", "Clip", 10) is not TABLE.find("", "Clip", 11)
    assert TABLE.find("", "Clip", 11) is TABLE.find("", "Clip", 28)
    assert TABLE.find("", "Mish", 17) is None
    assert TABLE.find("mine", "Clip", 11) is None


def test_an_operator_newer_than_the_opset_is_listed() -> None:
    proto = model([helper.make_node("Mish", ["x"], ["y"])], [value("x", X.shape)], opset=17)
    with pytest.raises(UnsupportedError, match="Mish"):
        import_model(proto)
