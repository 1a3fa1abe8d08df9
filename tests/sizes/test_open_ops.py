"""Ops that need more than a mask where sizes are open, against the interpreter at each size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from sizes.open_functions import SYMBOLS, Make, check, function_of

from tensorkiln.compiler.ir.dtypes import F32, I32, I64, U64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder, random
from tensorkiln.compiler.ops import shorthand as op
from tensorkiln.compiler.ops.shorthand_control import case, counted_loop
from tensorkiln.compiler.ops.sort import sort
from tensorkiln.compiler.sizes.bound import bound
from tensorkiln.runtime.errors import UnsupportedError


def _floats(builder: Builder, *shape: int) -> Value:
    return builder.parameter("x", TensorType(shape, F32))


def sorting(builder: Builder, n: int, b: int) -> Sequence[Value]:
    x = _floats(builder, b, n)
    return [*sort(builder, [x], 1), *sort(builder, [x], 0, (True,))]


def reversing(builder: Builder, n: int, b: int) -> Sequence[Value]:
    x = _floats(builder, b, n)
    return [op.reverse(builder, x, (1,)), op.reverse(builder, x, (0, 1))]


def drawing(builder: Builder, n: int, b: int) -> Sequence[Value]:
    x = _floats(builder, b, n)
    state = builder.parameter("state", TensorType((3,), U64))
    attributes = {"shape": (n, b), "row_blocks": 0}
    after, words = builder.op("rng_bit_generator", (state,), attributes)
    return [after, words, random.uniform(builder, state, (b, n, 3)), x]


def rows_of_blocks(builder: Builder, n: int, b: int) -> Sequence[Value]:
    x = _floats(builder, b, n)
    state = builder.parameter("state", TensorType((3,), U64))
    attributes = {"shape": (n, 6), "row_blocks": 2}
    return [*builder.op("rng_bit_generator", (state,), attributes), x]


def looping(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """A recurrence that reads a row of its input in each of n trips, and writes one."""
    x = _floats(builder, n, b, 4)
    zero = op.scalar(builder, 0, I64)
    start = [op.full(builder, (b, 4), 0.0, F32), op.full(builder, (n, b, 4), 0.0, F32), x]

    def trip(inner: Builder, at: Value, carried: Sequence[Value]) -> Sequence[Value]:
        state, rows, given = carried
        zero = op.scalar(inner, 0, I64)
        row = op.dynamic_slice(inner, given, [at, zero, zero], (1, b, 4))
        total = op.binary(inner, "add", state, op.reshape(inner, row, (b, 4)))
        state = inner.one("tanh", (total,))
        made = op.reshape(inner, state, (1, b, 4))
        return [state, op.dynamic_update_slice(inner, rows, made, [at, zero, zero]), given]

    state, rows, _ = counted_loop(builder, n, start, trip)
    last = op.dynamic_slice(builder, rows, [op.scalar(builder, 99, I64), zero, zero], (1, b, 4))
    return [state, rows, last]


def branching(builder: Builder, n: int, b: int) -> Sequence[Value]:
    x = _floats(builder, b, n)
    index = builder.parameter("index", TensorType((), I32))

    def mean(inner: Builder, values: Sequence[Value]) -> Sequence[Value]:
        total = op.reduce_mean(inner, values[0], (1,))
        return [op.broadcast_in_dim(inner, total, (b, n), (0,))]

    def twice(inner: Builder, values: Sequence[Value]) -> Sequence[Value]:
        return [op.binary(inner, "add", values[0], values[0])]

    return case(builder, index, [mean, twice], [x])


def scattering(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Rows added to a table, as the gradient of a lookup does."""
    x = _floats(builder, b, n, 2)
    places = builder.parameter("index", TensorType((b, n), I32))
    table = op.full(builder, (9, 2), 1.0, F32)
    places = op.reshape(builder, places, (b, n, 1))
    made = builder.one(
        "scatter", (table, places, x), update_window_dims=(2,), inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0,), index_vector_dim=2, reducer="add",
        input_batching_dims=(), scatter_indices_batching_dims=(),
    )  # fmt: skip
    return [made]


def grouping(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Groups of channels with both open dims in them, less their means."""
    x = _floats(builder, 4, b, n)
    rows = op.reshape(builder, x, (2, 2 * b * n))
    mean = op.reduce_mean(builder, rows, (1,))
    spread = op.broadcast_in_dim(builder, mean, rows.shape, (0,))
    apart = op.binary(builder, "subtract", rows, spread)
    return [op.reshape(builder, apart, (4, b, n))]


CASES: Mapping[str, Make] = {
    "sorting": sorting,
    "reversing": reversing,
    "drawing": drawing,
    "rows_of_blocks": rows_of_blocks,
    "looping": looping,
    "branching": branching,
    "scattering": scattering,
    "grouping": grouping,
}


@pytest.mark.parametrize("name", CASES)
def test_op(name: str) -> None:
    check(CASES[name])


def test_what_has_no_rule_is_named() -> None:
    def make(builder: Builder, n: int, b: int) -> Sequence[Value]:
        scalars = Builder(REGISTRY, "less")
        sides = [scalars.parameter(name, TensorType((), F32)) for name in "ab"]
        less = scalars.finish([op.compare(scalars, "LT", *sides)])
        return builder.op("order_by", (_floats(builder, b, n),), {"dimension": 1}, (less,))

    with pytest.raises(UnsupportedError, match=r"order_by.* range of n, b: .*one size for"):
        bound(lambda p: function_of(make, p), SYMBOLS, {"n": 9, "b": 5})
