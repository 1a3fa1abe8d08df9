"""The op scan_by: the running values of a fold by a region of scalars along one dim.

Result k of a line is the state after its elements 0 to k (before element k, if `exclusive`),
folded one after the other, the state on the left; `reverse` goes from the end.  Several inputs are
folded together.  The op cumulative is the case of a named reducer, which has a faster kernel;
StableHLO has no such op, CHLO's scan states the meaning.  The gradient is that of a while loop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Array, Attributes, Function, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.ops.checks import require
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
from tensorkiln.compiler.ops.scalar_bodies import scan_body
from tensorkiln.compiler.ops.scalar_regions import (
    PARALLEL_WORK,
    State,
    check_folds,
    region_flops,
)


def _types(
    types: Types, attributes: Attributes, regions: Sequence[Function]
) -> tuple[TensorType, ...]:
    """C1, C2: see check_folds.  C3: dimension is a dim of the inputs."""
    inputs, axis = check_folds(types, regions), attributes["dimension"]
    fits = isinstance(axis, int) and 0 <= axis < inputs[0].rank
    require(fits, f"C3: {inputs[0]} has no dimension {axis}")
    return tuple(inputs)


def _run(op: Op, arrays: Sequence[Array], run: Run) -> Sequence[Array]:
    count, (region,), axis = len(arrays) // 2, op.regions, op.integer("dimension")
    results = [np.empty(v.shape, v.dtype.numpy) for v in op.results]
    lines = [np.moveaxis(x, axis, -1) for x in arrays[:count]]
    written = [np.moveaxis(x, axis, -1) for x in results]
    places = range(lines[0].shape[-1])
    for line in np.ndindex(*lines[0].shape[:-1]):
        state = list(arrays[count:])
        for k in reversed(places) if op.flag("reverse") else places:
            before, place = state, (*line, k)
            state = list(run(region, [*state, *(np.asarray(x[place]) for x in lines)]))
            for result, value in zip(
                written, before if op.flag("exclusive") else state, strict=True
            ):
                result[place] = value
    return results


def _build(context: LoopContext, op: Op) -> None:
    axis, shape = op.integer("dimension"), op.results[0].shape
    outer = (*shape[:axis], *shape[axis + 1 :])
    length, lines = shape[axis], math.prod(outer)
    parallel = lines > 1 and _cost(op).flops >= PARALLEL_WORK
    with context.loop(lines, "parallel" if parallel else "for") as number:
        around = ix.unflatten(number, outer)
        state = State(context, op)
        with context.loop(length) as step:
            place = ix.sub(ix.const(length - 1), step) if op.flag("reverse") else step
            index = (*around[:axis], place, *around[axis:])
            before = [context.let(value) for value in state.values()]
            state.fold([context.read(x, index) for x in state.inputs])
            kept = before if op.flag("exclusive") else state.values()
            for result, value in enumerate(kept):
                context.write(result, index, value)


def _cost(op: Op) -> Cost:
    """One application of the region an element."""
    return Cost(op.results[0].type.elements * region_flops(op.regions[0]), bytes_moved(op))


RECORDS = (
    OpRecord(
        "scan_by", {"dimension": "int", "exclusive": "bool", "reverse": "bool"},
        RegionRule(_types), ByRegions(_run), FromBody(scan_body), Loops(_build), _cost,
    ),
)  # fmt: skip
