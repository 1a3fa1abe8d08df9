"""Updates of a box: only the box is written, over memory that holds the operand already.

for j in 0..box { out[first + j] = update[j] }     the update's producers fused into it
"""

from __future__ import annotations

import math
from contextlib import ExitStack

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Index
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.ops.dynamic_slicing import box_starts
from tensorkiln.compiler.schedules.custom import with_lanes
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group


def schedule_update(group: Group, target: Target) -> Kernel:
    """The kernel of a dynamic_update_slice with the producers of its update and starts."""
    (result,) = group.region.results
    (place,) = group.outputs
    hero = group.region.producers()[result]
    _, update, *starts = hero.operands
    body = group.body()
    firsts = box_starts(body, starts, update.shape, result.shape)
    parallel = math.prod(update.shape) >= PARALLEL_WORK
    with ExitStack() as loops:
        index: Index = tuple(
            loops.enter_context(
                body.over(size, LoopKind.PARALLEL if parallel and axis == 0 else LoopKind.SERIAL)
            )
            for axis, size in enumerate(update.shape)
        )
        target_index = tuple(map(ix.add, firsts, index))
        value = body.read(update, index)
        body.store(place.buffer, place.index(target_index), value)
    return with_lanes(group.kernel(body), group.lanes(target.vector_bits))
