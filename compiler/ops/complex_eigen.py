"""eigh and svd of complex matrices, on their real and imaginary parts."""

from __future__ import annotations

from typing import TypeAlias

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.complex_factors import complex_qr
from tensorkiln.compiler.ops.complex_jacobi import hermitian_eigen, orthogonal_rows
from tensorkiln.compiler.ops.formula import Formula, formulas
from tensorkiln.compiler.ops.matrices import as_columns, diagonal, flip, in_range, product
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    concat,
    slice_axis,
    squeeze,
)
from tensorkiln.compiler.ops.spectral import ordered, reciprocal

Parts: TypeAlias = tuple[Value, Value]


def adjoint_parts(builder: Builder, x: Parts) -> Parts:
    """The conjugate transpose of each matrix."""
    return flip(builder, x[0]), builder.one("negate", (flip(builder, x[1]),))


def complex_eigh(builder: Builder, a: Parts) -> tuple[Value, Parts]:
    """The eigenvalues, ascending, and the eigenvectors as columns."""
    found, rows = hermitian_eigen(builder, a)
    values, (real, imaginary) = ordered(builder, found, rows, False)
    return values, adjoint_parts(builder, (real, imaginary))


def complex_svd(builder: Builder, a: Parts, full: bool) -> tuple[Value, Parts, Parts]:
    """s, descending, and the columns u and v with a = u diag(s) v^H."""
    first, second = formulas(builder, *a)
    largest = first.apply("abs").maximum(second.apply("abs"))
    _, scale = in_range(builder, largest.value)
    if scale is not None:
        a = binary(builder, "divide", a[0], scale), binary(builder, "divide", a[1], scale)
    if a[0].shape[-2] < a[0].shape[-1]:
        s, v, u = _tall(builder, adjoint_parts(builder, a), full)
    else:
        s, u, v = _tall(builder, a, full)
    if scale is not None:
        s = binary(builder, "multiply", s, squeeze(builder, scale, (-1,)))
    return s, u, v


def _tall(builder: Builder, a: Parts, full: bool) -> tuple[Value, Parts, Parts]:
    """a = q r; the rows of r^H are made orthogonal: see the svd of real matrices."""
    rows, size = a[0].shape[-2:]
    q, r = complex_qr(builder, a, rows if full else size)
    square = tuple(slice_axis(builder, part, -2, 0, size) for part in r)
    found, turned = orthogonal_rows(builder, adjoint_parts(builder, (square[0], square[1])))
    x, y = formulas(builder, *found)
    norms = (x * x + y * y).sum((-1,)).apply("sqrt").value
    s, lines = ordered(builder, norms, [*found, *turned], True)
    spread = reciprocal(Formula(builder, as_columns(builder, s, lines[0].shape)))
    units = tuple((Formula(builder, part) * spread).value for part in lines[:2])
    columns = adjoint_parts(builder, (units[0], units[1]))
    # Completes what belongs to zeros; its other columns are the given ones but for signs.
    complete, triangle = complex_qr(builder, columns, size)
    flipped = Formula(builder, diagonal(builder, triangle[0])).compare("LT", 0.0)
    sign = flipped.select(-Formula(builder, s).full(1.0), Formula(builder, s).full(1.0)).value
    rank = a[0].type.rank
    dims = (*range(rank - 2), rank - 1)
    across = broadcast_in_dim(builder, sign, complete[0].shape, dims)
    inner = tuple(builder.one("multiply", (part, across)) for part in complete)
    begin = tuple(slice_axis(builder, part, -1, 0, size) for part in q)
    u = _product(builder, (begin[0], begin[1]), (inner[0], inner[1]))
    if q[0].shape[-1] > size:
        rest = tuple(slice_axis(builder, part, -1, size, part.shape[-1]) for part in q)
        u = concat(builder, (u[0], rest[0]), -1), concat(builder, (u[1], rest[1]), -1)
    return s, u, adjoint_parts(builder, (lines[2], lines[3]))


def _product(builder: Builder, x: Parts, y: Parts) -> Parts:
    def joined(how: str, a: Value, b: Value, c: Value, d: Value) -> Value:
        return builder.one(how, (product(builder, a, b), product(builder, c, d)))

    real = joined("subtract", x[0], y[0], x[1], y[1])
    return real, joined("add", x[0], y[1], x[1], y[0])
