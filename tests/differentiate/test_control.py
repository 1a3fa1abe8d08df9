"""Gradients of loops and branches against finite differences, twice, and what they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tensorkiln.compiler.differentiate import gradient
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dims import Symbol, symbol_dim
from tensorkiln.compiler.ir.dtypes import F64, I32
from tensorkiln.compiler.ir.function import Array, Function, Location, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ir.verify import verify_function
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import (
    compare,
    dynamic_slice,
    dynamic_update_slice,
    full,
    matmul,
    reduce_sum,
    reshape,
    scalar,
)
from tensorkiln.compiler.ops.shorthand_control import case, if_else, while_loop
from tensorkiln.compiler.pipeline import jit
from tensorkiln.runtime.errors import UnsupportedError

Values = Sequence[Value]
VECTOR = TensorType((3,), F64)
COUNT = TensorType((), I32)


def _next(b: Builder, i: Value) -> Value:
    return b.one("add", (i, scalar(b, 1, I32)))


def _below(n: int) -> Callable[[Builder, Values], Value]:
    return lambda b, v: compare(b, "LT", v[0], scalar(b, n, I32))


def _function(kinds: Sequence[TensorType], make: Callable[[Builder, Values], Values]) -> Function:
    builder = Builder(REGISTRY)
    values = [builder.parameter(f"x{k}", kind) for k, kind in enumerate(kinds)]
    return builder.finish(make(builder, values))


def _powers(b: Builder, v: Values) -> Values:
    x, w = v

    def body(b: Builder, c: Values) -> Values:
        return [
            _next(b, c[0]),
            b.one("add", (b.one("tanh", (b.one("multiply", c[1:]),)), c[1])),
            c[2],
        ]

    return while_loop(b, _below(4), body, [scalar(b, 0, I32), x, w])[1:2]


def _recurrence(b: Builder, v: Values) -> Values:
    """A recurrent layer that reads a row a trip and writes one."""
    xs, w, u = v

    def body(b: Builder, c: Values) -> Values:
        i, h, ys, xs, w, u = c
        starts = [i, scalar(b, 0, I32), scalar(b, 0, I32)]
        x = reshape(b, dynamic_slice(b, xs, starts, (1, 2, 3)), (2, 3))
        h = b.one("tanh", (b.one("add", (matmul(b, x, w), matmul(b, h, u))),))
        ys = dynamic_update_slice(b, ys, reshape(b, h, (1, 2, 2)), starts)
        return [_next(b, i), h, ys, xs, w, u]

    start = [scalar(b, 0, I32), full(b, (2, 2), 0, F64), full(b, (3, 2, 2), 0, F64), xs, w, u]
    found = while_loop(b, _below(3), body, start)
    return [b.one("multiply", (found[2], found[2])), found[1]]


def _nested(b: Builder, v: Values) -> Values:
    def outer(b: Builder, c: Values) -> Values:
        def inner(b: Builder, d: Values) -> Values:
            step = b.one("multiply", (b.one("sine", (d[1],)), d[2]))
            return [_next(b, d[0]), b.one("add", (d[1], step)), d[2], d[3]]

        def more(b: Builder, d: Values) -> Value:
            return compare(b, "LE", d[0], d[3])

        found = while_loop(b, more, inner, [scalar(b, 0, I32), c[1], c[2], c[0]], bound=3)
        return [_next(b, c[0]), found[1], b.one("cosine", (found[2],))]

    return while_loop(b, _below(3), outer, [scalar(b, 0, I32), *v])[1:]


def _cases(b: Builder, v: Values) -> Values:
    """Branches inside of a loop, chosen by its counter."""

    def body(b: Builder, c: Values) -> Values:
        (y,) = case(
            b, c[0],
            [lambda b, d: [b.one("multiply", d)], lambda b, d: [b.one("sine", (d[0],))],
             lambda b, d: [b.one("subtract", d)]],
            c[1:],
        )  # fmt: skip
        return [_next(b, c[0]), y, c[2]]

    return while_loop(b, _below(4), body, [scalar(b, 0, I32), *v])[1:2]


def _data_ends_it(b: Builder, v: Values) -> Values:
    def more(b: Builder, c: Values) -> Value:
        return compare(b, "GT", reduce_sum(b, b.one("multiply", (c[0], c[0]))), scalar(b, 0.2, F64))

    def body(b: Builder, c: Values) -> Values:
        return [b.one("multiply", (c[0], b.one("tanh", (c[1],)))), c[1]]

    return while_loop(b, more, body, v, bound=20)[:1]


CASES = {
    "powers": ([VECTOR, VECTOR], _powers),
    "recurrence": ([TensorType((3, 2, 3), F64), TensorType((3, 2), F64), TensorType((2, 2), F64)],
                   _recurrence),
    "nested": ([VECTOR, VECTOR], _nested),
    "cases": ([VECTOR, VECTOR], _cases),
    "the data ends it": ([VECTOR, VECTOR], _data_ends_it),
}  # fmt: skip


def _differences(function: Function, arrays: Sequence[Array], step: float = 1e-6) -> list[Array]:
    def total(moved: Sequence[Array]) -> float:
        return sum(float(np.sum(a)) for a in evaluate(function, moved))

    found = []
    for k, array in enumerate(arrays):
        slope = np.zeros(array.shape)
        for place in np.ndindex(array.shape):
            sides = []
            for sign in (step, -step):
                moved = [a.copy() for a in arrays]
                moved[k][place] += sign
                sides.append(total(moved))
            slope[place] = (sides[0] - sides[1]) / (2 * step)
        found.append(slope)
    return found


@pytest.mark.parametrize("name", CASES)
def test_gradients_twice_are_finite_differences_and_compiled(name: str) -> None:
    kinds, make = CASES[name]
    generator = np.random.default_rng(3)
    arrays = [generator.uniform(0.4, 1.1, kind.sizes) for kind in kinds]
    function = _function(kinds, make)
    for _ in range(2):
        slopes = gradient(function)
        verify_function(slopes, REGISTRY.types)
        found = evaluate(slopes, arrays)
        for got, want in zip(found, _differences(function, arrays), strict=True):
            np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-7)
        for got, want in zip(jit(slopes, 1)(*arrays), found, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
        function = slopes


def test_the_forward_loop_runs_once() -> None:
    """The loop that saves takes the place of the one that was there."""
    kinds, make = CASES["powers"]
    loops = [op for op in gradient(_function(kinds, make)).ops if op.name == "while"]
    assert len(loops) == 2
    assert [op.integer("bound") for op in loops] == [4, 4]


def test_a_loop_without_a_bound_is_named() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", VECTOR)
    with builder.at(Location("settle", "model.py", 7)):
        (y,) = while_loop(
            builder,
            lambda b, c: compare(b, "GT", reduce_sum(b, c[0]), scalar(b, 1, F64)),
            lambda b, c: [b.one("multiply", (c[0], b.one("tanh", (c[0],))))],
            [x],
        )
    message = r"'settle' at model.py:7 .*give maximum_iterations"
    with pytest.raises(UnsupportedError, match=message):
        gradient(builder.finish([y]))


def test_what_needs_no_stack_needs_no_bound() -> None:
    builder = Builder(REGISTRY)
    x, n = builder.parameter("x", VECTOR), builder.parameter("n", COUNT)

    def body(b: Builder, c: Values) -> Values:
        half = b.one("multiply", (c[1], full(b, (3,), 0.5, F64)))
        return [_next(b, c[0]), half, c[2]]

    found = while_loop(
        builder, lambda b, c: compare(b, "LT", c[0], c[2]), body, [scalar(builder, 0, I32), x, n]
    )
    slopes = gradient(builder.finish([found[1]]))
    for trips in (0, 1, 6):
        (dx,) = evaluate(slopes, [np.ones(3), np.array(trips, np.int32)])
        np.testing.assert_array_equal(dx, np.full(3, 0.5**trips))


def test_a_branch_that_does_not_read_a_value_gives_zeros() -> None:
    builder = Builder(REGISTRY)
    x, y = builder.parameter("x", VECTOR), builder.parameter("y", VECTOR)
    flag = compare(builder, "GT", reduce_sum(builder, x), scalar(builder, 0, F64))
    (z,) = if_else(
        builder, flag, lambda b, v: [b.one("multiply", (v[0], v[0]))], lambda b, v: [v[1]], [x, y]
    )
    slopes = gradient(builder.finish([z]))
    dx, dy = evaluate(slopes, [np.ones(3), np.ones(3)])
    assert (dx.tolist(), dy.tolist()) == ([2, 2, 2], [0, 0, 0])
    dx, dy = evaluate(slopes, [-np.ones(3), np.ones(3)])
    assert (dx.tolist(), dy.tolist()) == ([0, 0, 0], [1, 1, 1])


@pytest.mark.parametrize(
    ("direction", "start", "limit", "step", "trips"),
    [("LT", 0, 5, 1, 5), ("LT", 1, 8, 3, 3), ("LE", 0, 6, 2, 4), ("GT", 9, 0, -4, 3),
     ("GE", 3, 1, -1, 3), ("LT", 7, 5, 1, 0)],
)  # fmt: skip
def test_bounds_are_read_off_counters(
    direction: str, start: int, limit: int, step: int, trips: int
) -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", VECTOR)

    def body(b: Builder, c: Values) -> Values:
        grown = b.one("multiply", (c[1], c[1]))
        return [b.one("add", (c[0], scalar(b, step, I32))), grown]

    def more(b: Builder, c: Values) -> Value:
        return compare(b, direction, c[0], scalar(b, limit, I32))

    found = while_loop(builder, more, body, [scalar(builder, start, I32), x])
    loops = [op for op in gradient(builder.finish([found[1]])).ops if op.name == "while"]
    assert {op.integer("bound") for op in loops} == {trips}


def test_loops_over_a_batch_of_any_size() -> None:
    batch = symbol_dim(Symbol("batch", 1, 64))
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((batch, 3), F64))
    w = builder.parameter("w", TensorType((3, 3), F64))

    def body(b: Builder, c: Values) -> Values:
        return [_next(b, c[0]), b.one("tanh", (matmul(b, c[1], c[2]),)), c[2]]

    found = while_loop(builder, _below(3), body, [scalar(builder, 0, I32), x, w])
    function = builder.finish([found[1]])
    slopes = gradient(function)
    verify_function(slopes, REGISTRY.types)
    generator = np.random.default_rng(0)
    arrays = [generator.uniform(-1, 1, shape) for shape in ((5, 3), (3, 3))]
    for got, want in zip(evaluate(slopes, arrays), _differences(function, arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-7)
