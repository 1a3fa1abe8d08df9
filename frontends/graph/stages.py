"""How a run's ops are split: compiled clusters at even levels, host ops at odd ones.

A level is as low as an op's inputs allow, so a step has one cluster unless a host op stands
between compiled ones.  Host ops that need nothing compiled come first, at level -1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tensorkiln.frontends.graph.host import is_driven, runs_on_host
from tensorkiln.frontends.graph.lowering import is_read, variable_of
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.schedule import batches
from tensorkiln.frontends.graph.tensor import Tensor


@dataclass(frozen=True)
class Stage:
    """Ops of one level: host ops in order, or the ops of a cluster in batches.

    A cluster may repeat cheap ops of lower ones; `own` are those that belong to it.
    """

    on_host: bool
    order: list[list[Operation]]
    own: frozenset[Operation]

    def operations(self) -> Iterator[Operation]:
        """The ops in order."""
        for batch in self.order:
            yield from batch


def split(ops: Sequence[Operation], fed: Collection[Tensor]) -> list[Stage]:
    """The stages of a run that needs `ops`, in order."""
    order = batches(ops, fed)
    level = _levels(order, fed)
    stages = []
    for height in sorted(set(level.values())):
        own = {op for op in ops if level[op] == height}
        if height % 2:
            members: set[Operation] = own
        else:
            members = _with_repeated(own, level, fed)
        inner = [[op for op in batch if op in members] for batch in order]
        stages.append(Stage(bool(height % 2), [b for b in inner if b], frozenset(own)))
    return stages


def _levels(order: Sequence[Sequence[Operation]], fed: Collection[Tensor]) -> dict[Operation, int]:
    level: dict[Operation, int] = {}
    hosted = {op: runs_on_host(op) for batch in order for op in batch}
    for batch in order:
        for op in batch:
            host = hosted[op]
            lowest = -1 if host else 0
            for source in _sources(op, fed):
                if not (host and is_free(source)):
                    lowest = max(lowest, level[source] + (hosted[source] is not host))
            level[op] = lowest
    return level


def _sources(op: Operation, fed: Collection[Tensor]) -> Iterator[Operation]:
    for tensor in op.inputs:
        if tensor not in fed:
            yield tensor.op
    yield from op.control_inputs


def is_free(op: Operation) -> bool:
    """True for what needs no cluster: constants, variables, and that which only orders others."""
    if op.type in ("Const", "VariableV2"):
        return not op.control_inputs
    return bool(op.outputs) and is_read(op.outputs[0])


# Ops that compute shapes and indices: a cluster repeats them rather than get their values, so that
# what follows from constants and shapes stays known when it is compiled.
_INDEX_OPS = frozenset(
    [
        "Add",
        "AddV2",
        "Cast",
        "ConcatV2",
        "ExpandDims",
        "Fill",
        "FloorDiv",
        "Gather",
        "GatherV2",
        "Identity",
        "Maximum",
        "Minimum",
        "Mul",
        "Neg",
        "Pack",
        "Prod",
        "Range",
        "Rank",
        "Reshape",
        "Shape",
        "ShapeN",
        "Size",
        "Slice",
        "Squeeze",
        "StridedSlice",
        "Sub",
        "Sum",
    ]
)


def _is_index(op: Operation) -> bool:
    if op.type == "Const":
        return True
    return op.type in _INDEX_OPS and all(
        tensor.dtype.is_integer and tensor.sizes is not None and len(tensor.sizes) <= 1
        for tensor in op.outputs
    )


def _with_repeated(
    own: Collection[Operation], level: Mapping[Operation, int], fed: Collection[Tensor]
) -> set[Operation]:
    """The ops of a cluster and those of lower ones that it repeats: index arithmetic, and what a
    gradient flows through."""
    members = set(own)
    waiting = list(own)
    while waiting:
        op = waiting.pop()
        found = [tensor.op for tensor in op.inputs if tensor not in fed and _is_index(tensor.op)]
        if op.type == "SymbolicGradient":
            found += _between(op, fed)
        for source in found:
            driven = op.type == "SymbolicGradient" and is_driven(source)
            if source in level and source not in members and (driven or not runs_on_host(source)):
                members.add(source)
                waiting.append(source)
    return members


def _between(op: Operation, fed: Collection[Tensor]) -> list[Operation]:
    """The compiled ops on the ways from a gradient's `xs` to its `ys`."""
    first, count = op.integer("ys"), op.integer("xs")
    ends = {variable_of(x) or x for x in op.inputs[first : first + count]}
    above: set[Operation] = set()
    waiting = list(op.inputs[:first])
    while waiting:
        tensor = waiting.pop()
        maker = tensor.op
        stops = tensor in fed or (variable_of(tensor) or tensor) in ends
        if stops or maker in above or not maker.kind.differentiable:
            continue
        if runs_on_host(maker) and not is_driven(maker):
            continue
        above.add(maker)
        waiting += maker.inputs
    found: set[Operation] = set()
    for maker in sorted(above, key=lambda item: item.number):
        if any((variable_of(t) or t) in ends or t.op in found for t in maker.inputs):
            found.add(maker)
    return list(found)
