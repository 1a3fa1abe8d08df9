"""Factors of complex matrices, on their real and imaginary parts: lu, qr and determinants.

Each is a loop over the columns whose body updates the whole matrix, so that it runs in lanes; a
real embedding of twice the size would not do, for rows are exchanged and columns reflected by
complex numbers.  The steps are LAPACK's getf2, geqr2 and larfg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from tensorkiln.compiler.ir.dtypes import I32, I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.along import take_along
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.complex_functions import Pair, hypot, quotient, times
from tensorkiln.compiler.ops.formula import Formula, formulas
from tensorkiln.compiler.ops.linalg_lu import permuted_rows
from tensorkiln.compiler.ops.matrices import diagonal, identity, in_range, triangle
from tensorkiln.compiler.ops.shorthand import (
    arg_reduce,
    broadcast_in_dim,
    broadcast_to,
    dynamic_slice,
    full,
    iota,
    pad,
    scalar,
    slice_axis,
    squeeze,
    zeros_like,
)
from tensorkiln.compiler.ops.shorthand_control import counted_loop

Parts: TypeAlias = tuple[Value, Value]


def _line(builder: Builder, x: Value, axis: int, k: Value) -> Value:
    """Row k (axis -2) or column k (axis -1) of each matrix, as a matrix."""
    starts = [scalar(builder, 0, I64)] * x.type.rank
    sizes = list(x.shape)
    starts[axis], sizes[axis] = k, 1
    return dynamic_slice(builder, x, starts, sizes)


def _line_of(builder: Builder, x: Sequence[Value], axis: int, k: Value) -> Pair:
    first, second = formulas(builder, *(_line(builder, part, axis, k) for part in x))
    return first, second


def _along(builder: Builder, x: Value, axis: int) -> Formula:
    """The number of the row (axis -2) or column (axis -1): as many as there are, i64."""
    shape = [1, 1]
    shape[axis] = x.shape[axis]
    return Formula(builder, iota(builder, shape, 2 + axis, I64))


def complex_lu(builder: Builder, a: Parts) -> tuple[Value, Value, Value, Value]:
    """The parts of the factors in one matrix, the pivots and the permutation: see linalg_lu."""
    size, stack = a[0].shape[-1], a[0].shape[:-2]
    rank = len(stack)
    pivots = full(builder, (*stack, size), 0, I32)
    order = broadcast_in_dim(builder, iota(builder, (size,), 0, I32), (*stack, size), (rank,))
    if not a[0].type.elements:
        return *a, pivots, order

    def step(inner: Builder, k: Value, values: Sequence[Value]) -> Sequence[Value]:
        a, (pivots, order) = values[:2], values[2:]
        rows, columns = (_along(inner, a[0], axis) for axis in (-2, -1))
        here = Formula(inner, k)
        sizes = hypot(*_line_of(inner, a, -1, k))
        ranked = sizes.compare("EQ", sizes).select(sizes, -1.0)
        ranked = rows.compare("LT", here).select(ranked.full(-2.0), ranked)
        found = Formula(inner, arg_reduce(inner, ranked.value, "max", -2, I32)[1])
        places = Formula(inner, iota(inner, pivots.shape, rank, I32))
        row = here.convert(I32)
        at_row = places.compare("EQ", row)
        moved = at_row.select(found, places.compare("EQ", found).select(row, places))
        a = [permuted_rows(inner, part, moved.value) for part in a]
        order = take_along(inner, order, moved.value, -1)
        pivots = at_row.select(found, Formula(inner, pivots)).value
        above, column = _line_of(inner, a, -2, k), _line_of(inner, a, -1, k)
        pivot = _line_of(inner, [part.value for part in above], -1, k)
        none = hypot(*pivot).compare("EQ", 0.0)
        below = rows.compare("GT", here)
        factor = [below.keep(none.drop(part)) for part in quotient(column, pivot)]
        after = columns.compare("GT", here)
        lowered = times((factor[0], factor[1]), (after.keep(above[0]), after.keep(above[1])))
        is_factor = Formula(
            inner, inner.one("and", _same(inner, below, columns.compare("EQ", here), a[0]))
        )
        kept = [
            is_factor.select(part, old - taken).value
            for part, old, taken in zip(factor, formulas(inner, *a), lowered, strict=True)
        ]
        return [*kept, pivots, order]

    real, imaginary, pivots, order = counted_loop(builder, size, [*a, pivots, order], step)
    return real, imaginary, pivots, order


def _same(builder: Builder, a: Formula, b: Formula, like: Value) -> tuple[Value, Value]:
    shape = like.shape[-2:]
    return broadcast_to(builder, a.value, shape), broadcast_to(builder, b.value, shape)


# qr


def complex_qr(builder: Builder, a: Parts, inner: int) -> tuple[Parts, Parts]:
    """q with `inner` orthonormal columns and r, whose diagonal is real: see linalg_qr."""
    rows, columns = a[0].shape[-2:]
    sizes = Formula(builder, a[0]).apply("abs").maximum(Formula(builder, a[1]).apply("abs"))
    _, scale = in_range(builder, sizes.value)
    if scale is not None:
        a = _scaled(builder, a, scale, "divide")
    square = (*a[0].shape[:-2], rows, rows)
    q = identity(builder, square, a[0].dtype)
    start = [*a, q, zeros_like(builder, q)]
    count = min(rows, columns) if a[0].type.elements else 0

    def step(b: Builder, k: Value, values: Sequence[Value]) -> Sequence[Value]:
        a, q = values[:2], values[2:]
        number, here = _along(b, a[0], -2), Formula(b, k)
        column = _line_of(b, a, -1, k)
        at, below = number.compare("EQ", here), number.compare("GT", here)
        alpha = at.keep(column[0]).sum((-2,), True), at.keep(column[1]).sum((-2,), True)
        under = below.keep(column[0]), below.keep(column[1])
        rest = (under[0] * under[0] + under[1] * under[1]).sum((-2,), True)
        length = (alpha[0] * alpha[0] + alpha[1] * alpha[1] + rest).apply("sqrt")
        beta = alpha[0].compare("LT", 0.0).select(length, -length)
        nothing = (rest + alpha[1].apply("abs")).compare("EQ", 0.0)
        ones = beta.full(1.0)
        safe = nothing.select(ones, beta)
        tau = nothing.drop((beta - alpha[0]) / safe), nothing.drop(-alpha[1] / safe)
        divisor = nothing.select(ones, alpha[0] - beta), nothing.drop(alpha[1])
        tail = quotient(under, divisor)
        v = at.select(tail[0].full(1.0), tail[0]), tail[1]
        reflected = _reflect_rows(formulas(b, *a), v, tau)
        turned = _reflect_columns(formulas(b, *q), v, tau)
        return [part.value for part in (*reflected, *turned)]

    *r, real, imaginary = counted_loop(builder, count, start, step) if count else start
    kept = [triangle(builder, slice_axis(builder, part, -2, 0, inner), lower=False) for part in r]
    upper = kept[0], kept[1]
    if scale is not None:
        upper = _scaled(builder, upper, scale, "multiply")
    first, second = (slice_axis(builder, part, -1, 0, inner) for part in (real, imaginary))
    return (first, second), upper


def _scaled(builder: Builder, x: Parts, scale: Value, how: str) -> Parts:
    factor = Formula(builder, scale)
    first, second = (Formula(builder, part).join(how, factor).value for part in x)
    return first, second


def _conjugate(x: Pair) -> Pair:
    return x[0], -x[1]


def _turn(x: Formula) -> Formula:
    """A column as a row."""
    rank = x.value.type.rank
    shape = (*x.value.shape[:-2], 1, x.value.shape[-2])
    flat = squeeze(x.builder, x.value, (-1,))
    return Formula(
        x.builder, broadcast_in_dim(x.builder, flat, shape, (*range(rank - 2), rank - 1))
    )


def _reflect_rows(a: Sequence[Formula], v: Pair, tau: Pair) -> Pair:
    """a - conj(tau) v (v^H a)"""
    found = times(_conjugate(v), (a[0], a[1]))
    inner = found[0].sum((-2,), True), found[1].sum((-2,), True)
    away = times(v, times(_conjugate(tau), inner))
    return a[0] - away[0], a[1] - away[1]


def _reflect_columns(q: Sequence[Formula], v: Pair, tau: Pair) -> Pair:
    """q - tau (q v) v^H"""
    row = _turn(v[0]), _turn(v[1])
    found = times((q[0], q[1]), row)
    inner = found[0].sum((-1,), True), found[1].sum((-1,), True)
    away = times(times(tau, inner), _conjugate(row))
    return q[0] - away[0], q[1] - away[1]


# Determinants


def complex_determinant(builder: Builder, a: Parts) -> Parts:
    """The product of the pivots, with a sign for the exchanged rows."""
    real, imaginary, pivots, _ = complex_lu(builder, a)
    found = diagonal(builder, real), diagonal(builder, imaginary)
    total = _product(builder, found)
    sign = _exchanges(builder, pivots, real)
    return (total[0] * sign).value, (total[1] * sign).value


def complex_log_determinant(builder: Builder, a: Parts) -> tuple[Parts, Value]:
    """The determinant divided by its size, and the logarithm of the size."""
    real, imaginary, pivots, _ = complex_lu(builder, a)
    first, second = formulas(builder, diagonal(builder, real), diagonal(builder, imaginary))
    sizes = hypot(first, second)
    divisor = sizes.compare("EQ", 0.0).select(sizes.full(1.0), sizes)
    total = _product(builder, ((first / divisor).value, (second / divisor).value))
    sign = _exchanges(builder, pivots, real)
    return ((total[0] * sign).value, (total[1] * sign).value), sizes.apply("log").sum((-1,)).value


def _product(builder: Builder, x: Parts) -> Pair:
    """The product along the last dim, by halves."""
    if not x[0].shape[-1]:
        x = (
            full(builder, (*x[0].shape[:-1], 1), 1, x[0].dtype),
            full(builder, (*x[0].shape[:-1], 1), 0, x[0].dtype),
        )
    while (size := x[0].shape[-1]) > 1:
        if size % 2:
            high = [0] * (x[0].type.rank - 1) + [1]
            none = [0] * x[0].type.rank
            x = pad(builder, x[0], none, high, value=1), pad(builder, x[1], none, high)
        even, odd = (
            formulas(builder, *(slice_axis(builder, p, -1, k, p.shape[-1], 2) for p in x))
            for k in (0, 1)
        )
        joined = times((even[0], even[1]), (odd[0], odd[1]))
        x = joined[0].value, joined[1].value
    first, second = (Formula(builder, squeeze(builder, part, (-1,))) for part in x)
    return first, second


def _exchanges(builder: Builder, pivots: Value, like: Value) -> Formula:
    """-1 for an odd number of exchanged rows, else 1."""
    places = Formula(builder, iota(builder, pivots.shape, pivots.type.rank - 1, pivots.dtype))
    ones = Formula(builder, full(builder, pivots.shape, 1, like.dtype))
    return (
        places.compare("EQ", Formula(builder, pivots)).select(ones, -ones).reduce("multiply", (-1,))
    )
