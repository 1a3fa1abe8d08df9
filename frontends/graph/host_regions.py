"""Loops and branches that the host drives, since they hold what only the host can do: printing,
assertions, Python functions, strings, summaries.

Each region is a plan of its own, clusters and host ops in turn, which runs once a trip.  Variables
are changed as the trips go: an assertion that fails in the third one does not undo the first two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.host import HostContext
from tensorkiln.frontends.graph.lowering import variable_of
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.plan import Plan
from tensorkiln.frontends.graph.regions import Region, regions_of
from tensorkiln.frontends.graph.tensor import Tensor


class _RegionPlan:
    """A region, ready to run; `outer` are the tensors from outside that it may read."""

    def __init__(self, context: HostContext, region: Region, outer: Sequence[Tensor]) -> None:
        assert context.make_step is not None
        own = set(region.parameters)
        # What stands for a variable is read anew in each trip.
        self._places = [
            k
            for k, tensor in enumerate(outer)
            if variable_of(tensor) is None and outer.index(tensor) == k and tensor not in own
        ]
        fed = [*region.parameters, *(outer[k] for k in self._places)]
        targets = [op for batch in region.order for op in batch]
        self._plan = Plan(region.outputs, targets, fed, context, context.make_step)

    def run(self, own: Sequence[Array], outer: Sequence[Array]) -> list[Array]:
        """The region's outputs."""
        feeds = [*own, *(outer[k] for k in self._places)]
        return [np.asarray(value) for value in self._plan.run(feeds)]


def _plans(context: HostContext, op: Operation, first: int) -> list[_RegionPlan]:
    key = ("regions", op)
    if key not in context.resources:
        outer = op.inputs[first:]
        context.resources[key] = [_RegionPlan(context, r, outer) for r in regions_of(op)]
    found = context.resources[key]
    assert isinstance(found, list)
    return found


def run_loop(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    """The loop variables after the last trip."""
    count = len(op.outputs)
    test, body = _plans(context, op, count)
    values, outer = list(arrays[:count]), arrays[count:]
    while bool(test.run(values, outer)[0].reshape(())):
        values = body.run(values, outer)
    return values


def run_branch(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    """The results of the branch that is chosen."""
    plans = _plans(context, op, 1)
    chosen = int(arrays[0].reshape(()))
    if op.type.endswith("If"):
        return plans[0 if chosen else 1].run((), arrays[1:])
    place = chosen if 0 <= chosen < len(plans) else len(plans) - 1
    return plans[place].run((), arrays[1:])
