"""Quantized networks stay in integers and agree with others to a step of the last quantization."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tensorkiln.benchmarks.models import qdq_resnet50
from tensorkiln.compiler.evaluate.evaluate import evaluate
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.pipeline import jit, optimize_function
from tensorkiln.frontends.onnx import import_model

STEP = 9 / 255  # of the logits


def small() -> ModelProto:
    return qdq_resnet50(2, size=33, width=8, blocks=(1, 2), classes=10)


def images() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((2, 3, 33, 33)).astype(np.float32)


def inner_names(function: Function) -> Counter[str]:
    ops = optimize_function(function).ops
    return Counter(op.name for outer in ops for region in outer.regions for op in region.ops)


def assert_within_a_step(found: np.ndarray, expected: np.ndarray, step: float) -> None:
    assert np.abs(found - expected).max() <= step * 1.001
    assert expected.std() > 2 * step, "the answers say nothing"


def test_a_quantized_resnet_is_all_integers_and_agrees_with_the_interpreter() -> None:
    function = import_model(small())
    names = inner_names(function)
    assert names["integer_convolution"] == 1 + 3 * 3 + 2
    assert names["integer_dot"] == 1
    assert names["convolution"] == names["dot_general"] == 0
    found = jit(function, threads=2)(images())[0]
    assert_within_a_step(found, np.asarray(evaluate(function, [images()])[0]), STEP)


def test_a_quantized_resnet_agrees_with_onnxruntime() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model = small()
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (expected,) = session.run(None, {"input": images()})
    assert_within_a_step(jit(import_model(model))(images())[0], expected, STEP)


def _layer(kind: str) -> tuple[ModelProto, np.ndarray, np.ndarray]:
    """A layer of one of the other quantized operators, an input, and the exact result."""
    generator = np.random.default_rng(5)
    x = generator.integers(0, 256, (2, 6, 5, 7)).astype(np.uint8)
    weight = generator.integers(-128, 128, (11, 6, 3, 3)).astype(np.int8)
    padded = np.pad(x.astype(np.int64) - 77, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    total = np.einsum("nchwij,ocij->nohw", windows, weight.astype(np.int64))
    constants = {"w": weight, "zx": np.uint8(77), "zw": np.int8(0)}
    attributes = {"pads": [1, 1, 1, 1]}
    if kind == "ConvInteger":
        node = helper.make_node(kind, ["x", "w", "zx", "zw"], ["y"], **attributes)
        expected, dtype = total.astype(np.int32), TensorProto.INT32
    else:
        constants |= {"sx": np.float32(0.5), "sw": np.float32(0.25), "sy": np.float32(256)}
        constants |= {"zy": np.uint8(99)}
        inputs = ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy"]
        node = helper.make_node(kind, inputs, ["y"], **attributes)
        real = np.rint(total * (0.5 * 0.25 / 256)) + 99  # powers of two: exact
        expected, dtype = real.clip(0, 255).astype(np.uint8), TensorProto.UINT8
    graph = helper.make_graph(
        [node], "layer",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, x.shape)],
        [helper.make_tensor_value_info("y", dtype, expected.shape)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model, x, expected


@pytest.mark.parametrize("kind", ["ConvInteger", "QLinearConv"])
def test_other_quantized_convolutions_are_exact(kind: str) -> None:
    model, x, expected = _layer(kind)
    function = import_model(model)
    assert inner_names(function)["integer_convolution"] == 1
    np.testing.assert_array_equal(jit(function)(x)[0], expected)


def test_a_dynamically_quantized_product_is_exact() -> None:
    generator = np.random.default_rng(6)
    weight = generator.integers(-128, 128, (13, 9)).astype(np.int8)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["q", "w", "zero"], ["y"]),
    ]
    shape = (2, 3, 13)
    graph = helper.make_graph(
        nodes, "dynamic",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.INT32, (2, 3, 9))],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    function = import_model(model)
    assert inner_names(function)["integer_dot"] == 1
    x = generator.standard_normal(shape).astype(np.float32)
    np.testing.assert_array_equal(jit(function)(x)[0], evaluate(function, [x])[0])
