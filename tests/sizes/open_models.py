"""Small ONNX models with open dims, and the ranges that tests compile them for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

node = helper.make_node


@dataclass(frozen=True)
class Case:
    """A model, the range of each of its open dims, and sizes to try."""

    model: ModelProto
    ranges: Mapping[str, tuple[int, int]]
    points: tuple[dict[str, int], ...]


def _tensor(name: str, shape: list[object] | None) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


class _Weights:
    def __init__(self) -> None:
        self.random = np.random.default_rng(7)
        self.made: list[TensorProto] = []

    def __call__(self, name: str, *shape: int) -> None:
        values = (self.random.standard_normal(shape) * 0.3).astype(np.float32)
        self.made.append(numpy_helper.from_array(values, name))

    def integers(self, name: str, values: object) -> None:
        self.made.append(numpy_helper.from_array(np.array(values, np.int64), name))


def _model(
    nodes: list[object], inputs: list[ValueInfoProto], outputs: str, weights: _Weights
) -> ModelProto:
    results = [_tensor(name, None) for name in outputs.split()]
    graph = helper.make_graph(nodes, "open", inputs, results, weights.made)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def mlp() -> Case:
    """Rows of a matrix multiply, bias, activation, softmax along a closed dim."""
    weights = _Weights()
    weights("w1", 20, 33), weights("b1", 33), weights("w2", 33, 10), weights("b2", 10)
    nodes = [
        node("Gemm", ["x", "w1", "b1"], ["a"]),
        node("Relu", ["a"], ["r"]),
        node("Gemm", ["r", "w2", "b2"], ["z"]),
        node("Softmax", ["z"], ["y"]),
    ]
    model = _model(nodes, [_tensor("x", ["batch", 20])], "y", weights)
    points = tuple({"batch": n} for n in (1, 2, 3, 4, 7, 8, 9, 13, 16, 17, 31, 32, 63, 64))
    return Case(model, {"batch": (1, 64)}, points)


def cnn() -> Case:
    """Convolution, pooling and a global mean over images."""
    weights = _Weights()
    weights("k", 16, 3, 3, 3), weights("w", 16, 5)
    nodes = [
        node("Conv", ["x", "k"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", ["p"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "w"], ["y"]),
    ]
    model = _model(nodes, [_tensor("x", ["batch", 3, 8, 8])], "y", weights)
    return Case(model, {"batch": (1, 7)}, tuple({"batch": n} for n in (1, 2, 3, 4, 5, 7)))


def mean() -> Case:
    """A mean over everything, which depends on both sizes."""
    nodes = [
        node("ReduceMean", ["x"], ["m"], axes=[0, 1], keepdims=1),
        node("Sub", ["x", "m"], ["y"]),
    ]
    model = _model(nodes, [_tensor("x", ["batch", "seq"])], "y", _Weights())
    points = ({"batch": 1, "seq": 1}, {"batch": 2, "seq": 29}, {"batch": 9, "seq": 30})
    return Case(model, {"batch": (1, 9), "seq": (1, 30)}, points)


def attention() -> Case:
    """Self-attention as exporters write it: shapes computed at run time, masks by softmax."""
    width, heads = 32, 4
    weights = _Weights()
    for letter in "qkvo":
        weights(f"w{letter}", width, width)
    for letter in "qkv":
        weights(f"b{letter}", width)
    for name, values in {
        "i0": 0, "i1": 1, "ax0": [0], "split": [heads, width // heads], "joined": [width], "last": -1,
    }.items():  # fmt: skip
        weights.integers(name, values)
    weights("scale")
    nodes = [
        node("Shape", ["x"], ["sh"]),
        node("Gather", ["sh", "i0"], ["b"]),
        node("Gather", ["sh", "i1"], ["s"]),
        node("Unsqueeze", ["b", "ax0"], ["b1"]),
        node("Unsqueeze", ["s", "ax0"], ["s1"]),
        node("Concat", ["b1", "s1", "split"], ["cut"], axis=0),
        node("Concat", ["b1", "s1", "joined"], ["whole"], axis=0),
    ]
    for letter in "qkv":
        order = [0, 2, 3, 1] if letter == "k" else [0, 2, 1, 3]
        nodes += [
            node("MatMul", ["x", f"w{letter}"], [f"p{letter}"]),
            node("Add", [f"p{letter}", f"b{letter}"], [f"a{letter}"]),
            node("Reshape", [f"a{letter}", "cut"], [f"r{letter}"]),
            node("Transpose", [f"r{letter}"], [f"t{letter}"], perm=order),
        ]
    nodes += [
        node("MatMul", ["tq", "tk"], ["scores"]),
        node("Mul", ["scores", "scale"], ["scaled"]),
        node("Softmax", ["scaled"], ["weights"], axis=-1),
        node("MatMul", ["weights", "tv"], ["o"]),
        node("Transpose", ["o"], ["ot"], perm=[0, 2, 1, 3]),
        node("Reshape", ["ot", "whole"], ["of"]),
        node("MatMul", ["of", "wo"], ["projected"]),
        node("Add", ["projected", "x"], ["y"]),
        node("ReduceMean", ["y"], ["pooled"], axes=[1], keepdims=0),
        node("Gather", ["y", "last"], ["token"], axis=1),
    ]
    model = _model(nodes, [_tensor("x", ["batch", "seq", width])], "y pooled token", weights)
    points = (
        {"batch": 1, "seq": 1},
        {"batch": 2, "seq": 3},
        {"batch": 3, "seq": 16},
        {"batch": 3, "seq": 13},
    )
    return Case(model, {"batch": (1, 3), "seq": (1, 16)}, points)


def joined() -> Case:
    """Rows joined behind rows of an open number, as a cache of keys is; a slice off the end."""
    weights = _Weights()
    weights("fill", 2, 6)
    weights.integers("minus", [-3]), weights.integers("end", [1 << 40]), weights.integers("ax", [0])
    nodes = [
        node("Concat", ["past", "new", "fill"], ["all"], axis=0),
        node("Slice", ["all", "minus", "end", "ax"], ["tail"]),
        node("CumSum", ["past", "first"], ["sums"]),
    ]
    weights.integers("first", 0)
    inputs = [_tensor("past", ["length", 6]), _tensor("new", [1, 6])]
    model = _model(nodes, inputs, "all tail sums", weights)
    return Case(model, {"length": (2, 20)}, tuple({"length": n} for n in (2, 3, 5, 8, 19, 20)))


def recurrent() -> Case:
    """An LSTM over an open number of steps and rows."""
    weights = _Weights()
    weights("w", 1, 20, 6)
    weights("r", 1, 20, 5)
    nodes = [node("LSTM", ["x", "w", "r"], ["y", "last"], hidden_size=5)]
    model = _model(nodes, [_tensor("x", ["steps", "rows", 6])], "y", weights)
    points = ({"steps": 2, "rows": 2}, {"steps": 5, "rows": 3}, {"steps": 6, "rows": 2})
    return Case(model, {"steps": (2, 6), "rows": (2, 3)}, points)


def both_ways() -> Case:
    """An LSTM that also runs backward over an open number of steps; rows put into its result."""
    weights = _Weights()
    weights("w", 2, 20, 6), weights("r", 2, 20, 5)
    weights.integers("places", [[1], [0]])
    nodes = [
        node("LSTM", ["x", "w", "r"], ["y", "last"], hidden_size=5, direction="bidirectional"),
        node("ReduceMax", ["y"], ["rows"], axes=[1, 3], keepdims=0),
        node("Gather", ["rows", "twice"], ["moved"], axis=0),
        node("ScatterND", ["rows", "places", "moved"], ["turned"]),
    ]
    weights.integers("twice", [0, 1])
    model = _model(nodes, [_tensor("x", ["steps", "rows", 6])], "y last turned", weights)
    points = ({"steps": 2, "rows": 2}, {"steps": 5, "rows": 3}, {"steps": 6, "rows": 2})
    return Case(model, {"steps": (2, 6), "rows": (2, 3)}, points)


def interpolated() -> Case:
    """Images of open size made twice as large by lines and by cubic pieces, and repeated."""
    weights = _Weights()
    weights.made.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice"))
    weights.integers("times", [1, 2, 1, 3])
    nodes = [
        node("Resize", ["x", "", "twice"], ["lines"], mode="linear"),
        node("Resize", ["x", "", "twice"], ["cubes"], mode="cubic"),
        node("Tile", ["x", "times"], ["tiles"]),
    ]
    model = _model(nodes, [_tensor("x", [1, 2, "h", "w"])], "lines cubes tiles", weights)
    points = tuple({"h": h, "w": w} for h, w in ((2, 3), (5, 3), (3, 4), (7, 4)))
    return Case(model, {"h": (2, 7), "w": (3, 4)}, points)


CASES: Mapping[str, Callable[[], Case]] = {
    "mlp": mlp,
    "cnn": cnn,
    "mean": mean,
    "attention": attention,
    "joined": joined,
    "recurrent": recurrent,
    "both_ways": both_ways,
    "interpolated": interpolated,
}


def random_inputs(shapes: list[tuple[int, ...]], seed: int = 0) -> list[NDArray[np.float32]]:
    """Normal numbers for each shape."""
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape).astype(np.float32) for shape in shapes]
