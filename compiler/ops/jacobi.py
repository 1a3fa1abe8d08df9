"""Jacobi's rotations: jacobi_eigen diagonalises symmetric matrices, jacobi_svd makes rows orthogonal.

Both go over all pairs p < q in turn, again and again until a whole turn finds nothing to do
(Golub and Van Loan, Matrix Computations, 4th edition, sections 8.5 and 8.6.3).  A rotation takes
rows x and y to c x - s y and s x + c y, with the smaller of the two angles that serve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tensorkiln.compiler.ir.dtypes import BOOL, DType
from tensorkiln.compiler.ir.function import Array, Attributes, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Const, Convert, Expr, Fma, Index, Select, Unary
from tensorkiln.compiler.kernel.index import ZERO, add, const
from tensorkiln.compiler.ops.checks import expect
from tensorkiln.compiler.ops.matrices import (
    check_matrices,
    lane_count,
    lanes_from,
    one,
    stack_loop,
    zero,
)
from tensorkiln.compiler.ops.record import (
    Cost,
    LoopContext,
    Loops,
    NoGradient,
    OpRecord,
    Types,
    bytes_moved,
)

MOST_TURNS = 30  # about ten suffice for matrices of any size; NaN never comes to rest
_USUAL_TURNS = 8


def _eigen_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operand holds square matrices of f32 or f64."""
    (a,) = expect(types, 1)
    check_matrices(a, "C1", square=True)
    return a, a


def _svd_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operand holds matrices of f32 or f64."""
    (a,) = expect(types, 1)
    check_matrices(a, "C1")
    return a, a.with_shape((*a.shape[:-1], a.shape[-2]))


def _epsilon(dtype: DType) -> float:
    return 2.0**-52 if dtype.bits == 64 else 2.0**-23


def _noise(dtype: DType, length: int) -> float:
    """The cosine between two rows of `length` numbers that rounding alone may leave."""
    return float(_epsilon(dtype) * max(2.0, float(length) ** 0.5))


# In numpy


def _rotation(x: Any, y: Any, between: Any) -> tuple[Any, Any, Any]:
    """(c, s, t) that bring `between`, which stands between x and y, to zero; t = s / c."""
    theta = (y - x) / (2 * between)
    t = (-1 if theta < 0 else 1) / (abs(theta) + np.sqrt(theta * theta + 1))
    c = 1 / np.sqrt(t * t + 1)
    return c, t * c, t


def _rotate(matrix: Any, p: int, q: int, c: Any, s: Any) -> None:
    x, y = matrix[p].copy(), matrix[q].copy()
    matrix[p], matrix[q] = c * x - s * y, s * x + c * y


def _turns(size: int, step: Callable[[int, int], bool]) -> None:
    for _ in range(MOST_TURNS):
        if not sum(step(p, q) for p in range(size) for q in range(p + 1, size)):
            return


def _eigen_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    a: Any = arrays[0]
    low = np.tril(a)
    rotated = low + np.swapaxes(np.tril(a, -1), -1, -2)
    vectors = np.zeros_like(a) + np.eye(a.shape[-1], dtype=a.dtype)
    epsilon = a.dtype.type(_epsilon(op.operands[0].dtype))
    for stack in np.ndindex(*a.shape[:-2]):
        matrix, turned = rotated[stack], vectors[stack]

        def step(p: int, q: int, matrix: Any = matrix, turned: Any = turned) -> bool:
            x, y, between = matrix[p, p], matrix[q, q], matrix[p, q]
            if abs(between) <= epsilon * np.sqrt(abs(x)) * np.sqrt(abs(y)):
                return False
            c, s, t = _rotation(x, y, between)
            _rotate(matrix, p, q, c, s)
            matrix[:, p], matrix[:, q] = matrix[p], matrix[q]
            matrix[p, p], matrix[q, q] = x - t * between, y + t * between
            matrix[p, q] = matrix[q, p] = 0
            _rotate(turned, p, q, c, s)
            return True

        _turns(a.shape[-1], step)
    return [rotated, vectors]


def _svd_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    a: Any = np.array(arrays[0])
    size, length = a.shape[-2:]
    vectors = np.zeros(op.results[1].shape, a.dtype) + np.eye(size, dtype=a.dtype)
    noise = a.dtype.type(_noise(op.operands[0].dtype, length))
    for stack in np.ndindex(*a.shape[:-2]):
        matrix, turned = a[stack], vectors[stack]

        def step(p: int, q: int, matrix: Any = matrix, turned: Any = turned) -> bool:
            x, y = matrix[p] @ matrix[p], matrix[q] @ matrix[q]
            between = matrix[p] @ matrix[q]
            if abs(between) <= noise * np.sqrt(x) * np.sqrt(y):
                return False
            c, s, _ = _rotation(x, y, between)
            _rotate(matrix, p, q, c, s)
            _rotate(turned, p, q, c, s)
            return True

        _turns(size, step)
    return [a, vectors]


# In loops


@contextmanager
def _all_pairs(context: LoopContext, size: int) -> Iterator[tuple[Expr, Expr, Callable[[], None]]]:
    """Every pair p < q, in turns, until nobody called the function given during a turn."""
    busy = context.local((), BOOL)
    context.store(busy, (), Const(True, BOOL))
    with context.loop(MOST_TURNS), context.when(context.load(busy, ())):
        context.store(busy, (), Const(False, BOOL))
        with (
            context.loop(size) as p,
            context.between(add(p, const(1)), const(size), size) as q,
        ):
            yield p, q, lambda: context.store(busy, (), Const(True, BOOL))


def _angle(context: LoopContext, x: Expr, y: Expr, between: Expr) -> tuple[Expr, Expr, Expr]:
    """`_rotation` as expressions."""
    dtype = x.dtype
    unit = one(dtype)
    twice = Binary("mul", Const(2.0, dtype), between)
    theta = context.let(Binary("div", Binary("sub", y, x), twice))
    hypotenuse = Unary("sqrt", Fma(theta, theta, unit))
    size = context.let(Binary("div", unit, Binary("add", Unary("abs", theta), hypotenuse)))
    negative = Binary("lt", theta, zero(dtype))
    t = context.let(Select(negative, Unary("neg", size), size))
    c = context.let(Binary("div", unit, Unary("sqrt", Fma(t, t, unit))))
    return c, context.let(Binary("mul", t, c)), t


def _rotate_rows(
    context: LoopContext, result: int, rows: tuple[Index, Index], length: int, c: Expr, s: Expr
) -> None:
    away = context.let(Unary("neg", s))
    with lanes_from(context, ZERO, length, c.dtype) as j:
        first, second = (*rows[0], j), (*rows[1], j)
        x, y = context.read_result(result, first), context.read_result(result, second)
        context.write(result, first, Fma(away, y, Binary("mul", c, x)))
        context.write(result, second, Fma(s, x, Binary("mul", c, y)))


def _identity_rows(
    context: LoopContext, result: int, stack: Index, size: int, dtype: DType
) -> None:
    with context.loop(size) as i, lanes_from(context, ZERO, size, dtype) as j:
        context.write(result, (*stack, i, j), Convert(Binary("eq", i, j), dtype))


def _root(x: Expr) -> Expr:
    return Unary("sqrt", Unary("abs", x))


def _exceeds(context: LoopContext, x: Expr, y: Expr, between: Expr, share: float) -> Expr:
    """True unless `between` is at most a share of the geometric mean of x and y; so NaN spreads."""
    limit = Binary("mul", Binary("mul", Const(share, x.dtype), _root(x)), _root(y))
    return context.let(Unary("not", Binary("le", Unary("abs", between), limit)))


def _eigen_build(context: LoopContext, op: Op) -> None:
    """Rows p and q are rotated; columns p and q are then what rows p and q are."""
    (a,), size = op.operands, op.operands[0].shape[-1]
    dtype = a.dtype
    with stack_loop(context, a.shape, _eigen_cost(op).flops) as stack:
        with context.loop(size) as i, context.between(ZERO, add(i, const(1)), size) as j:
            entry = context.read(a, (*stack, i, j))
            context.write(0, (*stack, i, j), entry)
            context.write(0, (*stack, j, i), entry)
        _identity_rows(context, 1, stack, size, dtype)
        with _all_pairs(context, size) as (p, q, rotated):
            x = context.read_result(0, (*stack, p, p))
            y = context.read_result(0, (*stack, q, q))
            between = context.read_result(0, (*stack, p, q))
            with context.when(_exceeds(context, x, y, between, _epsilon(dtype))):
                rotated()
                c, s, t = _angle(context, x, y, between)
                rows = ((*stack, p), (*stack, q))
                _rotate_rows(context, 0, rows, size, c, s)
                with context.loop(size) as i:
                    for k in (p, q):
                        moved = context.read_result(0, (*stack, k, i))
                        context.write(0, (*stack, i, k), moved)
                context.write(0, (*stack, p, p), Fma(Unary("neg", t), between, x))
                context.write(0, (*stack, q, q), Fma(t, between, y))
                context.write(0, (*stack, p, q), zero(dtype))
                context.write(0, (*stack, q, p), zero(dtype))
                _rotate_rows(context, 1, rows, size, c, s)


def _svd_build(context: LoopContext, op: Op) -> None:
    (a,), (size, length) = op.operands, op.operands[0].shape[-2:]
    dtype = a.dtype
    with stack_loop(context, a.shape, _svd_cost(op).flops) as stack:
        with context.loop(size) as i, lanes_from(context, ZERO, length, dtype) as j:
            context.write(0, (*stack, i, j), context.read(a, (*stack, i, j)))
        _identity_rows(context, 1, stack, size, dtype)
        with _all_pairs(context, size) as (p, q, rotated):
            rows = ((*stack, p), (*stack, q))
            x, y, between = _products(context, rows, length, dtype)
            with context.when(_exceeds(context, x, y, between, _noise(dtype, length))):
                rotated()
                c, s, _ = _angle(context, x, y, between)
                _rotate_rows(context, 0, rows, length, c, s)
                _rotate_rows(context, 1, rows, size, c, s)


def _products(
    context: LoopContext, rows: tuple[Index, Index], length: int, dtype: DType
) -> tuple[Expr, ...]:
    """x.x, y.y and x.y of two rows: sums in lanes, then over the lanes."""
    width = lane_count(dtype)
    sums = [context.local((width,), dtype) for _ in range(3)]
    for buffer in sums:
        with context.loop(width, "vector") as lane:
            context.store(buffer, (lane,), zero(dtype))
    blocks = -(-length // width)
    with context.loop(blocks) as block, context.loop(width, "vector") as lane:
        j = add(Binary("mul", block, const(width)), lane)
        with context.guard(Binary("lt", j, const(length))):
            x = context.read_result(0, (*rows[0], j))
            y = context.read_result(0, (*rows[1], j))
        for buffer, (left, right) in zip(sums, ((x, x), (y, y), (x, y)), strict=True):
            total = Fma(left, right, context.load(buffer, (lane,)))
            context.store(buffer, (lane,), total)
    totals = []
    for buffer in sums:
        half = width // 2
        while half:
            with context.loop(half, "vector") as lane:
                other = context.load(buffer, (add(lane, const(half)),))
                folded = Binary("add", context.load(buffer, (lane,)), other)
                context.store(buffer, (lane,), folded)
            half //= 2
        totals.append(context.load(buffer, (ZERO,)))
    return tuple(totals)


def _eigen_cost(op: Op) -> Cost:
    """A rotation of two rows of both results for each pair in each turn."""
    elements, size = op.operands[0].type.elements, op.operands[0].shape[-1]
    return Cost(_USUAL_TURNS * 6 * elements * size, bytes_moved(op))


def _svd_cost(op: Op) -> Cost:
    """Three products and a rotation of two rows of both results for each pair in each turn."""
    elements, size = op.operands[0].type.elements, op.operands[0].shape[-2]
    return Cost(_USUAL_TURNS * 9 * elements * size, bytes_moved(op))


RECORDS = (
    OpRecord(
        "jacobi_eigen", {}, _eigen_types, _eigen_evaluate,
        NoGradient("a part of eigh, which has a gradient"), Loops(_eigen_build), _eigen_cost,
    ),
    OpRecord(
        "jacobi_svd", {}, _svd_types, _svd_evaluate,
        NoGradient("a part of svd, which has a gradient"), Loops(_svd_build), _svd_cost,
    ),
)  # fmt: skip
