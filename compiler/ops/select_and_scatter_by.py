"""The op select_and_scatter_by: an element of each window is chosen, and a value goes to it.

It is StableHLO's select_and_scatter in full, the gradient of a pooling by any choice; the op
select_and_scatter is the case of greatest or least elements and sums, which is faster.  `select(a, b)` is true where
the choice stays with a, which comes before b in row-major order; padding is never chosen, and the
value of a window that has no element goes nowhere.  `scatter(result, value)` joins what is at the
place, the initial value at first, with the window's value, windows in row-major order.  Gradients are
those of while loops of the same steps; the choice is taken as constant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import BOOL, I64
from tensorkiln.compiler.ir.function import Array, Attributes, Function, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Const, Expr, Select
from tensorkiln.compiler.kernel.index import const, unflatten
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import TRUE, all_of, clamped, expect, ints, require
from tensorkiln.compiler.ops.record import (
    ByRegions,
    Cost,
    FromBody,
    LoopContext,
    Loops,
    OpRecord,
    RegionRule,
    Run,
    Types,
    bytes_moved,
)
from tensorkiln.compiler.ops.reduce_by import source
from tensorkiln.compiler.ops.reduce_window import window_dims
from tensorkiln.compiler.ops.scalar_bodies import chosen_places, join_at
from tensorkiln.compiler.ops.scalar_regions import check_choice, check_region, region_flops
from tensorkiln.compiler.ops.shorthand import broadcast_to, compare, full, reshape
from tensorkiln.compiler.ops.windows import WindowDim

_FALSE = Const(False, BOOL)


def _types(
    types: Types, attributes: Attributes, regions: Sequence[Function]
) -> tuple[TensorType, ...]:
    """C1, C2: the windows are those of reduce_window.  C3: there are a value for each window and a
    scalar to start from, of the operand's dtype.  C4: the regions are select, of two scalars, and
    scatter, which gives one of two."""
    x, values, initial = expect(types, 3)
    windows = _window_dims(attributes, x.rank)
    counts = tuple(w.count(d) for w, d in zip(windows, x.shape, strict=True))
    fits = values == x.with_shape(counts)
    require(fits, f"C3: values {values} for windows {x.with_shape(counts)}")
    require(initial == x.with_shape(()), f"C3: {initial} is no start for {x}")
    require(len(regions) == 2, f"C4: takes the regions select and scatter, not {len(regions)}")
    check_choice(x.dtype, regions[0], "C4")
    check_region(regions[1], [x.dtype, x.dtype], [x.dtype], "C4")
    return (x,)


def _window_dims(attributes: Attributes, rank: int) -> tuple[WindowDim, ...]:
    ones = (1,) * len(ints(attributes, "window"))
    return window_dims({**attributes, "base_dilations": ones, "window_dilations": ones}, rank)


def _run(op: Op, arrays: Sequence[Array], run: Run) -> Sequence[Array]:
    (x, values, initial), (select, scatter) = arrays, op.regions
    windows = _window_dims(op.attributes, x.ndim)
    result = np.full(x.shape, initial, x.dtype)
    for index in np.ndindex(*values.shape):
        chosen: tuple[int, ...] | None = None
        for tap in np.ndindex(*op.ints("window")):
            place = source(windows, index, tap, x.shape)
            if place is None:
                continue
            stays = chosen is not None and run(
                select, [np.asarray(x[chosen]), np.asarray(x[place])]
            )
            if chosen is None or not (stays and bool(stays[0])):
                chosen = place
        if chosen is not None:
            pair = [np.asarray(result[chosen]), np.asarray(values[index])]
            (result[chosen],) = run(scatter, pair)
    return [result]


def _build(context: LoopContext, op: Op) -> None:
    (x, values, initial), (select, scatter) = op.operands, op.regions
    windows, box = _window_dims(op.attributes, x.type.rank), op.ints("window")
    start = context.read(initial, ())
    with context.loop(x.type.elements) as number:
        context.write(0, unflatten(number, x.shape), start)
    with context.loop(values.type.elements) as number:
        index = unflatten(number, values.shape)
        best, found = context.local((), x.dtype), context.local((), BOOL)
        place_of_best = context.local((), I64)
        context.store(best, (), start)
        context.store(found, (), _FALSE)
        context.store(place_of_best, (), const(0))
        with context.loop(math.prod(box)) as member:
            taps = unflatten(member, box)
            positions = [w.position(o, t) for w, o, t in zip(windows, index, taps, strict=True)]
            condition = all_of(
                c
                for window, position, size in zip(windows, positions, x.shape, strict=True)
                for c in window.conditions(position, size)
            )
            flat: Expr = const(0)
            place = tuple(positions)
            for position, size in zip(positions, x.shape, strict=True):
                flat = Binary("add", Binary("mul", flat, const(size)), position)
            with context.when(TRUE if condition is None else condition):
                before = context.load(best, ())
                element = context.read(x, place)
                (stays,) = context.apply(select, [before, element])
                stays = context.let(Binary("and", context.load(found, ()), stays))
                kept = context.load(place_of_best, ())
                context.store(best, (), Select(stays, before, element))
                context.store(place_of_best, (), Select(stays, kept, flat))
                context.store(found, (), TRUE)
        with context.when(context.load(found, ())):
            last = max(x.type.elements - 1, 0)
            chosen = context.let(clamped(context.load(place_of_best, ()), 0, last))
            target = unflatten(chosen, x.shape)
            pair = [context.read_result(0, target), context.read(values, index)]
            context.write(0, target, context.apply(scatter, pair)[0])


def _body(builder: Builder, op: Op) -> Sequence[Value]:
    (x, values, initial), (select, scatter) = op.operands, op.regions
    filled = broadcast_to(builder, initial, x.shape)
    if not values.type.elements:
        return [filled]
    windows = _window_dims(op.attributes, x.type.rank)
    places = chosen_places(builder, select, x, windows, values.shape)
    count = values.type.elements
    flat, numbers, given = (
        reshape(builder, v, (v.type.elements,)) for v in (filled, places, values)
    )
    inside = compare(builder, "GE", numbers, full(builder, (count,), 0, I64))
    (found,) = join_at(builder, scatter, [flat], numbers, inside, [given])
    return [reshape(builder, found, x.shape)]


def _cost(op: Op) -> Cost:
    """A choice an element of each window, and a value joined for each window."""
    values, (select, scatter) = op.operands[1].type.elements, op.regions
    taps = math.prod(op.ints("window"))
    each = taps * region_flops(select) + region_flops(scatter)
    return Cost(values * each, bytes_moved(op))


RECORDS = (
    OpRecord(
        "select_and_scatter_by",
        {"window": "ints", "strides": "ints", "padding": "pairs"},
        RegionRule(_types), ByRegions(_run), FromBody(_body), Loops(_build), _cost,
    ),
)  # fmt: skip
