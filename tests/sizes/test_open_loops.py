"""Kernels in loops and branches end where the sizes of a call do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from sizes.checked_parts import check_bounds, part, program_of
from sizes.open_functions import ONE_PART, Make, check, check_interpreted

from tensorkiln.compiler.ir.dtypes import F32, I32, I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.program import Call, Loop, Step, walk_calls
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops import shorthand as op
from tensorkiln.compiler.ops.shorthand_control import case, counted_loop, while_loop

POINTS = [{"n": n, "b": b} for n, b in ((2, 2), (3, 5), (7, 3), (8, 2), (9, 5))]
WIDTH = 6


def _given(builder: Builder, name: str, *shape: int) -> Value:
    return builder.parameter(name, TensorType(shape, F32))


def _matrix(builder: Builder, rows: int, columns: int) -> Value:
    drawn = np.random.default_rng(rows * columns)
    return builder.constant((drawn.standard_normal((rows, columns)) * 0.4).astype(np.float32))


def decoder(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """A state of n rows and one of n*b, and a row of the last for each of four trips."""
    start = [_given(builder, "x", n, WIDTH), _given(builder, "y", b, n, 3)]
    rows = op.full(builder, (4, n, 3), 0.0, F32)

    def trip(inner: Builder, at: Value, carried: Sequence[Value]) -> Sequence[Value]:
        state, wide, rows = carried
        state = inner.one("tanh", (op.matmul(inner, state, _matrix(inner, WIDTH, WIDTH)),))
        short = op.matmul(inner, state, _matrix(inner, WIDTH, 3))
        spread = op.broadcast_in_dim(inner, short, (b, n, 3), (1, 2))
        wide = op.binary(inner, "add", wide, spread)
        row = op.reduce_mean(inner, wide, (0,))
        zero = op.scalar(inner, 0, I64)
        put = op.reshape(inner, row, (1, n, 3))
        return [state, wide, op.dynamic_update_slice(inner, rows, put, [at, zero, zero])]

    return counted_loop(builder, 4, [*start, rows], trip)[1:]


def mixed(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """What is carried changes places from trip to trip; the loop ends by a sum over both dims."""
    start = [_given(builder, "x", b, n), _given(builder, "y", b, n)]

    def more(inner: Builder, carried: Sequence[Value]) -> Value:
        total = op.reduce_sum(inner, carried[0], (0, 1))
        return op.compare(inner, "LT", total, op.scalar(inner, 60.0, F32))

    def trip(inner: Builder, carried: Sequence[Value]) -> Sequence[Value]:
        a, b = carried
        one = op.full(inner, a.shape, 1.0, F32)
        return [op.binary(inner, "add", b, one), op.binary(inner, "maximum", a, one)]

    return while_loop(builder, more, trip, start, bound=80)


def nested(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """A loop in a loop, which folds along one open dim, and a branch in that."""
    x = _given(builder, "x", b, n, 4)

    def inner_trip(inner: Builder, at: Value, carried: Sequence[Value]) -> Sequence[Value]:
        def halved(builder: Builder, values: Sequence[Value]) -> Sequence[Value]:
            return [op.binary(builder, "multiply", values[0], values[1])]

        def scaled(builder: Builder, values: Sequence[Value]) -> Sequence[Value]:
            half = op.full(builder, values[0].shape, 0.5, F32)
            return [op.binary(builder, "multiply", values[0], half)]

        sums = op.reduce_sum(inner, carried[0], (1,))
        mean = inner.one("tanh", (op.broadcast_in_dim(inner, sums, (b, n, 4), (0, 2)),))
        return case(inner, op.convert(inner, at, I32), (halved, scaled), (carried[0], mean))

    def trip(inner: Builder, at: Value, carried: Sequence[Value]) -> Sequence[Value]:
        found = counted_loop(inner, 2, carried, inner_trip)
        return [op.binary(inner, "add", found[0], carried[0])]

    return counted_loop(builder, 2, [x], trip)


def chosen(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Branches that need unlike parts of what they are given."""
    x = _given(builder, "x", b, n)
    index = builder.parameter("index", TensorType((), I32))

    def softmax(inner: Builder, values: Sequence[Value]) -> Sequence[Value]:
        return [inner.one("softmax", (values[0],), axis=1)]

    def sums(inner: Builder, values: Sequence[Value]) -> Sequence[Value]:
        total = op.reduce_sum(inner, values[0], (0, 1))
        return [op.broadcast_in_dim(inner, total, (b, n), ())]

    return case(builder, index, (softmax, sums), (op.binary(builder, "add", x, x),))


CASES: Mapping[str, Make] = {
    "decoder": decoder, "mixed": mixed, "nested": nested, "chosen": chosen,
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_compiled(name: str) -> None:
    points = [(p["n"], p["b"]) for p in POINTS]
    check(CASES[name], points=points, symbols=ONE_PART)


@pytest.mark.parametrize("name", CASES)
def test_at_capacity(name: str) -> None:
    check_interpreted(CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_every_access_is_inside(name: str) -> None:
    check_bounds(CASES[name], ONE_PART, POINTS)


def _inner_calls(steps: Sequence[Step]) -> list[Call]:
    return [call for step in steps if not isinstance(step, Call) for call in walk_calls([step])]


@pytest.mark.parametrize("name", CASES)
def test_kernels_of_regions_know_the_sizes(name: str) -> None:
    """Each kernel that makes more than scalars is given sizes that its results have."""
    program = program_of(part(CASES[name], ONE_PART))
    found = _inner_calls(program.steps)
    large = [call for call in found if any(v.type.elements > 8 for v in call.results)]
    assert large
    for call in large:
        names = [buffer.name for buffer in program.kernels[call.kernel].parameters]
        assert any(name.startswith("size.") for name in names), program.kernels[call.kernel]


def test_what_every_trip_folds_is_whole() -> None:
    """Rows that a later trip reads at other places are computed wherever they may be read."""

    def turning(builder: Builder, n: int, b: int) -> Sequence[Value]:
        def trip(inner: Builder, at: Value, carried: Sequence[Value]) -> Sequence[Value]:
            both = op.concat(inner, [carried[1], carried[0]], 1)
            moved = op.slice_(inner, both, (0, b), (n, 2 * b))
            return [moved, op.binary(inner, "add", carried[0], carried[1])]

        return counted_loop(builder, 3, [_given(builder, k, n, b) for k in "xy"], trip)

    check(turning, points=[(2, 2), (5, 3), (9, 5)], symbols=ONE_PART)
    program = program_of(part(turning, ONE_PART))
    assert any(isinstance(step, Loop) for step in program.steps)


def test_a_loop_over_an_open_number_of_trips() -> None:
    """Rows of an open number are read and written one a trip, of an open batch."""

    def scan(builder: Builder, n: int, b: int) -> Sequence[Value]:
        x = _given(builder, "x", n, b, 3)
        start = [op.full(builder, (b, 3), 0.0, F32), op.full(builder, (n, b, 3), 0.0, F32), x]

        def trip(inner: Builder, at: Value, carried: Sequence[Value]) -> Sequence[Value]:
            state, rows, given = carried
            zero = op.scalar(inner, 0, I64)
            row = op.dynamic_slice(inner, given, [at, zero, zero], (1, b, 3))
            state = inner.one(
                "tanh", (op.binary(inner, "add", state, op.reshape(inner, row, (b, 3))),)
            )
            put = op.reshape(inner, state, (1, b, 3))
            return [state, op.dynamic_update_slice(inner, rows, put, [at, zero, zero]), given]

        return counted_loop(builder, n, start, trip)[:2]

    check_bounds(scan, ONE_PART, POINTS)
    rows = [c for c in _inner_calls(program_of(part(scan, ONE_PART)).steps) if c.op is not None]
    assert any(call.results[0].shape == (9, 5, 3) for call in rows)
