"""Microkernels as ONNX models of one or a few nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

OPSET = 17


def matmul(size: int) -> ModelProto:
    """Two square matrices, both of them inputs."""
    node = helper.make_node("MatMul", ["a", "b"], ["y"])
    return _model([node], {"a": (size, size), "b": (size, size)}, (size, size))


def linear(size: int) -> ModelProto:
    """A square matrix by a square matrix of weights."""
    weights = {"w": _normal((size, size), 1 / np.sqrt(size))}
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return _model([node], {"x": (size, size)}, (size, size), weights)


def softmax(rows: int, columns: int) -> ModelProto:
    """Softmax of each row."""
    node = helper.make_node("Softmax", ["x"], ["y"], axis=-1)
    return _model([node], {"x": (rows, columns)}, (rows, columns))


def layer_norm(rows: int, columns: int) -> ModelProto:
    """Layer normalisation of each row, with scale and bias."""
    weights = {"scale": _normal((columns,), 1.0), "bias": _normal((columns,), 1.0)}
    node = helper.make_node("LayerNormalization", ["x", "scale", "bias"], ["y"], axis=-1)
    return _model([node], {"x": (rows, columns)}, (rows, columns), weights)


def elementwise_chain(count: int) -> ModelProto:
    """Ten elementwise ops one after the other."""
    scalars = {"c": 1.25, "d": -0.5, "e": 0.75, "f": 2.0}
    weights = {name: np.array(value, np.float32) for name, value in scalars.items()}
    steps = [
        ("Mul", "c"), ("Add", "d"), ("Relu", ""), ("Sub", "e"), ("Abs", ""),
        ("Mul", "x"), ("Min", "f"), ("Neg", ""), ("Max", "d"), ("Add", "x"),
    ]  # fmt: skip
    nodes: list[NodeProto] = []
    value = "x"
    for number, (kind, other) in enumerate(steps):
        result = "y" if number == len(steps) - 1 else f"t{number}"
        nodes.append(helper.make_node(kind, [value, other] if other else [value], [result]))
        value = result
    return _model(nodes, {"x": (count,)}, (count,), weights)


def convolution(channels: int, size: int, groups: int = 1) -> ModelProto:
    """A 3x3 convolution of stride 1 that keeps size and channels."""
    shape = (channels, channels // groups, 3, 3)
    weights = {"w": _normal(shape, 1 / np.sqrt(9 * channels / groups))}
    node = helper.make_node(
        "Conv", ["x", "w"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=groups
    )
    image = (1, channels, size, size)
    return _model([node], {"x": image}, image, weights)


def column_sums(rows: int, columns: int) -> ModelProto:
    """The sum of each column."""
    weights = {"axes": np.array([0], np.int64)}
    node = helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)
    return _model([node], {"x": (rows, columns)}, (columns,), weights)


def many_ops(count: int) -> ModelProto:
    """About `count` nodes that no compiler can make one of: small layers (product, sum, tanh, and
    every eighth a softmax), each with weights of its own and sizes that come again."""
    sizes = (16, 24, 32)
    weights: dict[str, np.ndarray] = {}
    nodes: list[NodeProto] = []
    value, size, layer = "x", sizes[0], 0
    while len(nodes) < count:
        layer += 1
        wider = sizes[layer % len(sizes)]
        weights[f"w{layer}"] = _normal((size, wider), 1 / np.sqrt(size))
        weights[f"b{layer}"] = _normal((wider,), 0.1)
        steps = [("MatMul", f"w{layer}"), ("Add", f"b{layer}"), ("Tanh", "")]
        steps += [("Softmax", "")] if layer % 8 == 0 else []
        for kind, other in steps:
            result = f"t{len(nodes)}"
            nodes.append(helper.make_node(kind, [value, other] if other else [value], [result]))
            value = result
        size = wider
    nodes[-1].output[0] = "y"
    return _model(nodes, {"x": (4, sizes[0])}, (4, size), weights)


def trivial() -> ModelProto:
    """One addition of four numbers: what a call costs."""
    weights = {"one": np.ones(4, np.float32)}
    return _model([helper.make_node("Add", ["x", "one"], ["y"])], {"x": (4,)}, (4,), weights)


def _normal(shape: Sequence[int], scale: float) -> np.ndarray:
    drawn = np.random.default_rng(0).standard_normal(tuple(shape), np.float32)
    drawn *= np.float32(scale)
    return drawn


def _model(
    nodes: list[NodeProto], inputs: dict[str, Sequence[int]], result: Sequence[int],
    weights: dict[str, np.ndarray] | None = None,
) -> ModelProto:  # fmt: skip
    given = [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in inputs.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, result)
    constants = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "micro", given, [output], constants)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="benchmarks")
