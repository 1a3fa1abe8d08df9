"""Boxes at places known only at run time: dynamic_slice dynamic_update_slice.

Rules and names are StableHLO's: starts are clamped so that the box fits.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Expr, Index, Select
from tensorkiln.compiler.kernel.index import ZERO, add, sub
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import (
    all_of,
    as_index,
    at_most,
    between,
    clamped,
    dims,
    guarded,
    require,
    require_index,
)
from tensorkiln.compiler.ops.record import (
    Cost,
    Element,
    ElementContext,
    OpRecord,
    Types,
)
from tensorkiln.compiler.ops.shorthand import (
    dynamic_slice,
    dynamic_update_slice,
    zeros_like,
)

Cotangents = Sequence[Value | None]


def _check_starts(starts: Types, rank: int, constraint: str) -> None:
    require(len(starts) == rank, f"{constraint}: {len(starts)} starts for {rank} dims")
    for start in starts:
        require_index(start, "a start", constraint)
        require(start.rank == 0, f"{constraint}: start {start} is not a scalar")


def _slice_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: a scalar start (i32 or i64) for each dim.  C2: a size for each dim, at most the dim."""
    require(bool(types), "C0: dynamic_slice needs an operand")
    x, sizes = types[0], dims(attributes, "sizes")
    _check_starts(types[1:], x.rank, "C1")
    fits = len(sizes) == x.rank
    fits = fits and all(
        at_most(0, n) and at_most(n, d) for n, d in zip(sizes, x.shape, strict=True)
    )
    require(fits, f"C2: a box of sizes ({', '.join(map(str, sizes))}) does not fit in {x}")
    return (x.with_shape(sizes),)


def _box(starts: Sequence[Array], sizes: Sequence[int], shape: Sequence[int]) -> tuple[slice, ...]:
    firsts = [
        min(max(int(start), 0), dim - size)
        for start, size, dim in zip(starts, sizes, shape, strict=True)
    ]
    return tuple(slice(first, first + size) for first, size in zip(firsts, sizes, strict=True))


def _slice_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    x, *starts = arrays
    return [x[_box(starts, op.ints("sizes"), x.shape)].copy()]


def box_starts(
    context: ElementContext, starts: Sequence[Value], sizes: Sequence[int], shape: Sequence[int]
) -> Index:
    """The clamped starts; where the box is as large as the dim nothing is read."""
    return tuple(
        ZERO if size == dim else clamped(as_index(context, context.read(start, ())), 0, dim - size)
        for start, size, dim in zip(starts, sizes, shape, strict=True)
    )


def _slice_element(context: ElementContext, op: Op, index: Index) -> Expr:
    x, *starts = op.operands
    firsts = box_starts(context, starts, op.ints("sizes"), x.shape)
    return context.read(x, tuple(map(add, firsts, index)))


def _slice_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    x, *starts = op.operands
    (g,), rest = cotangents, [None] * len(starts)
    if g is None:
        return [None, *rest]
    return [dynamic_update_slice(builder, zeros_like(builder, x), g, starts), *rest]


def _update_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the update has the operand's dtype and rank and fits in it.  C2: a scalar start (i32 or
    i64) for each dim."""
    require(len(types) >= 2, "C0: dynamic_update_slice needs an operand and an update")
    x, update, *starts = types
    fits = update.dtype == x.dtype and update.rank == x.rank
    fits = fits and all(map(at_most, update.shape, x.shape))
    require(fits, f"C1: update {update} does not fit in {x}")
    _check_starts(starts, x.rank, "C2")
    return (x,)


def _update_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    x, update, *starts = arrays
    result = x.copy()
    result[_box(starts, update.shape, x.shape)] = update
    return [result]


def _update_element(context: ElementContext, op: Op, index: Index) -> Expr:
    x, update, *starts = op.operands
    if not update.type.elements:
        return context.read(x, index)
    firsts = box_starts(context, starts, update.shape, x.shape)
    local = tuple(map(sub, index, firsts))
    inside = all_of(c for i, n in zip(local, update.shape, strict=True) for c in between(i, 0, n))
    with guarded(context, inside):
        element = context.read(update, local)
    if inside is None:
        return element
    return context.let(Select(inside, element, context.read(x, index)))


def _update_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    _, update, *starts = op.operands
    (g,), rest = cotangents, [None] * len(starts)
    if g is None:
        return [None, None, *rest]
    hole = dynamic_update_slice(builder, g, zeros_like(builder, update), starts)
    return [hole, dynamic_slice(builder, g, starts, update.type.shape), *rest]


def _slice_cost(op: Op) -> Cost:
    """The box is read and written."""
    return Cost(0, 2 * op.result.type.bytes)


def _update_cost(op: Op) -> Cost:
    """The result is written once; it is read from the operand and the update."""
    return Cost(0, 2 * op.result.type.bytes)


RECORDS = (
    OpRecord(
        "dynamic_slice",
        {"sizes": "dims"},
        _slice_types,
        _slice_evaluate,
        _slice_gradient,
        Element(_slice_element),
        _slice_cost,
    ),
    OpRecord(
        "dynamic_update_slice",
        {},
        _update_types,
        _update_evaluate,
        _update_gradient,
        Element(_update_element),
        _update_cost,
    ),
)
