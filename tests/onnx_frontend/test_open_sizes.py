"""Sizes that only a run knows: what operators make of them, against ONNX's own evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, helper
from onnx.reference import ReferenceEvaluator
from onnx_frontend.models import model, value

from tensorkiln.compiler.evaluate.evaluate import evaluate
from tensorkiln.compiler.pipeline import jit
from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.onnx.importer import import_with_outputs
from tensorkiln.frontends.onnx.operand import ConstantNeeded
from tensorkiln.runtime.errors import ModelError

node = helper.make_node
WEIGHTS = {
    "zero": np.array(0, np.float32),
    "one": np.array([1], np.int64),
    "two": np.array([2], np.int64),
    "row": np.array([[1.5], [2], [-1]], np.float32),
    "flat": np.array([-1], np.int64),
    "pair": np.array([-1, 2], np.int64),
    "copied": np.array([0, 3, 1], np.int64),
    "starts": np.array([1, 0], np.int64),
    "ends": np.array([5, 2], np.int64),
    "axes": np.array([0, 1], np.int64),
    "three": np.array([3], np.int64),
    "none": np.array([], np.int64),
}
# What follows `c`, the rows f32[n, 3] of `x` whose first element is above zero, n from 0 to 7.
READERS: dict[str, list[NodeProto]] = {
    "itself": [node("Identity", ["c"], ["y"])],
    "elementwise": [node("Mul", ["c", "c"], ["a"]), node("Exp", ["a"], ["y"])],
    "broadcast": [node("MatMul", ["c", "row"], ["a"]), node("Add", ["c", "a"], ["y"])],
    "where": [
        node("Less", ["c", "zero"], ["l"]),
        node("Where", ["l", "zero", "c"], ["y"]),
    ],
    "transpose": [node("Transpose", ["c"], ["y"])],
    "squeeze": [node("Unsqueeze", ["c", "one"], ["a"]), node("Squeeze", ["a", "one"], ["y"])],
    "reshape": [node("Reshape", ["c", "flat"], ["y"])],
    "reshape_copied": [node("Reshape", ["c", "copied"], ["y"])],
    "gather_column": [node("Gather", ["c", "two"], ["y"], axis=1)],
    "gather_at": [
        node("Cast", ["c"], ["i"], to=7),
        node("Abs", ["i"], ["p"]),
        node("Gather", ["x", "p"], ["y"]),
    ],
    "slice": [node("Slice", ["c", "starts", "ends", "axes"], ["y"])],
    "slice_columns": [node("Slice", ["c", "one", "two", "one"], ["y"])],
    "split": [node("Split", ["c"], ["y", "z"], axis=1, num_outputs=2)],
    "concat_columns": [node("Concat", ["c", "c"], ["y"], axis=1)],
    "concat_rows": [node("Concat", ["c", "x", "c"], ["y"], axis=0)],
    "shape": [node("Shape", ["c"], ["y"]), node("Size", ["c"], ["z"])],
    "shape_end": [node("Shape", ["c"], ["y"], start=1)],
    "sum": [node("ReduceSum", ["c", "none"], ["y"], keepdims=0)],
    "sum_columns": [node("ReduceSum", ["c", "one"], ["y"], keepdims=0)],
    "product": [node("ReduceProd", ["c"], ["y"])],
    "norms": [node("ReduceL1", ["c"], ["y"]), node("ReduceLogSumExp", ["c"], ["z"])],
    "softmax": [node("Softmax", ["c"], ["y"], axis=-1)],
    "matmul": [node("MatMul", ["c", "row"], ["y"])],
    "gemm": [node("Gemm", ["c", "row"], ["y"])],
    "non_zero": [node("Greater", ["c", "zero"], ["g"]), node("NonZero", ["g"], ["y"])],
    "top_columns": [node("TopK", ["c", "two"], ["y", "z"], axis=1)],
    "sort": [
        node("Shape", ["c"], ["s"], start=0, end=1),
        node("TopK", ["c", "s"], ["y", "z"], axis=0),
    ],
    "unique": [node("Identity", ["c"], ["y"]), node("Unique", ["x"], ["z", "f", "i", "t"])],
    "unique_unsorted": [
        node("Reshape", ["x", "flat"], ["f"]),
        node("Floor", ["f"], ["a"]),
        node("Unique", ["a"], ["y", "z", "i", "t"], sorted=0),
    ],
}  # fmt: skip
# These need at least one row to be defined in ONNX's evaluator.
NEED_ROWS: dict[str, list[NodeProto]] = {
    "max": [node("ReduceMax", ["c", "none"], ["y"])],
    "min": [node("ReduceMin", ["c", "none"], ["y"], keepdims=0)],
    "mean": [node("ReduceMean", ["c", "none"], ["y"])],
    "flatten": [node("Unsqueeze", ["c", "one"], ["a"]), node("Flatten", ["a"], ["y"], axis=2)],
    "arg_max": [node("ArgMax", ["c"], ["y"]), node("ArgMin", ["c"], ["z"])],
    "arg_max_columns": [node("ArgMax", ["c"], ["y"], axis=1, keepdims=0)],
}


def compressed(nodes: Sequence[NodeProto]) -> ModelProto:
    """A model of `nodes` after the one that chooses rows; its outputs are all that nobody reads."""
    first = [
        node("Gather", ["x", "first"], ["head"], axis=1),
        node("Greater", ["head", "zero"], ["mask"]),
        node("Compress", ["x", "mask"], ["c"], axis=0),
    ]
    read = {name for n in nodes for name in n.input}
    outputs = [name for n in nodes for name in n.output if name not in read]
    weights = {**WEIGHTS, "first": np.array(0, np.int64)}
    return model([*first, *nodes], [value("x", (7, 3))], outputs, weights, opset=22)


def assert_as_reference(proto: ModelProto, *arrays: np.ndarray) -> None:
    imported = import_with_outputs(proto)
    function = imported.function
    feeds = {v.name: a for v, a in zip(proto.graph.input, arrays, strict=True)}
    wanted = ReferenceEvaluator(proto).run(None, feeds)
    runs: list[Sequence[Any]] = [evaluate(function, arrays), jit(function)(*arrays)]
    for results in runs:
        for got, want in zip(imported.assemble(results), wanted, strict=True):
            assert got.shape == np.shape(want)
            assert got.dtype == np.asarray(want).dtype
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def rows(kept: Sequence[int]) -> np.ndarray:
    x = np.random.default_rng(5).uniform(0.1, 3, (7, 3)).astype(np.float32)
    x[[k for k in range(7) if k not in kept], 0] *= -1
    x[:, 1] *= np.where(np.arange(7) % 2, 1, -1)
    return x


@pytest.mark.parametrize("name", READERS)
def test_readers(name: str) -> None:
    proto = compressed(READERS[name])
    for kept in ((), (2, 3, 6), range(7)):
        assert_as_reference(proto, rows(kept))


@pytest.mark.parametrize("name", NEED_ROWS)
def test_reductions_of_rows(name: str) -> None:
    proto = compressed(NEED_ROWS[name])
    for kept in ((4,), (0, 2, 3)):
        assert_as_reference(proto, rows(kept))


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_compress_along_axes(axis: int | None) -> None:
    attributes = {} if axis is None else {"axis": axis}
    proto = model(
        [node("Compress", ["x", "m"], ["y"], **attributes)],
        [value("x", (5, 4)), value("m", (3,), 9)],
    )
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    for mask in ([False] * 3, [True, False, True], [True] * 3):
        assert_as_reference(proto, x, np.array(mask))


def test_masked_elements_by_their_indices() -> None:
    """What x[x > 0] is exported as."""
    proto = model(
        [
            node("Greater", ["x", "zero"], ["m"]),
            node("NonZero", ["m"], ["n"]),
            node("Transpose", ["n"], ["t"]),
            node("GatherND", ["x", "t"], ["y"]),
        ],
        [value("x", (3, 5, 2))],
        weights={"zero": np.array(0, np.float32)},
    )
    x = np.random.default_rng(2).standard_normal((3, 5, 2)).astype(np.float32)
    assert_as_reference(proto, x)
    assert_as_reference(proto, -np.abs(x))


def test_the_size_is_a_result() -> None:
    function = import_model(compressed([node("Transpose", ["c"], ["y"])]))
    assert function.result_names == ("y", "y.size.1")
    assert [v.shape for v in function.results] == [(3, 7), ()]
    padded, number = jit(function)(rows((1, 5)))
    assert (padded.shape, int(number)) == ((3, 7), 2)


def test_what_reads_the_padding_is_refused_by_name() -> None:
    proto = compressed([node("CumSum", ["c", "one"], ["y"], name="sums")])
    with pytest.raises(ConstantNeeded, match=r"'sums' \(CumSum\) reads 'c'.*axis 0.*at most 7"):
        import_model(proto)
    assert import_model(proto, constants={"x": rows((1,))}).results[0].shape == (1, 3)


def test_two_different_sizes_do_not_go_together() -> None:
    nodes = [
        node("Compress", ["x", "m"], ["a"], axis=0),
        node("Compress", ["x", "n"], ["b"], axis=0),
        node("Add", ["a", "b"], ["y"], name="sum"),
    ]
    proto = model(nodes, [value("x", (7, 3)), value("m", (7,), 9), value("n", (7,), 9)])
    with pytest.raises(ConstantNeeded, match="'sum'"):
        import_model(proto)


def test_an_output_may_not_have_the_name_of_a_size() -> None:
    proto = compressed([node("Identity", ["c"], ["y"]), node("Neg", ["x"], ["y.size.0"])])
    with pytest.raises(ModelError, match=r"y\.size\.0"):
        import_model(proto)
