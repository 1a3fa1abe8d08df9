"""Complex linear algebra by real matrices of twice the size: a + ib stands as [[a, -b], [b, a]].

Products, sums and inverses of these blocks are those of complex numbers, and a block with b = 0 is
a multiple of the identity: so triangles with real diagonals stay triangles, and the real Cholesky
factor of Hermitian matrices holds the complex one.
"""

from __future__ import annotations

from typing import TypeAlias

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.complex_functions import quotient
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.linalg_cholesky import cholesky
from tensorkiln.compiler.ops.linalg_solve import inverse, solve
from tensorkiln.compiler.ops.linalg_triangular import triangular_solve
from tensorkiln.compiler.ops.matrices import as_columns, diagonal, flip, identity, on_diagonal
from tensorkiln.compiler.ops.shorthand import full_like, reshape, slice_axis, squeeze, stack

Parts: TypeAlias = tuple[Value, Value]


def _blocks(builder: Builder, x: Parts) -> Value:
    """[..., n, m] as [..., 2n, 2m]"""
    a, b = x
    rank, (rows, columns) = a.type.rank, a.shape[-2:]
    minus = builder.one("negate", (b,))
    upper, lower = stack(builder, (a, minus), rank), stack(builder, (b, a), rank)
    both = stack(builder, (upper, lower), rank - 1)  # [..., n, 2, m, 2]
    return reshape(builder, both, (*a.shape[:-2], 2 * rows, 2 * columns))


def _columns(builder: Builder, x: Parts) -> Value:
    """[..., n, m] as [..., 2n, m]: the parts of each element below each other."""
    a, b = x
    both = stack(builder, (a, b), a.type.rank - 1)
    return reshape(builder, both, (*a.shape[:-2], 2 * a.shape[-2], a.shape[-1]))


def _parts(builder: Builder, x: Value) -> Parts:
    """Undoes `_columns`."""
    rows, columns = x.shape[-2] // 2, x.shape[-1]
    split = reshape(builder, x, (*x.shape[:-2], rows, 2, columns))
    first, second = (
        squeeze(builder, slice_axis(builder, split, -2, k, k + 1), (-2,)) for k in (0, 1)
    )
    return first, second


def _every_other(builder: Builder, x: Parts) -> Parts:
    """The first column of each block of two."""
    first, second = (slice_axis(builder, part, -1, 0, part.shape[-1], 2) for part in x)
    return first, second


def complex_cholesky(builder: Builder, a: Parts, lower: bool) -> Parts:
    """The triangular factor of Hermitian positive definite matrices."""
    found = cholesky(builder, _blocks(builder, a), lower)
    return _every_other(builder, _parts(builder, found))


def complex_solve(builder: Builder, a: Parts, b: Parts, transposed: bool) -> Parts:
    """x with a x = b (a^H x = b, if `transposed`: the transpose of blocks is the adjoint)."""
    found = solve(builder, _blocks(builder, a), _columns(builder, b), transposed)
    return _parts(builder, found)


def complex_inverse(builder: Builder, a: Parts) -> Parts:
    """The inverse of each matrix."""
    return _every_other(builder, _parts(builder, inverse(builder, _blocks(builder, a))))


def complex_triangular_solve(
    builder: Builder, a: Parts, b: Parts, left: bool, lower: bool, unit: bool, transposed: bool
) -> Parts:
    """x with a x = b or x a = b, as triangular_solve; rows are divided by the diagonal first."""
    if transposed == left:
        a, lower = (flip(builder, a[0]), flip(builder, a[1])), not lower
    if not left:
        b = flip(builder, b[0]), flip(builder, b[1])
    if not unit:
        pivots = diagonal(builder, a[0]), diagonal(builder, a[1])
        a, b = (_divided(builder, x, pivots) for x in (a, b))
    zeros = full_like(builder, a[1], 0)
    ones = identity(builder, a[0].shape, a[0].dtype)
    a = on_diagonal(builder, ones, a[0]), on_diagonal(builder, zeros, a[1])
    found = triangular_solve(builder, _blocks(builder, a), _columns(builder, b), True, lower, True)
    x = _parts(builder, found)
    return x if left else (flip(builder, x[0]), flip(builder, x[1]))


def _divided(builder: Builder, x: Parts, pivots: Parts) -> Parts:
    """Each row divided by its number."""
    left = Formula(builder, x[0]), Formula(builder, x[1])
    right = (
        Formula(builder, as_columns(builder, pivots[0], x[0].shape)),
        Formula(builder, as_columns(builder, pivots[1], x[1].shape)),
    )
    a, b = quotient(left, right)
    return a.value, b.value
