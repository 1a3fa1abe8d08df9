"""Slices of open dims with steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from sizes.checked_parts import check_bounds
from sizes.open_functions import ONE_PART, Make, check, check_interpreted, function_of

from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops import shorthand as op
from tensorkiln.compiler.sizes.bound import bound
from tensorkiln.runtime.errors import UnsupportedError


def _x(builder: Builder, *shape: int) -> Value:
    return builder.parameter("x", TensorType(shape, F32))


def _steps(builder: Builder, x: Value, start: int, limit: int, step: int) -> Value:
    """Along dim 0."""
    rest = x.shape[1:]
    begins, ends = (start, *(0 for _ in rest)), (limit, *rest)
    return op.slice_(builder, x, begins, ends, (step, *(1 for _ in rest)))


def halves(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Even and odd rows, which are told apart and joined again; every third column."""
    x = _x(builder, n + 2, b)
    even, odd = _steps(builder, x, 0, n + 2, 2), _steps(builder, x, 1, n + 2, 2)
    turned = op.reverse(builder, _steps(builder, x, 0, n + 2, 3), (0,))
    columns = op.slice_(builder, x, (0, 0), (n + 2, b), (1, 3))
    means = op.reduce_sum(builder, columns, (1,))
    return [even, odd, op.concat(builder, [even, odd], 0), turned, means]


def off_the_end(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """From places that a size tells, and up to these."""
    x = _x(builder, n + 5, b)
    last = _steps(builder, x, n, n + 5, 2)
    inner = _steps(builder, x, 1, n + 3, 2)
    every = _steps(builder, op.reverse(builder, x, (0,)), 0, n + 5, 4)
    return [last, inner, every]


def neighbours(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Windows over every second row, and steps of those."""
    x = _x(builder, n + 3, b)
    rows = _steps(builder, x, 0, n + 3, 2)
    sums = builder.one(
        "reduce_window", (rows,), reducer="add", window=(2, 1), strides=(1, 1),
        padding=((1, 0), (0, 0)), base_dilations=(1, 1), window_dilations=(1, 1),
    )  # fmt: skip
    fourth = _steps(builder, rows, 0, rows.shape[0], 2)
    return [sums, fourth, op.binary(builder, "add", sums, rows)]


def merged(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Steps through all elements of rows of b."""
    x = op.reshape(builder, _x(builder, n, b), (n * b,))
    return [_steps(builder, x, 1, n * b, 2)]


CASES: Mapping[str, Make] = {
    "halves": halves,
    "off_the_end": off_the_end,
    "neighbours": neighbours,
}
FEW = ((2, 2), (3, 3), (4, 5), (5, 4), (7, 2), (8, 4), (9, 5))


@pytest.mark.parametrize("name", CASES)
def test_compiled(name: str) -> None:
    check(CASES[name], points=FEW, symbols=ONE_PART)


@pytest.mark.parametrize("name", CASES)
def test_at_capacity(name: str) -> None:
    check_interpreted(CASES[name], points=((1, 2), (1, 5), *FEW))


@pytest.mark.parametrize("name", CASES)
def test_every_access_is_inside(name: str) -> None:
    check_bounds(CASES[name], ONE_PART, [{"n": n, "b": b} for n, b in FEW])


def test_steps_through_merged_dims() -> None:
    check_interpreted(merged, points=FEW)


def test_steps_that_depend_on_sizes_are_refused() -> None:
    def make(builder: Builder, n: int, b: int) -> Sequence[Value]:
        return [_steps(builder, _x(builder, n * 4, b), 0, n * 4, n)]

    with pytest.raises(UnsupportedError, match=r"slice.* its steps depend on the sizes"):
        bound(lambda p: function_of(make, p), [Symbol("n", 2, 9), Symbol("b", 2, 5)], {"n": 9, "b": 5})  # fmt: skip
