"""The op lu: triangular factors of square matrices with rows exchanged.

a[permutation] = l u, with the greatest element of what is left of a column as its pivot.  Results:
`l` without its ones below `u` on and above the diagonal, in one matrix; `pivots` (i32), the row
that row k was exchanged with at step k; `permutation` (i32), where each row of the product comes
from.  A column of zeros has zeros in `l`; a NaN is no pivot where there is a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorkiln.compiler.ir.dtypes import I32, I64
from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Const, Convert, Expr, Fma, Index, Select, Unary
from tensorkiln.compiler.kernel.index import ZERO, add, const
from tensorkiln.compiler.ops.along import take_along
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import expect
from tensorkiln.compiler.ops.linalg_triangular import triangular_solve
from tensorkiln.compiler.ops.matrices import (
    Cotangents,
    adjoint,
    check_matrices,
    conjugate,
    lanes_from,
    product,
    stack_loop,
    triangle,
    zero,
)
from tensorkiln.compiler.ops.record import Cost, LoopContext, Loops, OpRecord, Types, bytes_moved
from tensorkiln.compiler.ops.shorthand import broadcast_in_dim
from tensorkiln.compiler.ops.sort import argsort


def lu(builder: Builder, a: Value) -> tuple[Value, Value, Value]:
    """The factors in one matrix, the pivots and the permutation."""
    factors, pivots, permutation = builder.op("lu", (a,))
    return factors, pivots, permutation


def permuted_rows(builder: Builder, x: Value, permutation: Value, inverse: bool = False) -> Value:
    """x[permutation] (x with row k moved to permutation[k], if `inverse`)."""
    if inverse:
        permutation = argsort(builder, permutation)
    rank = x.type.rank
    shape = (*permutation.shape, x.shape[-1])
    places = broadcast_in_dim(builder, permutation, shape, range(rank - 1))
    return take_along(builder, x, places, -2)


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operand holds square matrices of f32, f64 or complex numbers."""
    (a,) = expect(types, 1)
    check_matrices(a, "C1", square=True)
    rows = a.with_shape(a.shape[:-1]).with_dtype(I32)
    return a, rows, rows


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    a: Any = np.array(arrays[0])
    size = a.shape[-1]
    pivots = np.zeros(a.shape[:-1], np.int32)
    permutation = np.broadcast_to(np.arange(size, dtype=np.int32), a.shape[:-1]).copy()
    for stack in np.ndindex(*a.shape[:-2]):
        matrix, order = a[stack], permutation[stack]
        chosen = pivots[stack]
        for k in range(size):
            sizes = np.abs(matrix[k:, k])
            found = k + int(np.argmax(np.where(np.isnan(sizes), -1, sizes)))
            chosen[k] = found
            matrix[[k, found]], order[[k, found]] = matrix[[found, k]], order[[found, k]]
            below = matrix[k + 1 :, k]
            below[:] = 0 if matrix[k, k] == 0 else below / matrix[k, k]
            matrix[k + 1 :, k + 1 :] -= below[:, None] * matrix[k, k + 1 :]
    return [a, pivots, permutation]


def _build(context: LoopContext, op: Op) -> None:
    """for k in n { exchange rows; for i > k { a[i, k] /= a[k, k]; a[i, k+1:] -= a[i, k] a[k, k+1:] } }"""
    (a,), size = op.operands, op.operands[0].shape[-1]
    dtype = a.dtype
    with stack_loop(context, a.shape, _cost(op).flops) as stack:
        with context.loop(size) as i:
            with lanes_from(context, ZERO, size, dtype) as j:
                context.write(0, (*stack, i, j), context.read(a, (*stack, i, j)))
            context.write(2, (*stack, i), Convert(i, I32))
        with context.loop(size) as k:
            found = _pivot(context, stack, k, size, op)
            context.write(1, (*stack, k), Convert(found, I32))
            with context.when(Binary("ne", found, k)):
                with lanes_from(context, ZERO, size, dtype) as j:
                    _exchange(context, 0, (*stack, k, j), (*stack, found, j))
                _exchange(context, 2, (*stack, k), (*stack, found))
            pivot = context.read_result(0, (*stack, k, k))
            following = add(k, const(1))
            with context.between(following, const(size), size) as i:
                below = context.read_result(0, (*stack, i, k))
                none = Binary("eq", pivot, zero(dtype))
                factor = context.let(Select(none, zero(dtype), Binary("div", below, pivot)))
                context.write(0, (*stack, i, k), factor)
                away = context.let(Unary("neg", factor))
                with lanes_from(context, following, size, dtype) as j:
                    above = context.read_result(0, (*stack, k, j))
                    left = context.read_result(0, (*stack, i, j))
                    context.write(0, (*stack, i, j), Fma(away, above, left))


def _pivot(context: LoopContext, stack: Index, k: Expr, size: int, op: Op) -> Expr:
    """The row, from k on, with the greatest element in column k."""
    dtype = op.operands[0].dtype
    greatest, at = context.local((), dtype), context.local((), I64)
    context.store(greatest, (), Const(-1.0, dtype))
    context.store(at, (), k)
    with context.between(k, const(size), size) as i:
        here = context.let(Unary("abs", context.read_result(0, (*stack, i, k))))
        best = context.load(greatest, ())
        better = context.let(Binary("gt", here, best))
        context.store(greatest, (), Select(better, here, best))
        context.store(at, (), Select(better, i, context.load(at, ())))
    return context.load(at, ())


def _exchange(context: LoopContext, result: int, one: Index, other: Index) -> None:
    first, second = context.read_result(result, one), context.read_result(result, other)
    context.write(result, one, second)
    context.write(result, other, first)


def _gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """With f = strict lower part of l^H g + upper part of g u^H, the gradient for the permuted
    rows is l^-H f u^-H (de Hoog, Anderssen and Lukas, Differentiation of matrix functionals using
    triangular factorization, Mathematics of Computation 80, 2011, theorem 3)."""
    g = cotangents[0]
    if g is None:
        return [None]
    factors, _, permutation = op.results
    upper = triangle(builder, factors, lower=False)
    strict = triangle(builder, factors, lower=True, strict=True)
    g_lower = triangle(builder, g, lower=True, strict=True)
    g_upper = triangle(builder, g, lower=False)
    # The ones of l add g_lower itself to l^T g.
    from_lower = builder.one("add", (product(builder, adjoint(builder, strict), g_lower), g_lower))
    from_lower = triangle(builder, from_lower, lower=True, strict=True)
    from_upper = triangle(builder, product(builder, g_upper, adjoint(builder, upper)), lower=False)
    both = builder.one("add", (from_lower, from_upper))
    turned = conjugate(builder, factors)
    left = triangular_solve(builder, turned, both, unit_diagonal=True, transpose_a=True)
    found = triangular_solve(builder, turned, left, left_side=False, lower=False, transpose_a=True)
    return [permuted_rows(builder, found, permutation, inverse=True)]


def _cost(op: Op) -> Cost:
    """2/3 n^3 operations a matrix of size n."""
    return Cost(2 * op.operands[0].type.elements * op.operands[0].shape[-1] // 3, bytes_moved(op))


RECORDS = (OpRecord("lu", {}, _types, _evaluate, _gradient, Loops(_build), _cost),)
