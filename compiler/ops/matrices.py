"""What the ops of linear algebra share: stacks of matrices, their loops, their short forms.

The last two dims of an operand are a matrix's rows and columns; all dims before them are a stack.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from tensorkiln.compiler.ir.dtypes import F32, F64, I32, DType, part_of
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Const, Expr, Index
from tensorkiln.compiler.kernel.index import ZERO, add, const, floordiv, mul, unflatten
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import require
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.record import LoopContext
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    broadcast_to,
    compare,
    convert,
    dot_general,
    full,
    full_like,
    iota,
    select,
    transpose,
    zeros_like,
)

Cotangents = Sequence[Value | None]
PARALLEL_FLOPS = 1 << 16  # below that, waking threads costs more than it gives
_LANE_BYTES = 64


def check_matrices(kind: TensorType, constraint: str, square: bool = False) -> None:
    """Constraint: matrices of f32 or f64 (or complex: the registry knows which ops take those),
    square ones where that is asked for."""
    fits = (kind.dtype in (F32, F64) or kind.dtype.is_complex) and kind.rank >= 2
    require(fits, f"{constraint}: {kind} does not hold matrices of f32 or f64")
    if square:
        fits = kind.shape[-1] == kind.shape[-2]
        require(fits, f"{constraint}: the matrices of {kind} are not square")


def real_dtype(dtype: DType) -> DType:
    """The dtype of sizes of numbers of a dtype."""
    return part_of(dtype) if dtype.is_complex else dtype


# Loops


@contextmanager
def stack_loop(context: LoopContext, shape: Sequence[int], flops: int) -> Iterator[Index]:
    """A loop over the matrices of a stack; `flops` says what all of them cost together."""
    outer = tuple(shape[:-2])
    many = math.prod(outer)
    kind = "parallel" if many > 1 and flops >= PARALLEL_FLOPS else "for"
    with context.loop(many, kind) as number:
        yield unflatten(number, outer)


def lane_count(dtype: DType) -> int:
    """How many elements are worked on together."""
    return _LANE_BYTES // dtype.bytes


@contextmanager
def lanes_from(context: LoopContext, start: Expr, size: int, dtype: DType) -> Iterator[Expr]:
    """Lanes j with start <= j < size, a vector at a time."""
    width = lane_count(dtype)
    blocks = -(-size // width)
    with (
        context.between(floordiv(start, width), const(blocks), blocks) as block,
        context.loop(width, "vector") as lane,
    ):
        j = add(mul(block, width), lane)
        inside: Expr = Binary("lt", j, const(size))
        if start != ZERO:
            inside = Binary("and", inside, Binary("ge", j, start))
        with context.when(inside):
            yield j


def zero(dtype: DType) -> Const:
    """The number 0."""
    return Const(0.0, dtype)


def one(dtype: DType) -> Const:
    """The number 1."""
    return Const(1.0, dtype)


# Short forms


def flip(builder: Builder, x: Value) -> Value:
    """Each matrix transposed."""
    rank = x.type.rank
    return transpose(builder, x, (*range(rank - 2), rank - 1, rank - 2))


def conjugate(builder: Builder, x: Value) -> Value:
    """The complex conjugates; real numbers as they are."""
    return builder.one("conjugate", (x,)) if x.dtype.is_complex else x


def adjoint(builder: Builder, x: Value) -> Value:
    """The conjugate transpose of each matrix; of a real one its transpose."""
    return conjugate(builder, flip(builder, x))


def real_part(builder: Builder, x: Value) -> Value:
    """`x` without imaginary parts, in its dtype."""
    return convert(builder, builder.one("real", (x,)), x.dtype) if x.dtype.is_complex else x


def product(builder: Builder, a: Value, b: Value) -> Value:
    """Matrices of one stack times those of another of the same shape."""
    rank = a.type.rank
    stack = tuple(range(rank - 2))
    return dot_general(builder, a, b, stack, stack, (rank - 1,), (rank - 2,))


def _places(builder: Builder, rows: int, columns: int) -> tuple[Value, Value]:
    shape = (rows, columns)
    return iota(builder, shape, 0, I32), iota(builder, shape, 1, I32)


def triangle(builder: Builder, x: Value, lower: bool, strict: bool = False) -> Value:
    """The elements of a triangle with the diagonal (without, if `strict`), zeros elsewhere."""
    row, column = _places(builder, x.shape[-2], x.shape[-1])
    low, high = (column, row) if lower else (row, column)
    inside = compare(builder, "LT" if strict else "LE", low, high)
    return select(builder, broadcast_to(builder, inside, x.shape), x, zeros_like(builder, x))


def on_diagonal(builder: Builder, x: Value, off_diagonal: Value) -> Value:
    """The diagonal of `x`, and elsewhere the elements of `off_diagonal`."""
    row, column = _places(builder, x.shape[-2], x.shape[-1])
    same = broadcast_to(builder, compare(builder, "EQ", row, column), x.shape)
    return select(builder, same, x, off_diagonal)


def mirrored_gradient(builder: Builder, g: Value) -> Value:
    """The gradient for an operand of whose symmetric (Hermitian) matrices only the lower triangle is
    read: the elements above the diagonal stand for those below it."""
    both = builder.one("add", (g, adjoint(builder, g)))
    return on_diagonal(
        builder, real_part(builder, g), triangle(builder, both, lower=True, strict=True)
    )


def mirrored_lower(builder: Builder, x: Value) -> Value:
    """The symmetric (Hermitian) matrices whose lower triangles those of `x` are."""
    low = triangle(builder, x, lower=True)
    high = adjoint(builder, triangle(builder, x, lower=True, strict=True))
    both = builder.one("add", (low, high))
    return on_diagonal(builder, real_part(builder, x), both) if x.dtype.is_complex else both


def halved_diagonal(builder: Builder, x: Value) -> Value:
    """`x` with half of its diagonal."""
    half = full(builder, x.shape, 0.5, x.dtype)
    return on_diagonal(builder, builder.one("multiply", (x, half)), x)


def diagonal(builder: Builder, x: Value) -> Value:
    """The elements (k, k) along a last dim."""
    only = on_diagonal(builder, x, zeros_like(builder, x))
    rows, columns = x.shape[-2:]
    # The longer dim is summed away: each sum has one element that is not zero.
    along = x.type.rank - 2 if rows >= columns else x.type.rank - 1
    return builder.one("reduce", (only,), dimensions=(along,), reducer="add")


def as_columns(builder: Builder, x: Value, shape: Sequence[int]) -> Value:
    """Matrices of `shape` all of whose columns are `x`."""
    return broadcast_in_dim(builder, x, shape, range(x.type.rank))


def in_range(builder: Builder, a: Value) -> tuple[Value, Value | None]:
    """Matrices whose elements' squares neither overflow nor vanish, and what they are to be
    multiplied by (one number a matrix, 1 wherever no scaling is needed), in the shape [..., 1, 1].

    None for matrices without elements.
    """
    if not a.type.elements:
        return a, None
    high = 1e140 if a.dtype.bits == 64 else 1e15
    size = Formula(builder, a).apply("abs").reduce("maximum", (-2, -1), keep_dims=True)
    one = Formula(builder, full_like(builder, size.value, 1))
    usual = size.compare("LT", high)
    tiny = size.compare("LT", 1 / high)
    some = size.compare("GT", 0.0)
    scale = usual.select(tiny.select(some.select(size, one), one), size)
    return binary(builder, "divide", a, scale.value), scale.value


def identity(builder: Builder, shape: Sequence[int], dtype: DType) -> Value:
    """Matrices with ones on the diagonal and zeros elsewhere."""
    eye = builder.constant(np.eye(shape[-2], shape[-1], dtype=dtype.numpy))
    return broadcast_to(builder, eye, tuple(shape))
