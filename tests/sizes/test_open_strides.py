"""Images whose sizes are no multiples of the strides: rounded quotients of sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from sizes.open_functions import used_part

import tensorkiln
from tensorkiln.compiler.bounds import CheckedCode
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dims import (
    Symbol,
    add_dims,
    divide_dim,
    scale_dim,
    substitute,
    symbol_dim,
)
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.sizes.bound import bound
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.errors import UnsupportedError

node = helper.make_node
Nodes = list[object]
KERNELS = {
    "first": (8, 3, 7, 7), "second": (8, 8, 3, 3), "third": (16, 8, 3, 3), "short": (16, 8, 1, 1),
    "dense": (16, 5), "wide": (8, 3, 3, 3), "five": (8, 8, 5, 5),
}  # fmt: skip


def _model(nodes: Nodes, outputs: str) -> ModelProto:
    drawn = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array((drawn.standard_normal(s) * 0.2).astype(np.float32), name)
        for name, s in KERNELS.items()
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, "height", "width"])
    made = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs.split()]
    graph = helper.make_graph(nodes, "strides", [x], made, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def residual() -> ModelProto:
    """Halved three times, by a shortcut as well, and folded to classes."""
    same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    halved = {"strides": [2, 2]}
    nodes: Nodes = [
        node("Conv", ["x", "first"], ["c1"], kernel_shape=[7, 7], pads=[3, 3, 3, 3], **halved),
        node("Relu", ["c1"], ["r1"]),
        node("MaxPool", ["r1"], ["p1"], **same, **halved),
        node("Conv", ["p1", "second"], ["c2"], **same),
        node("Add", ["c2", "p1"], ["a2"]),
        node("Conv", ["a2", "third"], ["c3"], **same, **halved),
        node("Conv", ["a2", "short"], ["s3"], kernel_shape=[1, 1], **halved),
        node("Add", ["c3", "s3"], ["a3"]),
        node("Relu", ["a3"], ["r3"]),
        node("GlobalAveragePool", ["r3"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("MatMul", ["f", "dense"], ["classes"]),
    ]
    return _model(nodes, "classes")


def narrow() -> ModelProto:
    """Without padding, by strides of 2 and 3; what is left is a result."""
    nodes: Nodes = [
        node("Conv", ["x", "wide"], ["c1"], kernel_shape=[3, 3], strides=[2, 2]),
        node("Relu", ["c1"], ["r1"]),
        node("AveragePool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[3, 2]),
        node("ReduceMax", ["p1"], ["m"], axes=[2, 3], keepdims=1),
        node("Sub", ["p1", "m"], ["y"]),
    ]
    return _model(nodes, "y")


def same() -> ModelProto:
    """Padding that depends on the size, more of it behind or in front; windows over an end."""
    upper, lower = {"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}
    nodes: Nodes = [
        node("Conv", ["x", "wide"], ["c1"], kernel_shape=[3, 3], strides=[2, 2], **upper),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "five"], ["c2"], kernel_shape=[5, 5], strides=[2, 2], **lower),
        node("MaxPool", ["c2"], ["p2"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        node("MaxPool", ["c1"], ["p1"], kernel_shape=[3, 3], strides=[3, 3], **upper),
        node("ReduceMean", ["p1"], ["m"], axes=[2, 3], keepdims=1),
        node("Add", ["p2", "m"], ["y"]),
    ]
    return _model(nodes, "y p1")


def averaged() -> ModelProto:
    """Averages of what windows have of an image: padding, rounding up and "SAME" leave some out."""
    three = {"kernel_shape": [3, 3]}
    nodes: Nodes = [
        node("AveragePool", ["x"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1], **three),
        node("AveragePool", ["x"], ["c"], strides=[2, 2], ceil_mode=1, **three),
        node("AveragePool", ["x"], ["s"], strides=[3, 2], auto_pad="SAME_UPPER", **three),
        node("AveragePool", ["x"], ["l"], strides=[2, 1], auto_pad="SAME_LOWER", **three),
        node("AveragePool", ["a"], ["y"], strides=[1, 1], pads=[1, 0, 1, 1], **three),
        node("AveragePool", ["x"], ["p"], pads=[1, 1, 1, 1], count_include_pad=1, **three),
    ]
    return _model(nodes, "y c s l p")


NETS: Mapping[str, Callable[[], ModelProto]] = {
    "residual": residual,
    "narrow": narrow,
    "same": same,
    "averaged": averaged,
}
HEIGHTS = (11, 12, 13, 14, 16, 17, 23, 28, 29)


def _image(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape[-2]).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("name", NETS)
def test_compiled_for_all_heights(name: str) -> None:
    model = NETS[name]()
    executable = tensorkiln.compile(
        model, dims={"batch": 2, "height": (11, 29), "width": 19}, cache=False
    )
    for height in HEIGHTS:
        x = _image(2, 3, height, 19)
        wanted = evaluate(
            import_model(model, dims={"batch": 2, "height": height, "width": 19}), [x]
        )
        for got, expected in zip(executable(x), wanted, strict=True):
            assert got.shape == expected.shape
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-5, err_msg=str(height))


@pytest.mark.parametrize("name", NETS)
def test_at_capacity(name: str) -> None:
    """What is not in use is none at all in the interpreter: nothing of it comes through."""
    model = NETS[name]()
    tops = {"h": 37, "w": 26}

    def make(point: Mapping[str, int]) -> Function:
        return import_model(model, dims={"batch": 1, "height": point["h"], "width": point["w"]})

    whole = bound(make, [Symbol("h", 11, 37), Symbol("w", 11, 26)], tops)
    for h, w in (*((h, 17) for h in range(11, 24)), (11, 11), (36, 25), (37, 26)):
        x = _image(1, 3, h, w)
        full = np.full((1, 3, 37, 26), np.nan, np.float32)
        full[:, :, :h, :w] = x
        sizes = {"h": h, "w": w}
        with np.errstate(all="ignore"):
            results = evaluate(whole.function, [full, *(np.array(n, np.int32) for n in (h, w))])
        wanted = evaluate(make(sizes), [x])
        for got, dims, expected in zip(results, whole.outputs, wanted, strict=True):
            used = used_part(got, dims, sizes)
            np.testing.assert_allclose(used, expected, rtol=1e-4, atol=2e-5, err_msg=str(sizes))


def test_quotients_of_quotients_are_one() -> None:
    """Dims that are equal at all sizes are equal values."""
    size = symbol_dim(Symbol("h", 3, 64))
    half = divide_dim(add_dims(size, 1), 2)
    assert half is not None
    quarter = divide_dim(add_dims(half, 1), 2)
    assert quarter == divide_dim(add_dims(size, 3), 4)
    for h in range(3, 65):
        assert substitute(quarter or 0, {"h": h}) == ((h + 1) // 2 + 1) // 2
    assert divide_dim(scale_dim(size, 6), 3) == scale_dim(size, 2)
    assert divide_dim(add_dims(size, -4), 2) is None  # it may be negative


def test_results_of_rounded_sizes_in_words() -> None:
    model = narrow()
    executable = tensorkiln.compile(
        model, dims={"batch": 1, "height": (11, 14), "width": 12}, cache=False
    )
    (result,) = executable.outputs
    assert str(result) == "f32[1,8,(height+1)/6,2]"
    assert result.shape.at({"height": 14}) == executable(_image(1, 3, 14, 12))[0].shape


@pytest.mark.parametrize("name", NETS)
def test_every_access_is_inside(name: str) -> None:
    model = NETS[name]()

    def make(point: Mapping[str, int]) -> Function:
        return import_model(model, dims={"batch": 1, "height": point["h"], "width": 11})

    whole = bound(make, [Symbol("h", 11, 19)], {"h": 19})
    code = CheckedCode(whole.function, target_named("host"), 1, whole)
    for height in (11, 12, 14, 17, 19):
        x = _image(1, 3, height, 11)
        results = code.run([np.resize(x, (1, 3, 19, 11)), np.array(height, np.int32)])
        for got, wanted in zip(results, evaluate(make({"h": height}), [x]), strict=True):
            used = got.ravel()[: wanted.size].reshape(wanted.shape)
            np.testing.assert_allclose(used, wanted, rtol=1e-4, atol=2e-5, err_msg=str(height))


def test_averages_of_a_padded_table_are_refused() -> None:
    """With padding counted, the cells that rounding up adds are a table of one size."""
    nodes: Nodes = [
        node(
            "AveragePool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1],
            count_include_pad=1, ceil_mode=1,
        )
    ]  # fmt: skip
    with pytest.raises(UnsupportedError, match="range of height"):
        tensorkiln.compile(
            _model(nodes, "y"), dims={"batch": 1, "height": (11, 19), "width": 11}, cache=False
        )
