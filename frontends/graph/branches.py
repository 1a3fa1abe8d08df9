"""Builds the op that runs one of several branches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.kinds import TABLE, Result
from tensorkiln.frontends.graph.nest import assert_same_structure, flatten, pack_sequence_as
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.regions import Region, RegionRecorder, building
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import Sizes
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.tensor_array import TensorArray

Maker: TypeAlias = Callable[[], object]


@dataclass(frozen=True)
class Branch:
    """A branch's function and what error messages call it."""

    word: str
    make: Maker


def build_branches(
    graph: Graph, kind: str, chooser: Tensor, branches: Sequence[Branch], strict: bool
) -> object:
    """What the branch that `chooser` picks makes, in the structure that all branches give."""
    structures: list[object] = []
    regions: list[Region] = []
    for branch in branches:
        recorder = RegionRecorder(graph)
        with building(graph):
            made = branch.make()
        if made is None:
            raise ValueError(f"{branch.word} must have a return value.")
        if not strict:
            made = _single(made)
        structures.append(made)
        if len(structures) > 1:
            assert_same_structure(structures[0], made)
        outputs = [_tensor(leaf, branch is branches[0]) for leaf in flatten(made)]
        regions.append(recorder.region((), outputs))
    results = tuple(
        _result(branches, column)
        for column in zip(*(region.outputs for region in regions), strict=True)
    )
    op = run_regions(graph, kind, (chooser,), regions, results)
    merged: list[object] = []
    for leaf, tensor in zip(flatten(structures[0]), op.outputs, strict=True):
        out = make("Merge", (tensor,), "Merge")
        merged.append(leaf.with_flow(out) if isinstance(leaf, TensorArray) else out)
    return pack_sequence_as(structures[0], merged)


def run_regions(
    graph: Graph,
    kind: str,
    inputs: Sequence[Tensor],
    regions: Sequence[Region],
    results: tuple[Result, ...],
    bound: Tensor | None = None,
) -> Operation:
    """The op that runs regions: stateless if they write no variable.

    `bound`, for loops, has as many rows as there are trips.
    """
    captured = dict.fromkeys(tensor for region in regions for tensor in region.captured)
    before = dict.fromkeys(op for region in regions for op in region.before)
    name = kind if any(region.writes for region in regions) else f"Stateless{kind}"
    attributes = {"regions": tuple(regions), "results": results, "bounded": bound is not None}
    last = () if bound is None else (bound,)
    with graph.control_dependencies(list(before)):
        return graph.create_op(TABLE[name], (*inputs, *captured, *last), attributes, name)


def _single(made: object) -> object:
    if isinstance(made, list | tuple) and len(made) == 1 and not hasattr(made, "_fields"):
        return made[0]
    return made


def _tensor(leaf: object, first: bool) -> Tensor:
    # An operation gives the value of the predicate, as in TensorFlow.
    if isinstance(leaf, TensorArray):
        return leaf.flow
    if isinstance(leaf, Operation):
        with leaf.graph.control_dependencies([leaf]):
            return make("Identity", (convert_to_tensor(first),), "control_dependency")
    return convert_to_tensor(leaf)


def _result(branches: Sequence[Branch], column: Sequence[Tensor]) -> Result:
    first = column[0]
    for branch, tensor in zip(branches, column, strict=True):
        if base(tensor) is not base(first):
            words = " and ".join(branch.word for branch in branches)
            raise ValueError(
                f"Outputs of {words} must have the same type(s). Received {base(first).name} from "
                f"{branches[0].word} and {base(tensor).name} from {branch.word}."
            )
    sizes: Sizes = first.sizes
    for tensor in column[1:]:
        sizes = common(sizes, tensor.sizes)
    return base(first), sizes


def common(first: Sizes, second: Sizes) -> Sizes:
    """What two shapes have in common; None where they differ."""
    if first is None or second is None or len(first) != len(second):
        return None
    return tuple(a if a == b else None for a, b in zip(first, second, strict=True))
