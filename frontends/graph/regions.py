"""Regions: the ops of a loop's or branch's body, which belong to the op that runs them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.lifted import is_lifted
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.schedule import batches
from tensorkiln.frontends.graph.tensor import Tensor

_INSIDE = "operations inside of regions"
_BUILDING = "depth of regions that are made"


@dataclass(frozen=True)
class Region:
    """Ops in batches, as a run orders them; `captured` are the tensors from outside that they read.

    Variables are not among those captured: the region reads and writes them where it runs.
    """

    parameters: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    order: tuple[tuple[Operation, ...], ...]
    captured: tuple[Tensor, ...]
    before: tuple[Operation, ...]

    @property
    def writes(self) -> bool:
        """True if the region changes variables."""
        return any(
            op.kind.writes or any(inner.writes for inner in regions_of(op))
            for batch in self.order
            for op in batch
        )


def regions_of(op: Operation) -> list[Region]:
    """The regions that an op runs."""
    found = op.attributes.get("regions", ())
    return [r for r in found if isinstance(r, Region)] if isinstance(found, tuple) else []


@contextmanager
def building(graph: Graph) -> Iterator[None]:
    """While a loop's or branch's ops are made."""
    graph.scoped[_BUILDING] = depth_of(graph) + 1
    try:
        yield
    finally:
        graph.scoped[_BUILDING] = depth_of(graph) - 1


def depth_of(graph: Graph) -> int:
    """In how many loops and branches the ops are that are made now."""
    found = graph.scoped.get(_BUILDING, 0)
    assert isinstance(found, int)
    return found


class RegionRecorder:
    """Notes which ops a graph makes between its construction and `region`."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._first = graph.version

    def region(
        self,
        parameters: Sequence[Tensor],
        outputs: Sequence[Tensor],
        also: Sequence[Operation] = (),
    ) -> Region:
        """The region of the ops made since then that `outputs` (or the ops in `also`) need."""
        own = set(self._graph.get_operations()[self._first :])
        own = {op for op in own if not is_lifted(op)}
        captured: dict[Tensor, None] = {}
        before: dict[Operation, None] = {}
        found: dict[Operation, None] = {}
        starts = set(parameters)
        waiting: list[Tensor | Operation] = [*outputs, *also]
        while waiting:
            item = waiting.pop()
            op = item if isinstance(item, Operation) else item.op
            if item in starts or op in found:
                continue
            if op not in own:
                self._outside(item, captured, before)
                continue
            found[op] = None
            waiting += op.inputs
            waiting += op.control_inputs
            # What must run before comes before the op that runs the region.
            op.control_inputs[:] = [c for c in op.control_inputs if c in own]
        known = starts | set(captured)
        known |= {t for op in found for t in op.inputs if t.op not in found}
        ops = sorted(found, key=lambda op: op.number)
        order = tuple(tuple(batch) for batch in batches(ops, known))
        inside = self._graph.scoped.setdefault(_INSIDE, set())
        assert isinstance(inside, set)
        inside.update(found)
        return Region(tuple(parameters), tuple(outputs), order, tuple(captured), tuple(before))

    def _outside(
        self, item: Tensor | Operation, captured: dict[Tensor, None], before: dict[Operation, None]
    ) -> None:
        if isinstance(item, Operation):
            before[item] = None
        elif item.dtype.is_ref:
            # The variable is read where the region runs; what wrote it must have run.
            if item.op.type != "VariableV2":
                before[item.op] = None
        else:
            captured[item] = None


def mark_inside(graph: Graph, operations: Iterable[Operation]) -> None:
    """Notes that operations are part of regions, as those of an imported loop are."""
    inside = graph.scoped.setdefault(_INSIDE, set())
    assert isinstance(inside, set)
    inside |= set(operations)


def is_inside(op: Operation) -> bool:
    """True if `op` is part of a region, and so has a value only while the region runs."""
    inside = op.graph.scoped.get(_INSIDE, ())
    return isinstance(inside, set) and op in inside
