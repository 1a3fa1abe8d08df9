"""The op dot_general: products of two tensors summed over contracting dims.

Rule and name are StableHLO's; the result's dims are batch, lhs free, rhs free.  Sums of f16 and
bf16 are kept in f32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Const, Expr, Index
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import accumulator, are_axes, expect, ints, require, widened
from tensorkiln.compiler.ops.record import (
    Cost,
    ElementContext,
    OpRecord,
    Reduction,
    Types,
    bytes_moved,
)
from tensorkiln.compiler.ops.shorthand import dot_general, transpose

Cotangents = Sequence[Value | None]


@dataclass(frozen=True, slots=True)
class Side:
    """What the dims of one operand are: batch, contracting (in pairing order), free (ascending)."""

    batch: tuple[int, ...]
    contracting: tuple[int, ...]
    free: tuple[int, ...]

    @property
    def order(self) -> tuple[int, ...]:
        """Batch, free, contracting dims."""
        return (*self.batch, *self.free, *self.contracting)


def sides(attributes: Attributes, ranks: tuple[int, int]) -> tuple[Side, Side]:
    """The dims of lhs and rhs by role."""
    found = []
    for name, rank in zip(("lhs", "rhs"), ranks, strict=True):
        batch = ints(attributes, f"{name}_batch")
        contracting = ints(attributes, f"{name}_contracting")
        free = tuple(k for k in range(rank) if k not in (*batch, *contracting))
        found.append(Side(batch, contracting, free))
    return found[0], found[1]


def _sides(op: Op) -> tuple[Side, Side]:
    a, b = op.operands
    return sides(op.attributes, (a.type.rank, b.type.rank))


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operands have one dtype, a number.  C2: batch and contracting dims are different
    dims of their operand.  C3: lhs and rhs have as many of each.  C4: paired dims are equal."""
    a, b = expect(types, 2)
    numbers = a.dtype == b.dtype and a.dtype.is_number
    require(numbers, f"C1: operands {a} and {b} must have one dtype, a number")
    left, right = sides(attributes, (a.rank, b.rank))
    for kind, side in ((a, left), (b, right)):
        axes = (*side.batch, *side.contracting)
        require(
            are_axes(axes, kind.rank),
            f"C2: batch {side.batch}, contracting {side.contracting} for operand {kind}",
        )
    paired = len(left.batch) == len(right.batch)
    paired = paired and len(left.contracting) == len(right.contracting)
    require(paired, "C3: lhs and rhs differ in the number of batch or contracting dims")
    for i, j in zip(
        (*left.batch, *left.contracting), (*right.batch, *right.contracting), strict=True
    ):
        require(a.shape[i] == b.shape[j], f"C4: dim {i} of {a} does not match dim {j} of {b}")
    shape = [a.shape[k] for k in (*left.batch, *left.free)] + [b.shape[k] for k in right.free]
    return (a.with_shape(tuple(shape)),)


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    (a, b), (left, right), kind = arrays, _sides(op), op.result.dtype
    wide = accumulator(kind).numpy
    batch = [a.shape[k] for k in left.batch]
    inner = math.prod(a.shape[k] for k in left.contracting)
    rows = math.prod(a.shape[k] for k in left.free)
    columns = math.prod(b.shape[k] for k in right.free)
    x = a.astype(wide, copy=False).transpose(left.order).reshape(*batch, rows, inner)
    order = (*right.batch, *right.contracting, *right.free)
    y = b.astype(wide, copy=False).transpose(order).reshape(*batch, inner, columns)
    return [np.matmul(x, y).reshape(op.result.shape).astype(kind.numpy, copy=False)]


def _extents(op: Op) -> tuple[int, ...]:
    shape = op.operands[0].shape
    return tuple(shape[k] for k in _sides(op)[0].contracting)


def _initial(op: Op) -> tuple[Expr, ...]:
    state = accumulator(op.result.dtype)
    return (Const(0.0 if state.is_float else 0, state),)


def operand_indices(op: Op, index: Index, inner: Index) -> tuple[Index, Index]:
    """The elements of lhs and rhs whose product is member `inner` of result element `index`."""
    left, right = _sides(op)
    batch, free = index[: len(left.batch)], index[len(left.batch) :]
    own = (free[: len(left.free)], free[len(left.free) :])
    found = []
    for side, outer in zip((left, right), own, strict=True):
        place = dict(zip(side.order, (*batch, *outer, *inner), strict=True))
        found.append(tuple(place[k] for k in range(len(place))))
    return found[0], found[1]


def _element(context: ElementContext, op: Op, index: Index, inner: Index) -> tuple[Expr, ...]:
    wide = accumulator(op.result.dtype)
    a, b = (
        widened(context.read(value, at), wide)
        for value, at in zip(op.operands, operand_indices(op, index, inner), strict=True)
    )
    return (Binary("mul", a, b),)


def combine_sum(
    context: ElementContext, op: Op, a: tuple[Expr, ...], b: tuple[Expr, ...]
) -> tuple[Expr, ...]:
    """The sum of two partial sums."""
    return (Binary("add", a[0], b[0]),)


def _operand_gradient(
    builder: Builder, g: Value, other: Value, side: Side, other_side: Side, own_first: bool
) -> Value:
    """The cotangent contracted with the other operand over that one's free dims.

    In `g` the dims are batch, lhs free, rhs free; the product's dims are batch, own free, and own
    contracting dims in the order in which their partners stand in the other operand.
    """
    batch = tuple(range(len(side.batch)))
    own = len(side.free) if own_first else 0
    theirs = tuple(range(len(batch) + own, len(batch) + own + len(other_side.free)))
    product = dot_general(builder, g, other, batch, other_side.batch, theirs, other_side.free)
    partners = sorted(range(len(side.contracting)), key=lambda k: other_side.contracting[k])
    order = (*side.batch, *side.free, *(side.contracting[k] for k in partners))
    return transpose(builder, product, [order.index(k) for k in range(len(order))])


def _gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (a, b), (g,), (left, right) = op.operands, cotangents, _sides(op)
    if g is None:
        return [None, None]
    return [
        _operand_gradient(builder, g, b, left, right, own_first=True),
        _operand_gradient(builder, g, a, right, left, own_first=False),
    ]


def _cost(op: Op) -> Cost:
    """A multiplication and an addition a member."""
    return Cost(2 * op.result.type.elements * math.prod(_extents(op)), bytes_moved(op))


RECORDS = (
    OpRecord(
        "dot_general",
        {
            "lhs_batch": "ints",
            "rhs_batch": "ints",
            "lhs_contracting": "ints",
            "rhs_contracting": "ints",
        },
        _types,
        _evaluate,
        _gradient,
        Reduction(_extents, _initial, _element, combine_sum),
        _cost,
    ),
)
