"""The op cholesky: a triangular factor of symmetric positive definite matrices.

Name and meaning are StableHLO's: l with l l^T = a (lower), or u with u^T u = a; of complex Hermitian
matrices with adjoints for transposes.  One triangle of
the operand is read, the other one of the result is zero.  Where a matrix is not positive definite,
the factor is NaN from the row or column on at which that shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Const, Fma, Select, Unary
from tensorkiln.compiler.kernel.index import ZERO, add, const
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import expect
from tensorkiln.compiler.ops.linalg_triangular import triangular_solve
from tensorkiln.compiler.ops.matrices import (
    Cotangents,
    check_matrices,
    flip,
    halved_diagonal,
    lane_count,
    lanes_from,
    mirrored_gradient,
    product,
    stack_loop,
    triangle,
    zero,
)
from tensorkiln.compiler.ops.record import Cost, LoopContext, Loops, OpRecord, Types, bytes_moved


def cholesky(builder: Builder, a: Value, lower: bool = True) -> Value:
    """The triangular factor of symmetric positive definite matrices."""
    return builder.one("cholesky", (a,), lower=lower)


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operand holds square matrices of f32 or f64."""
    (a,) = expect(types, 1)
    check_matrices(a, "C1", square=True)
    return (a,)


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    a: Any = arrays[0]
    a = np.swapaxes(a, -1, -2).conj() if op.flag("lower") else a
    upper = np.zeros_like(a)
    for k in range(a.shape[-1]):
        above = upper[..., :k, k:]
        row = a[..., k, k:] - (above[..., :, :1].conj() * above).sum(-2)
        pivot = row[..., :1].real
        upper[..., k, k:] = row / np.where(pivot > 0, np.sqrt(pivot), np.nan)
    found = np.swapaxes(upper, -1, -2).conj() if op.flag("lower") else upper
    return [np.ascontiguousarray(found)]


def _build(context: LoopContext, op: Op) -> None:
    """for k in n { u[k, k:] = (a[k, k:] - sum over p < k of u[p, k] u[p, k:]) / u[k, k] }

    The upper factor is made, in rows that lanes walk along, whichever was asked for.
    """
    (a,), lower = op.operands, op.flag("lower")
    dtype, size = a.dtype, a.shape[-1]
    with stack_loop(context, a.shape, _cost(op).flops) as stack:
        with context.loop(size) as k:
            sums = context.local((-(-size // lane_count(dtype)) * lane_count(dtype),), dtype)
            with lanes_from(context, k, size, dtype) as j:
                place = (j, k) if lower else (k, j)
                context.store(sums, (j,), context.read(a, (*stack, *place)))
            with context.between(ZERO, k, size) as p:
                factor = Unary("neg", context.read_result(0, (*stack, p, k)))
                factor_ = context.let(factor)
                with lanes_from(context, k, size, dtype) as j:
                    above = context.read_result(0, (*stack, p, j))
                    context.store(sums, (j,), Fma(factor_, above, context.load(sums, (j,))))
            pivot = context.load(sums, (k,))
            nothing = Const(float("nan"), dtype)
            positive = Binary("gt", pivot, zero(dtype))
            root = context.let(Select(positive, Unary("sqrt", pivot), nothing))
            with lanes_from(context, k, size, dtype) as j:
                scaled = Binary("div", context.load(sums, (j,)), root)
                context.write(0, (*stack, k, j), scaled)
        with context.loop(size) as i, context.between(add(i, const(1)), const(size), size) as j:
            if lower:
                context.write(0, (*stack, j, i), context.read_result(0, (*stack, i, j)))
                context.write(0, (*stack, i, j), zero(dtype))
            else:
                context.write(0, (*stack, j, i), zero(dtype))


def _gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """l^-T P l^-1 with P the lower triangle of l^T g, its diagonal halved (Murray, Differentiation
    of the Cholesky decomposition, arXiv:1602.07527, equation 10)."""
    (g,) = cotangents
    if g is None:
        return [None]
    lower = op.flag("lower")
    factor, g = (op.result, g) if lower else (flip(builder, op.result), flip(builder, g))
    inner = triangle(builder, product(builder, flip(builder, factor), g), lower=True)
    left = triangular_solve(builder, factor, halved_diagonal(builder, inner), transpose_a=True)
    found = triangular_solve(builder, factor, left, left_side=False)
    found = mirrored_gradient(builder, found)
    return [found if lower else flip(builder, found)]


def _cost(op: Op) -> Cost:
    """n^3/3 operations a matrix of size n."""
    return Cost(op.result.type.elements * op.result.shape[-1] // 3, bytes_moved(op))


RECORDS = (
    OpRecord("cholesky", {"lower": "bool"}, _types, _evaluate, _gradient, Loops(_build), _cost),
)
