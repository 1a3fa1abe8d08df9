"""reduce_by and reduce_window_by: dims or windows folded by a region of scalars.

They are StableHLO's reduce and reduce_window in full: several inputs are folded together, and the
body may be any function.  The ops reduce and reduce_window are the cases with a named reducer, which
have faster kernels.  Elements are folded one after the other in row-major order, the state on the
left, so that every run and number of threads gives the same bits.  Their gradients are those of while
loops of the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Array, Attributes, Function, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Expr, Select
from tensorkiln.compiler.kernel.index import unflatten
from tensorkiln.compiler.ops.checks import all_of, are_axes, ints, require
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
from tensorkiln.compiler.ops.reduce import member_index
from tensorkiln.compiler.ops.reduce_window import window_dims
from tensorkiln.compiler.ops.scalar_bodies import reduce_body, reduce_window_body
from tensorkiln.compiler.ops.scalar_regions import (
    PARALLEL_WORK,
    State,
    check_folds,
    region_flops,
)
from tensorkiln.compiler.ops.windows import WindowDim


def _types(
    types: Types, attributes: Attributes, regions: Sequence[Function]
) -> tuple[TensorType, ...]:
    """C1, C2: see check_folds.  C3: dimensions are different dims of the inputs."""
    inputs, dimensions = check_folds(types, regions), ints(attributes, "dimensions")
    fits = are_axes(dimensions, inputs[0].rank)
    require(fits, f"C3: dimensions {dimensions} for inputs {inputs[0]}")
    kept = [size for axis, size in enumerate(inputs[0].shape) if axis not in dimensions]
    return tuple(t.with_shape(tuple(kept)) for t in inputs)


def _window_types(
    types: Types, attributes: Attributes, regions: Sequence[Function]
) -> tuple[TensorType, ...]:
    """C1, C2: see check_folds.  C3, C4: the windows are those of reduce_window's C1 and C2."""
    inputs = check_folds(types, regions)
    windows = window_dims(attributes, inputs[0].rank)
    shape = tuple(w.count(d) for w, d in zip(windows, inputs[0].shape, strict=True))
    return tuple(t.with_shape(shape) for t in inputs)


def _run(op: Op, arrays: Sequence[Array], run: Run) -> Sequence[Array]:
    count, (region,) = len(arrays) // 2, op.regions
    inputs, starts = arrays[:count], arrays[count:]
    dimensions = sorted(op.ints("dimensions"))
    box = [inputs[0].shape[axis] for axis in dimensions]
    results = [np.empty(v.shape, v.dtype.numpy) for v in op.results]
    for index in np.ndindex(*op.results[0].shape):
        state = list(starts)
        for inner in np.ndindex(*box):
            outside, inside = iter(index), iter(inner)
            place = tuple(
                next(inside) if axis in dimensions else next(outside)
                for axis in range(inputs[0].ndim)
            )
            state = list(run(region, [*state, *(np.asarray(x[place]) for x in inputs)]))
        for result, value in zip(results, state, strict=True):
            result[index] = value
    return results


def _windows(op: Op) -> tuple[WindowDim, ...]:
    return window_dims(op.attributes, op.operands[0].type.rank)


def _window_run(op: Op, arrays: Sequence[Array], run: Run) -> Sequence[Array]:
    count, (region,), windows = len(arrays) // 2, op.regions, _windows(op)
    inputs, starts = arrays[:count], arrays[count:]
    results = [np.empty(v.shape, v.dtype.numpy) for v in op.results]
    for index in np.ndindex(*op.results[0].shape):
        state = list(starts)
        for tap in np.ndindex(*op.ints("window")):
            place = source(windows, index, tap, inputs[0].shape)
            members = starts if place is None else [np.asarray(x[place]) for x in inputs]
            state = list(run(region, [*state, *members]))
        for result, value in zip(results, state, strict=True):
            result[index] = value
    return results


def source(
    windows: Sequence[WindowDim], index: Sequence[int], tap: Sequence[int], shape: Sequence[int]
) -> tuple[int, ...] | None:
    """The element under a tap of a window; None in padding and holes."""
    place = []
    for window, o, t, size in zip(windows, index, tap, shape, strict=True):
        position = o * window.stride + t * window.dilation - window.low
        if position % window.base or not 0 <= position // window.base < size:
            return None
        place.append(position // window.base)
    return tuple(place)


def _build(context: LoopContext, op: Op) -> None:
    dimensions, shape = sorted(op.ints("dimensions")), op.results[0].shape
    rank = op.operands[0].type.rank
    box = tuple(op.operands[0].shape[axis] for axis in dimensions)
    count = math.prod(shape)
    with context.loop(count, _kind(op, count)) as number:
        index = unflatten(number, shape)
        state = State(context, op)
        with context.loop(math.prod(box)) as member:
            place = member_index(rank, dimensions, index, unflatten(member, box))
            state.fold([context.read(x, place) for x in state.inputs])
        for result, value in enumerate(state.values()):
            context.write(result, index, value)


def _window_build(context: LoopContext, op: Op) -> None:
    windows, shape = _windows(op), op.results[0].shape
    sizes, box, count = op.operands[0].shape, op.ints("window"), math.prod(shape)
    with context.loop(count, _kind(op, count)) as number:
        index = unflatten(number, shape)
        state = State(context, op)
        with context.loop(math.prod(box)) as member:
            taps = unflatten(member, box)
            positions = [w.position(o, t) for w, o, t in zip(windows, index, taps, strict=True)]
            condition = all_of(
                c
                for window, position, size in zip(windows, positions, sizes, strict=True)
                for c in window.conditions(position, size)
            )
            place = tuple(w.source(p) for w, p in zip(windows, positions, strict=True))
            elements: list[Expr] = []
            for x, start in zip(state.inputs, state.starts, strict=True):
                if condition is None:
                    elements.append(context.read(x, place))
                    continue
                with context.guard(condition):
                    element = context.read(x, place)
                elements.append(context.let(Select(condition, element, start)))
            state.fold(elements)
        for result, value in enumerate(state.values()):
            context.write(result, index, value)


def _kind(op: Op, count: int) -> str:
    return "parallel" if count > 1 and _cost(op).flops >= PARALLEL_WORK else "for"


def _cost(op: Op) -> Cost:
    """One application of the region an element."""
    folded = op.results[0].type.elements
    if "window" in op.attributes:
        folded *= math.prod(op.ints("window"))
    else:
        folded = op.operands[0].type.elements
    return Cost(folded * region_flops(op.regions[0]), bytes_moved(op))


RECORDS = (
    OpRecord(
        "reduce_by", {"dimensions": "ints"}, RegionRule(_types), ByRegions(_run),
        FromBody(reduce_body), Loops(_build), _cost,
    ),
    OpRecord(
        "reduce_window_by",
        {
            "window": "ints", "strides": "ints", "base_dilations": "ints",
            "window_dilations": "ints", "padding": "pairs",
        },
        RegionRule(_window_types), ByRegions(_window_run), FromBody(reduce_window_body),
        Loops(_window_build), _cost,
    ),
)  # fmt: skip
