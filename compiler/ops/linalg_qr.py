"""QR decomposition by Householder reflections: householder_qr, householder_product and qr.

`householder_qr` leaves R on and above the diagonal and, below it, the vectors v_k (with a 1 on the
diagonal that is not stored) of reflections H_k = 1 - tau_k v_k v_k^T, as LAPACK's geqrf does;
`householder_product` gives the first columns of Q = H_0 H_1 ... (orgqr).  `qr` is the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Convert, Expr, Fma, Index, Select, Unary
from tensorkiln.compiler.kernel.index import ZERO, add, const, sub
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import expect, require
from tensorkiln.compiler.ops.complex_factors import complex_qr
from tensorkiln.compiler.ops.complex_parts import join, parts
from tensorkiln.compiler.ops.linalg_triangular import triangular_solve
from tensorkiln.compiler.ops.matrices import (
    Cotangents,
    adjoint,
    check_matrices,
    conjugate,
    in_range,
    lane_count,
    lanes_from,
    mirrored_lower,
    one,
    product,
    stack_loop,
    triangle,
    zero,
)
from tensorkiln.compiler.ops.record import (
    Composite,
    Cost,
    LoopContext,
    Loops,
    NoGradient,
    OpRecord,
    Types,
    bytes_moved,
)
from tensorkiln.compiler.ops.shorthand import binary, slice_axis, zeros_like
from tensorkiln.runtime.errors import UnsupportedError

_PARTS = NoGradient("a part of qr, which has a gradient")


def qr(builder: Builder, a: Value, full_matrices: bool = False) -> tuple[Value, Value]:
    """q with orthonormal columns and r, upper triangular, with q r = a."""
    q, r = builder.op("qr", (a,), {"full_matrices": full_matrices})
    return q, r


def _factored(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operand holds matrices of f32 or f64."""
    (a,) = expect(types, 1)
    check_matrices(a, "C1")
    return a, a.with_shape((*a.shape[:-2], min(a.sizes[-2:])))


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    a: Any = np.array(arrays[0])
    rows, columns = a.shape[-2:]
    taus: Any = np.zeros(op.results[1].shape, a.dtype)
    for stack in np.ndindex(*a.shape[:-2]):
        matrix, tau = a[stack], taus[stack]
        for k in range(min(rows, columns)):
            v = matrix[k:, k]
            rest = v[1:] @ v[1:]
            if rest == 0:
                continue
            alpha = v[0]
            beta = -np.copysign(np.sqrt(alpha * alpha + rest), alpha)
            tau[k] = (beta - alpha) / beta
            v[1:] /= alpha - beta
            v[0] = 1
            matrix[k:, k + 1 :] -= tau[k] * v[:, None] * (v @ matrix[k:, k + 1 :])
            v[0] = beta
    return [a, taus]


def _build(context: LoopContext, op: Op) -> None:
    """for k { v = a[k:, k], made a reflection; w = v^T a[k:, k+1:]; a[k:, k+1:] -= tau v w }"""
    (a,), (rows, columns) = op.operands, op.operands[0].shape[-2:]
    dtype = a.dtype
    with stack_loop(context, a.shape, _cost(op).flops) as stack:
        with context.loop(rows) as i, lanes_from(context, ZERO, columns, dtype) as j:
            context.write(0, (*stack, i, j), context.read(a, (*stack, i, j)))
        sums = context.local((_padded(columns, dtype),), dtype)
        with context.loop(min(rows, columns)) as k:
            _reflection(context, stack, k, rows, dtype)
            tau = context.read_result(1, (*stack, k))
            _reflect(context, sums, stack, k, (k, add(k, const(1))), (rows, columns), tau, 0)


def _padded(size: int, dtype: DType) -> int:
    width = lane_count(dtype)
    return max(-(-size // width), 1) * width


def _reflection(context: LoopContext, stack: Index, k: Expr, rows: int, dtype: DType) -> None:
    """Makes column k a multiple of a unit vector: beta on the diagonal, v below it, tau aside."""
    rest = context.local((), dtype)
    context.store(rest, (), zero(dtype))
    following = add(k, const(1))
    with context.between(following, const(rows), rows) as i:
        v = context.read_result(0, (*stack, i, k))
        context.store(rest, (), Fma(v, v, context.load(rest, ())))
    below = context.load(rest, ())
    alpha = context.read_result(0, (*stack, k, k))
    size = context.let(Unary("sqrt", Fma(alpha, alpha, below)))
    towards = Binary("lt", alpha, zero(dtype))
    beta = context.let(Select(towards, size, Unary("neg", size)))
    nothing = context.let(Binary("eq", below, zero(dtype)))
    tau = Binary("div", Binary("sub", beta, alpha), beta)
    context.write(1, (*stack, k), Select(nothing, zero(dtype), tau))
    context.write(0, (*stack, k, k), Select(nothing, alpha, beta))
    divisor = context.let(Select(nothing, one(dtype), Binary("sub", alpha, beta)))
    with context.between(following, const(rows), rows) as i:
        v = context.read_result(0, (*stack, i, k))
        context.write(0, (*stack, i, k), Binary("div", v, divisor))


def _reflect(
    context: LoopContext,
    sums: Buffer,
    stack: Index,
    k: Expr,
    starts: tuple[Expr, Expr],
    sizes: tuple[int, int],
    tau: Expr,
    vectors: int | Value,
) -> None:
    """Applies reflection k to the columns from starts[1] on of result 0, whose rows from k on it
    changes; its vector stands in column k of result 0, or of the operand `vectors`."""
    (row, column), (rows, columns) = starts, sizes
    dtype = sums.dtype

    def entry(i: Expr) -> Expr:
        at = (*stack, i, k)
        v = context.read(vectors, at) if isinstance(vectors, Value) else context.read_result(0, at)
        return context.let(Select(Binary("eq", i, k), one(dtype), v))

    with lanes_from(context, column, columns, dtype) as j:
        context.store(sums, (j,), zero(dtype))
    with context.between(row, const(rows), rows) as i:
        v = entry(i)
        with lanes_from(context, column, columns, dtype) as j:
            here = context.read_result(0, (*stack, i, j))
            context.store(sums, (j,), Fma(v, here, context.load(sums, (j,))))
    with context.between(row, const(rows), rows) as i:
        scaled = context.let(Unary("neg", Binary("mul", tau, entry(i))))
        with lanes_from(context, column, columns, dtype) as j:
            here = context.read_result(0, (*stack, i, j))
            context.write(0, (*stack, i, j), Fma(scaled, context.load(sums, (j,)), here))


def _cost(op: Op) -> Cost:
    """4 m n operations for each of min(m, n) reflections of half of the columns on average."""
    return Cost(2 * op.operands[0].type.elements * min(op.operands[0].shape[-2:]), bytes_moved(op))


# householder_product


def _product_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the vectors are matrices of f32 or f64.  C2: there is a tau for each column that has a
    diagonal element.  C3: columns is from 0 to the number of rows."""
    vectors, taus = expect(types, 2)
    check_matrices(vectors, "C1")
    rows, columns = vectors.sizes[-2:]
    fits = taus == vectors.with_shape((*vectors.shape[:-2], min(rows, columns)))
    require(fits, f"C2: {taus} for {vectors}")
    wanted = attributes["columns"]
    assert isinstance(wanted, int)
    require(0 <= wanted <= rows, f"C3: {wanted} columns of {rows} rows")
    return (vectors.with_shape((*vectors.shape[:-1], wanted)),)


def _product_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    vectors: Any = arrays[0]
    taus: Any = arrays[1]
    rows, columns = op.result.shape[-2:]
    q: Any = np.zeros(op.result.shape, vectors.dtype) + np.eye(rows, columns, dtype=vectors.dtype)
    for stack in np.ndindex(*vectors.shape[:-2]):
        matrix = q[stack]
        for k in reversed(range(taus.shape[-1])):
            v = vectors[stack][k:, k].copy()
            v[0] = 1
            matrix[k:] -= taus[stack][k] * v[:, None] * (v @ matrix[k:])
    return [q]


def _product_build(context: LoopContext, op: Op) -> None:
    """q = 1; for k from the last { q[k:] -= tau v (v^T q[k:]) }; columns before k are still 0."""
    (vectors, taus), (rows, columns) = op.operands, op.result.shape[-2:]
    dtype, count = vectors.dtype, taus.shape[-1]
    with stack_loop(context, op.result.shape, _product_cost(op).flops) as stack:
        with context.loop(rows) as i, lanes_from(context, ZERO, columns, dtype) as j:
            context.write(0, (*stack, i, j), Convert(Binary("eq", i, j), dtype))
        sums = context.local((_padded(columns, dtype),), dtype)
        with context.loop(count) as n:
            k = context.let(sub(const(count - 1), n))
            tau = context.read(taus, (*stack, k))
            _reflect(context, sums, stack, k, (k, ZERO), (rows, columns), tau, vectors)


def _product_cost(op: Op) -> Cost:
    return Cost(4 * op.result.type.elements * op.operands[1].shape[-1], bytes_moved(op))


# qr


def _qr_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operand holds matrices of f32, f64 or complex numbers."""
    (a,) = expect(types, 1)
    check_matrices(a, "C1")
    rows, columns = a.sizes[-2:]
    inner = rows if attributes["full_matrices"] else min(rows, columns)
    outer = a.shape[:-2]
    return a.with_shape((*outer, rows, inner)), a.with_shape((*outer, inner, columns))


def _body(builder: Builder, op: Op) -> Sequence[Value]:
    (a,), (q, r) = op.operands, op.results
    if a.dtype.is_complex:
        left, right = complex_qr(builder, parts(builder, a), q.shape[-1])
        return [join(builder, *left), join(builder, *right)]
    scaled, scale = in_range(builder, a)
    factored, taus = builder.op("householder_qr", (scaled,))
    found = builder.one("householder_product", (factored, taus), columns=q.shape[-1])
    upper = slice_axis(builder, triangle(builder, factored, lower=False), -2, 0, r.shape[-2])
    return [found, upper if scale is None else binary(builder, "multiply", upper, scale)]


def _qr_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    a: Any = arrays[0]
    q, r = op.results
    if 0 in a.shape[:-2]:
        return [np.zeros(q.shape, a.dtype), np.zeros(r.shape, a.dtype)]
    found = np.linalg.qr(a, "complete" if op.flag("full_matrices") else "reduced")
    return [np.asarray(found[0]), np.asarray(found[1])]


def _gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """For as many rows as columns or more, with m = r r'^H - q'^H q:
    a' = (q' + q mirror(m)) r^-H, mirror copying the lower triangle to the upper one (Walter and
    Lehmann, Algorithmic differentiation of linear algebra functions, 2010; Liao et al.,
    Differentiable programming tensor networks, arXiv:1903.09650, equation 14).  The columns of a
    wide matrix beyond the square part are q times those of r, and split off first."""
    q_bar, r_bar = cotangents
    if q_bar is None and r_bar is None:
        return [None]
    (a,), (q, r) = op.operands, op.results
    rows, columns = a.shape[-2:]
    if rows > columns and op.flag("full_matrices"):
        raise UnsupportedError("qr with full_matrices of tall matrices has no gradient")
    q_bar = zeros_like(builder, q) if q_bar is None else q_bar
    r_bar = zeros_like(builder, r) if r_bar is None else r_bar
    if rows >= columns:
        return [_tall_gradient(builder, q, r, q_bar, r_bar)]
    left, right = (slice_axis(builder, r_bar, -1, *ends) for ends in ((0, rows), (rows, columns)))
    square = slice_axis(builder, r, -1, 0, rows)
    beyond = slice_axis(builder, a, -1, rows, columns)
    # r[:, rows:] = q^H a[:, rows:]
    moved = builder.one("add", (q_bar, product(builder, beyond, adjoint(builder, right))))
    first = _tall_gradient(builder, q, square, moved, left)
    second = product(builder, q, right)
    return [builder.one("concatenate", (first, second), dimension=a.type.rank - 1)]


def _tall_gradient(builder: Builder, q: Value, r: Value, q_bar: Value, r_bar: Value) -> Value:
    m = builder.one(
        "subtract",
        (
            product(builder, r, adjoint(builder, r_bar)),
            product(builder, adjoint(builder, q_bar), q),
        ),
    )
    inner = product(builder, q, mirrored_lower(builder, m))
    total = builder.one("add", (q_bar, inner))
    return triangular_solve(
        builder, conjugate(builder, r), total, left_side=False, lower=False, transpose_a=True
    )


def _qr_cost(op: Op) -> Cost:
    a = op.operands[0].type
    return Cost(4 * a.elements * min(a.sizes[-2:]), bytes_moved(op))


RECORDS = (
    OpRecord("householder_qr", {}, _factored, _evaluate, _PARTS, Loops(_build), _cost),
    OpRecord(
        "householder_product", {"columns": "int"}, _product_types, _product_evaluate, _PARTS,
        Loops(_product_build), _product_cost,
    ),
    OpRecord(
        "qr", {"full_matrices": "bool"}, _qr_types, _qr_evaluate, _gradient, Composite(_body),
        _qr_cost,
    ),
)  # fmt: skip
