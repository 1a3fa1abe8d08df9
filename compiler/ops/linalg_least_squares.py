"""Least squares, made of the ops of linear algebra, through which gradients flow."""

from __future__ import annotations

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.linalg_cholesky import cholesky
from tensorkiln.compiler.ops.linalg_eigen import svd
from tensorkiln.compiler.ops.linalg_triangular import triangular_solve
from tensorkiln.compiler.ops.matrices import as_columns, flip, identity, product
from tensorkiln.compiler.ops.shorthand import binary, convert


def least_squares(
    builder: Builder, a: Value, b: Value, regularizer: Value, normal_equations: bool
) -> Value:
    """x with the least |a x - b|^2 + regularizer |x|^2.

    By normal equations, a must have full rank unless the scalar `regularizer` is greater than 0.
    Else x is the one of least norm, and the regularizer is ignored.
    """
    if not normal_equations:
        return product(builder, pseudo_inverse(builder, a), b)
    turned = flip(builder, a)
    if a.shape[-2] >= a.shape[-1]:  # (a^T a + r) x = a^T b
        square = _regular(builder, product(builder, turned, a), regularizer)
        return _definite_solve(builder, square, product(builder, turned, b))
    square = _regular(builder, product(builder, a, turned), regularizer)  # a^T (a a^T + r)^-1 b
    return product(builder, turned, _definite_solve(builder, square, b))


def _regular(builder: Builder, square: Value, regularizer: Value) -> Value:
    eye = identity(builder, square.shape, square.dtype)
    added = binary(builder, "multiply", eye, convert(builder, regularizer, square.dtype))
    return builder.one("add", (square, added))


def _definite_solve(builder: Builder, a: Value, b: Value) -> Value:
    factor = cholesky(builder, a)
    inner = triangular_solve(builder, factor, b)
    return triangular_solve(builder, factor, inner, transpose_a=True)


def pseudo_inverse(builder: Builder, a: Value, tolerance: float | None = None) -> Value:
    """The Moore-Penrose inverse; singular values up to `tolerance` times the greatest are zeros.

    `tolerance` is the larger number of rows or columns times the precision unless it is given.
    """
    if tolerance is None:
        precision = 2.0**-52 if a.dtype.bits == 64 else 2.0**-23
        tolerance = max(a.shape[-2:]) * precision
    s, u, v = svd(builder, a)
    values = Formula(builder, s)
    limit = values.reduce("maximum", (-1,), keep_dims=True) * tolerance
    kept = values.compare("GT", limit)
    inverse = kept.keep(1.0 / kept.select(values, 1.0)).value
    rows = flip(builder, u)
    scaled = builder.one("multiply", (rows, as_columns(builder, inverse, rows.shape)))
    return product(builder, v, scaled)
