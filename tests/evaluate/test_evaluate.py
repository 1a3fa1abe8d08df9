"""The interpreter: feeds, symbolic dims, regions, and what is kept alive."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkiln.compiler.evaluate import evaluate, evaluate_op
from tensorkiln.compiler.ir.dims import Symbol, add_dims, scale_dim, symbol_dim
from tensorkiln.compiler.ir.dtypes import F32, F64, I32
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import full
from tensorkiln.runtime.errors import FeedError, TypeRuleError

BATCH = symbol_dim(Symbol("batch", 1, 8))


def test_values_flow_to_the_results_in_order() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((2,), F32))
    y = builder.one("add", (x, x))
    z = builder.one("multiply", (y, x))
    function = builder.finish([z, x, y, z])
    array = np.array([1, 3], np.float32)
    found = evaluate(function, [array])
    assert [a.tolist() for a in found] == [[2, 18], [1, 3], [2, 6], [2, 18]]


def symbolic() -> Function:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((BATCH, 3), F32))
    y = builder.parameter("y", TensorType((add_dims(scale_dim(BATCH, 2), 1),), F32))
    return builder.finish([builder.one("add", (x, full(builder, (BATCH, 3), 1, F32))), y])


def test_symbolic_dims_take_the_sizes_of_the_feeds() -> None:
    x, y = np.ones((4, 3), np.float32), np.ones(9, np.float32)
    found, _ = evaluate(symbolic(), [x, y])
    assert found.tolist() == [[2, 2, 2]] * 4


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((4, 3)), np.ones(9, np.float32), r"input 'x' is f32\[batch,3\].* is f64"),
        (np.ones((4, 3), np.str_), np.ones(9, np.float32), "input 'x'.*numpy's <U1"),
        (np.ones(4, np.float32), np.ones(9, np.float32), r"input 'x'.* shape \[4\]"),
        (np.ones((4, 2), np.float32), np.ones(9, np.float32), r"input 'x'.*\[4, 2\]"),
        (np.ones((4, 3), np.float32), np.ones(8, np.float32), r"'y'.*batch = 4.*\[8\]"),
        (np.ones((9, 3), np.float32), np.ones(19, np.float32), "batch is 9, outside of 1..8"),
    ],
)
def test_a_wrong_feed_is_named(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(FeedError, match=message):
        evaluate(symbolic(), [x, y])


def test_a_missing_feed_is_named() -> None:
    with pytest.raises(FeedError, match=r"1 arrays for 2 inputs \(x, y\)"):
        evaluate(symbolic(), [np.ones((4, 3), np.float32)])


def region() -> Function:
    builder = Builder(REGISTRY, "fused")
    a, b = (builder.parameter(name, TensorType((2,), F64)) for name in "ab")
    return builder.finish([builder.one("tanh", (builder.one("add", (a, b)),)), a])


def test_a_fusion_evaluates_as_its_region() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((2,), F64))
    y, z = builder.op("fusion", (x, x), {"kind": "loops", "stopped": ""}, (region(),))
    array = np.array([0.25, -1])
    found = evaluate(builder.finish([y, z]), [array])
    np.testing.assert_array_equal(found[0], np.tanh(2 * array))
    np.testing.assert_array_equal(found[1], array)


def test_a_fusion_takes_its_types_from_its_region() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((3,), F64))
    with pytest.raises(TypeRuleError, match="C2: operands are"):
        builder.op("fusion", (x, x), {"kind": "loops", "stopped": ""}, (region(),))
    with pytest.raises(TypeRuleError, match="C1: takes one region"):
        builder.op("fusion", (x, x), {"kind": "loops", "stopped": ""})
    with pytest.raises(TypeRuleError, match="tanh: takes no regions"):
        builder.op("tanh", (x,), regions=(region(),))


def test_integers_never_raise() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((), I32))
    function = builder.finish([builder.one("divide", (x, x))])
    with np.errstate(all="raise"):
        assert evaluate(function, [np.int32(0)])[0] == -1


def test_one_op_evaluates_on_its_own() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((2, 2), F64))
    builder.one("softmax", (x,), axis=1)
    (found,) = evaluate_op(builder.ops[0], [np.zeros((2, 2))])
    assert found.tolist() == [[0.5, 0.5], [0.5, 0.5]]
