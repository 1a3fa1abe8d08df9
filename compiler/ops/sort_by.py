"""sort_by: tensors sorted together along a dim by a comparison of scalars; order_by finds the order.

Name and rule of sort_by are StableHLO's sort: the comparison takes both elements of the first
operand, then both of the second, and so on, and is true where the left ones come first.  Sorting is
always stable.  The op sort is the case of keys in ascending or descending order, which has a faster
kernel.

order_by merges runs from the bottom up, positions only; its second result is the memory that runs
are merged into by turns, zeros when all is done.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import BOOL, I32, I64
from tensorkiln.compiler.ir.function import Array, Attributes, Function, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Const, Convert, Expr, Index, Select
from tensorkiln.compiler.kernel.index import add, const, mul, sub, unflatten
from tensorkiln.compiler.ops.along import take_along
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import TRUE, as_index, clamped, require
from tensorkiln.compiler.ops.record import (
    ByRegions,
    Composite,
    Cost,
    FromBody,
    LoopContext,
    Loops,
    NoGradient,
    OpRecord,
    RegionRule,
    Run,
    Types,
    bytes_moved,
)
from tensorkiln.compiler.ops.scalar_regions import PARALLEL_WORK, check_region, region_flops

_LONGEST = 1 << 31  # positions are i32


def _check(types: Types, attributes: Attributes, regions: Sequence[Function]) -> None:
    """C1: there are operands, all of one shape.  C2: dimension is a dim of theirs, whose positions
    fit in i32.  C3: the region compares two elements of each operand."""
    require(bool(types), "C1: there are no operands")
    first, axis = types[0], attributes["dimension"]
    same = all(t.shape == first.shape for t in types)
    require(same, f"C1: shapes differ: {', '.join(map(str, types))}")
    fits = isinstance(axis, int) and 0 <= axis < first.rank
    require(fits, f"C2: {first} has no dimension {axis}")
    assert isinstance(axis, int)
    size = first.shape[axis]
    require(not isinstance(size, int) or size < _LONGEST, f"C2: {size} elements are too many")
    require(len(regions) == 1, f"C3: takes one region, not {len(regions)}")
    check_region(regions[0], [t.dtype for t in types for _ in range(2)], [BOOL], "C3")


def _types(
    types: Types, attributes: Attributes, regions: Sequence[Function]
) -> tuple[TensorType, ...]:
    """C1, C2, C3: see _check."""
    _check(types, attributes, regions)
    return tuple(types)


def _order_types(
    types: Types, attributes: Attributes, regions: Sequence[Function]
) -> tuple[TensorType, ...]:
    """C1, C2, C3: see _check."""
    _check(types, attributes, regions)
    return (types[0].with_dtype(I32),) * 2


def _order_run(op: Op, arrays: Sequence[Array], run: Run) -> Sequence[Array]:
    axis, (region,) = op.integer("dimension"), op.regions
    length = op.results[0].shape[axis]
    rows = [np.moveaxis(array, axis, -1) for array in arrays]
    order = np.zeros(rows[0].shape, np.int32)
    for index in np.ndindex(*order.shape[:-1]):

        def first(i: int, j: int, index: tuple[int, ...] = index) -> bool:
            pairs = [np.asarray(row[index][k]) for row in rows for k in (i, j)]
            return bool(np.asarray(run(region, pairs)[0]))

        def compare(i: int, j: int) -> int:
            return -1 if first(i, j) else int(first(j, i))

        order[index] = sorted(range(length), key=functools.cmp_to_key(compare))
    found = np.ascontiguousarray(np.moveaxis(order, -1, axis))
    return [found, np.zeros_like(found)]


def _build(context: LoopContext, op: Op) -> None:
    shape, axis = op.results[0].shape, op.integer("dimension")
    others, length = (*shape[:axis], *shape[axis + 1 :]), shape[axis]
    rows, passes = math.prod(others), _passes(length)
    kind = "parallel" if rows > 1 and _cost(op).flops >= PARALLEL_WORK else "for"
    with context.loop(rows, kind) as number:
        outer = unflatten(number, others)

        def at(place: Expr) -> Index:
            return (*outer[:axis], place, *outer[axis:])

        with context.loop(length) as k:
            context.write(passes % 2, at(k), Convert(k, I32))
        for step in range(passes):
            row = _Row(context, op, at, length, (passes - step) % 2)
            row.merge(1 << step)
        with context.loop(length) as k:
            context.write(1, at(k), Const(0, I32))


class _Row:
    """One pass over a row: runs in result number `source` are merged into the other one."""

    def __init__(
        self, context: LoopContext, op: Op, at: Callable[[Expr], Index], length: int, source: int
    ) -> None:
        self.context, self.op, self.at, self.length = context, op, at, length
        self.source = source

    def merge(self, width: int) -> None:
        """Merges runs of `width` positions by twos."""
        context, length = self.context, self.length
        with context.loop(-(-length // (2 * width))) as pair:
            start = mul(pair, 2 * width)
            middle = context.let(Binary("min", add(start, const(width)), const(length)))
            end = context.let(Binary("min", add(start, const(2 * width)), const(length)))
            taken = context.local((), I64)
            context.store(taken, (), start)
            with context.between(start, end, length) as k:
                self._next(k, middle, end, taken)

    def _next(self, k: Expr, middle: Expr, end: Expr, taken: Buffer) -> None:
        """Puts the first of what is left at `k`; `taken` holds the first left of the left run."""
        context = self.context
        i = context.load(taken, ())
        j = context.let(Binary("sub", Binary("add", k, middle), i))
        left, right = (self._position(place) for place in (i, j))
        pairs = [
            context.read(x, self.at(clamped(as_index(context, place), 0, self.length - 1)))
            for x in self.op.operands
            for place in (right, left)
        ]
        (behind,) = context.apply(self.op.regions[0], pairs)
        ahead = Select(behind, Const(False, BOOL), TRUE)
        stays = Binary("or", Binary("ge", j, end), ahead)
        chosen = context.let(Binary("and", Binary("lt", i, middle), stays))
        context.store(taken, (), Binary("add", i, Convert(chosen, I64)))
        context.write(1 - self.source, self.at(k), Select(chosen, left, right))

    def _position(self, place: Expr) -> Expr:
        inside = Binary("min", place, sub(const(self.length), const(1)))
        return self.context.read_result(self.source, self.at(inside))


def _passes(length: int) -> int:
    return max(length - 1, 0).bit_length()


def _body(builder: Builder, op: Op) -> Sequence[Value]:
    attributes = {"dimension": op.integer("dimension")}
    order, _ = builder.op("order_by", op.operands, attributes, op.regions)
    return [take_along(builder, x, order, op.integer("dimension")) for x in op.operands]


def _cost(op: Op) -> Cost:
    """A comparison an element and pass."""
    length = op.results[0].shape[op.integer("dimension")]
    each = _passes(length) * region_flops(op.regions[0])
    return Cost(op.results[0].type.elements * each, bytes_moved(op))


RECORDS = (
    OpRecord(
        "order_by", {"dimension": "int"}, RegionRule(_order_types), ByRegions(_order_run),
        NoGradient("positions are integers"), Loops(_build), _cost,
    ),
    OpRecord(
        "sort_by", {"dimension": "int"}, RegionRule(_types), FromBody(_body), FromBody(_body),
        Composite(_body), _cost,
    ),
)  # fmt: skip
