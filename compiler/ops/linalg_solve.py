"""Determinants, inverses and systems of linear equations, by the factors of lu.

A singular matrix has determinant 0; what is divided by it is infinite or NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import expect, require
from tensorkiln.compiler.ops.complex_factors import complex_determinant, complex_log_determinant
from tensorkiln.compiler.ops.complex_parts import join, parts
from tensorkiln.compiler.ops.linalg_lu import lu, permuted_rows
from tensorkiln.compiler.ops.linalg_triangular import triangular_solve
from tensorkiln.compiler.ops.matrices import (
    Cotangents,
    adjoint,
    check_matrices,
    conjugate,
    diagonal,
    flip,
    identity,
    product,
    real_dtype,
)
from tensorkiln.compiler.ops.record import Composite, Cost, OpRecord, Types, bytes_moved
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    compare,
    convert,
    iota,
    reduce,
    select,
    zeros_like,
)


def solve(builder: Builder, a: Value, b: Value, adjoint: bool = False) -> Value:
    """x with a x = b (a^T x = b, if `adjoint`)."""
    return builder.one("linear_solve", (a, b), adjoint=adjoint)


def inverse(builder: Builder, a: Value) -> Value:
    """The inverse of each matrix."""
    return builder.one("matrix_inverse", (a,))


def determinant(builder: Builder, a: Value) -> Value:
    """The determinant of each matrix."""
    return builder.one("determinant", (a,))


def log_determinant(builder: Builder, a: Value) -> tuple[Value, Value]:
    """The sign of each determinant (-1, 0 or 1), and the logarithm of its size."""
    sign, logarithm = builder.op("log_determinant", (a,))
    return sign, logarithm


def _square(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operand holds square matrices of f32 or f64."""
    (a,) = expect(types, 1)
    check_matrices(a, "C1", square=True)
    return (a,)


def _number(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operand holds square matrices of f32 or f64."""
    (a,) = _square(types, attributes)
    return (a.with_shape(a.shape[:-2]),)


def _two_numbers(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operand holds square matrices of f32, f64 or complex numbers."""
    (sign,) = _number(types, attributes)
    return sign, sign.with_dtype(real_dtype(sign.dtype))


def _system(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: `a` holds square matrices of f32 or f64.  C2: `b` holds as many, of the same dtype, with
    as many rows as those have."""
    a, b = expect(types, 2)
    check_matrices(a, "C1", square=True)
    fits = b.dtype == a.dtype and b.rank == a.rank and b.shape[:-1] == a.shape[:-1]
    require(fits, f"C2: {b} does not go with {a}")
    return (b,)


# linear_solve


def _solve_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    a, b = arrays
    a = np.swapaxes(a, -1, -2).conj() if op.flag("adjoint") else a
    return [_stacked(np.linalg.solve, a, b, op.result)]


def _stacked(function: Any, a: Array, b: Array, like: Value) -> Array:
    """`function` of the matrices one by one; NaN for a singular one."""
    found = np.full(like.shape, np.nan, like.dtype.numpy)
    for stack in np.ndindex(*like.shape[:-2]):
        try:
            found[stack] = function(a[stack], b[stack])
        except np.linalg.LinAlgError:
            continue
    return found


def _solve_body(builder: Builder, op: Op) -> Sequence[Value]:
    """p a = l u:  x = u^-1 l^-1 p b, and p^T l^-T u^-T b for the transpose."""
    a, b = op.operands
    factors, _, permutation = lu(builder, a)
    if op.flag("adjoint"):
        inner = triangular_solve(builder, factors, b, lower=False, transpose_a=True)
        found = triangular_solve(builder, factors, inner, unit_diagonal=True, transpose_a=True)
        return [permuted_rows(builder, found, permutation, inverse=True)]
    moved = permuted_rows(builder, b, permutation)
    inner = triangular_solve(builder, factors, moved, unit_diagonal=True)
    return [triangular_solve(builder, factors, inner, lower=False)]


def _solve_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """b' = a^-T g and a' = -b' x^T (Giles, Collected matrix derivative results for forward and
    reverse mode AD, 2008, section 2.2.3)."""
    (g,) = cotangents
    if g is None:
        return [None, None]
    a, _ = op.operands
    adjoint = op.flag("adjoint")
    b_bar = solve(builder, a, g, not adjoint)
    pair = (op.result, b_bar) if adjoint else (b_bar, op.result)
    outer = product(builder, pair[0], flip(builder, pair[1]))
    return [builder.one("negate", (outer,)), b_bar]


# matrix_inverse


def _inverse_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    (a,) = arrays
    eye = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    return [_stacked(np.linalg.solve, a, eye, op.result)]


def _inverse_body(builder: Builder, op: Op) -> Sequence[Value]:
    (a,) = op.operands
    return [solve(builder, a, identity(builder, a.shape, a.dtype))]


def _inverse_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """-y^T g y^T (Giles, 2008, section 2.2.3)."""
    (g,) = cotangents
    if g is None:
        return [None]
    turned = flip(builder, op.result)
    found = product(builder, product(builder, turned, g), turned)
    return [builder.one("negate", (found,))]


# determinant and log_determinant


def _exchanges_sign(builder: Builder, a: Value, pivots: Value) -> Value:
    """-1 for an odd number of exchanged rows, else 1."""
    places = iota(builder, pivots.shape, pivots.type.rank - 1, pivots.dtype)
    ones = broadcast_in_dim(builder, builder.constant(1, a.dtype), pivots.shape, ())
    turned = select(
        builder, compare(builder, "EQ", pivots, places), ones, builder.one("negate", (ones,))
    )
    return reduce(builder, turned, "multiply", (-1,))


def _determinant_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    a: Any = arrays[0]
    return [np.asarray(np.linalg.det(a))]


def _determinant_body(builder: Builder, op: Op) -> Sequence[Value]:
    (a,) = op.operands
    if a.dtype.is_complex:
        return [join(builder, *complex_determinant(builder, parts(builder, a)))]
    factors, pivots, _ = lu(builder, a)
    total = reduce(builder, diagonal(builder, factors), "multiply", (-1,))
    return [builder.one("multiply", (total, _exchanges_sign(builder, a, pivots)))]


def _spread(builder: Builder, x: Value, like: Value) -> Value:
    return broadcast_in_dim(builder, x, like.shape, range(x.type.rank))


def _determinant_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """g conj(det(a)) a^-H (Giles, 2008, section 2.2.4); infinite or NaN where `a` is singular."""
    (g,) = cotangents
    if g is None:
        return [None]
    (a,) = op.operands
    scale = builder.one("multiply", (g, conjugate(builder, op.result)))
    return [binary(builder, "multiply", _spread(builder, scale, a), _turned_inverse(builder, a))]


def _turned_inverse(builder: Builder, a: Value) -> Value:
    return adjoint(builder, inverse(builder, a))


def _log_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    a: Any = arrays[0]
    sign, logarithm = np.linalg.slogdet(a)
    return [np.asarray(sign), np.asarray(logarithm)]


def _log_body(builder: Builder, op: Op) -> Sequence[Value]:
    (a,) = op.operands
    if a.dtype.is_complex:
        direction, size = complex_log_determinant(builder, parts(builder, a))
        return [join(builder, *direction), size]
    factors, pivots, _ = lu(builder, a)
    found = diagonal(builder, factors)
    signs = reduce(builder, builder.one("sign", (found,)), "multiply", (-1,))
    sizes = builder.one("log", (builder.one("abs", (found,)),))
    sign = builder.one("multiply", (signs, _exchanges_sign(builder, a, pivots)))
    return [sign, reduce(builder, sizes, "add", (-1,))]


def _log_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """g a^-H for the logarithm (Giles, 2008, section 2.2.4).  The sign is constant where it is
    real; a complex one turns with im(tr(a^-1 da)): -i im(conj(g) sign) a^-H."""
    (a,), (turning, g) = op.operands, cotangents
    scale = None if g is None else convert(builder, g, a.dtype)
    if turning is not None and a.dtype.is_complex:
        met = builder.one("multiply", (conjugate(builder, turning), op.results[0]))
        around = builder.one("negate", (builder.one("imag", (met,)),))
        both = join(builder, zeros_like(builder, around), around)
        scale = both if scale is None else builder.one("add", (scale, both))
    if scale is None:
        return [None]
    return [builder.one("multiply", (_spread(builder, scale, a), _turned_inverse(builder, a)))]


def _cost(op: Op) -> Cost:
    """2/3 n^3 operations a matrix of size n, and 2 n^2 for each column of unknowns."""
    size = op.operands[0].shape[-1]
    unknowns = op.result.type.elements if len(op.results) == 1 else 0
    return Cost(2 * size * (op.operands[0].type.elements // 3 + unknowns), bytes_moved(op))


RECORDS = (
    OpRecord(
        "linear_solve", {"adjoint": "bool"}, _system, _solve_evaluate, _solve_gradient,
        Composite(_solve_body), _cost,
    ),
    OpRecord(
        "matrix_inverse", {}, _square, _inverse_evaluate, _inverse_gradient,
        Composite(_inverse_body), _cost,
    ),
    OpRecord(
        "determinant", {}, _number, _determinant_evaluate, _determinant_gradient,
        Composite(_determinant_body), _cost,
    ),
    OpRecord(
        "log_determinant", {}, _two_numbers, _log_evaluate, _log_gradient,
        Composite(_log_body), _cost,
    ),
)  # fmt: skip
