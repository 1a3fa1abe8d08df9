"""Builds the op that runs a loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.array_growth import count_items, grown, rows_of, size_now
from tensorkiln.frontends.graph.branches import run_regions
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.nest import (
    assert_same_structure,
    flatten,
    is_nested,
    pack_sequence_as,
)  # fmt: skip
from tensorkiln.frontends.graph.regions import Region, RegionRecorder, building, depth_of
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import Sizes, as_sizes, compatible, show
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.tensor_array import TensorArray


class Loop:
    """A loop under construction, in the current name scope."""

    def __init__(
        self,
        graph: Graph,
        cond: Callable[..., object],
        body: Callable[..., object],
        loop_vars: list[object],
        invariants: object,
    ) -> None:
        self._graph, self._cond, self._body, self._loop_vars = graph, cond, body, loop_vars
        self._leaves = flatten(loop_vars)
        self._starts = [
            leaf.flow if isinstance(leaf, TensorArray) else convert_to_tensor(leaf)
            for leaf in self._leaves
        ]
        self._sizes = self._invariants(invariants)
        self._after: Sequence[object] = loop_vars

    def run(self) -> Sequence[object]:
        """The loop variables after the loop, in the form in which the body gives them."""
        recorder = RegionRecorder(self._graph)
        entered = self._parameters("Merge")
        with building(self._graph):
            test = _condition(self._cond(*self._packed(entered)))
        condition = recorder.region(entered, [test])
        recorder = RegionRecorder(self._graph)
        carried = self._parameters("Identity")
        packed = self._packed(carried)
        with building(self._graph):
            after = self._results(packed, self._body(*packed))
        body = recorder.region(carried, after)
        results = tuple(
            (base(start), sizes) for start, sizes in zip(self._starts, self._sizes, strict=True)
        )
        starts, bound = self._starts, None
        if not depth_of(self._graph):
            starts, bound = self._counted(condition, body)
        op = run_regions(self._graph, "While", starts, (condition, body), results, bound)
        exits = [make("Exit", (tensor,), "Exit") for tensor in op.outputs]
        return cast("Sequence[object]", pack_sequence_as(self._after, self._leaves_of(exits)))

    def _counted(self, condition: Region, body: Region) -> tuple[list[Tensor], Tensor | None]:
        """The starts with growing arrays as large as they will be, and rows for all trips."""
        growing = {
            k: leaf
            for k, leaf in enumerate(self._leaves)
            if isinstance(leaf, TensorArray) and leaf.dynamic_size
        }
        starts = list(self._starts)
        if not growing:
            return starts, None
        for k, array in growing.items():
            starts[k] = size_now(array)
        trips, *sizes = count_items(self._graph, starts, (condition, body), list(growing))
        for (k, array), size in zip(growing.items(), sizes, strict=True):
            starts[k] = grown(array, rows_of(size))
        return starts, rows_of(trips)

    def _parameters(self, name: str) -> list[Tensor]:
        return [
            make("RegionInput", (), name, dtype=base(start), shape=sizes)
            for start, sizes in zip(self._starts, self._sizes, strict=True)
        ]

    def _packed(self, tensors: Sequence[Tensor]) -> list[object]:
        return cast("list[object]", pack_sequence_as(self._loop_vars, self._leaves_of(tensors)))

    def _leaves_of(self, tensors: Sequence[Tensor]) -> list[object]:
        return [
            leaf.with_flow(tensor) if isinstance(leaf, TensorArray) else tensor
            for leaf, tensor in zip(self._leaves, tensors, strict=True)
        ]

    def _results(self, before: list[object], after: object) -> list[Tensor]:
        if isinstance(after, Mapping) or not is_nested(after):
            after = [after]
        self._after = cast("Sequence[object]", after)
        listed = list(self._after)
        assert_same_structure(before, listed)
        found = []
        for leaf, start, sizes in zip(flatten(listed), self._starts, self._sizes, strict=True):
            if isinstance(leaf, TensorArray):
                found.append(leaf.flow)
                continue
            tensor = convert_to_tensor(leaf, base(start))
            if not _fits(tensor.sizes, sizes):
                raise ValueError(
                    f"Input tensor '{start.name}' enters the loop with shape {show(sizes)}, but "
                    f"has shape {show(tensor.sizes)} after one iteration. To allow the shape to "
                    "vary across iterations, use the `shape_invariants` argument of tf.while_loop "
                    "to specify a less-specific shape."
                )
            found.append(tensor)
        return found

    def _invariants(self, given: object) -> list[Sizes]:
        known: list[Sizes] = [
            None if isinstance(leaf, TensorArray) else start.sizes
            for leaf, start in zip(self._leaves, self._starts, strict=True)
        ]
        if given is None:
            return known
        assert_same_structure(self._loop_vars, list(cast("Sequence[object]", given)), False)
        found: list[Sizes] = []
        for start, sizes, shape in zip(self._starts, known, flatten(given), strict=True):
            wanted = as_sizes(shape)
            if not compatible(sizes, wanted) or not _fits(sizes, wanted):
                raise ValueError(
                    f"The shape invariant specified for {start.name} is not compatible with the "
                    "initial shape of the loop variable. It enters the loop with shape "
                    f"{show(sizes)}, but the specified shape invariant is {show(wanted)}."
                )
            found.append(wanted)
        return found


def _fits(sizes: Sizes, invariant: Sizes) -> bool:
    """True if a tensor of `sizes` is sure to have the invariant's shape."""
    if invariant is None:
        return True
    if sizes is None or len(sizes) != len(invariant):
        return False
    return all(b is None or a == b for a, b in zip(sizes, invariant, strict=True))


def _condition(made: object) -> Tensor:
    test = convert_to_tensor(made)
    if base(test) is not dtypes.boolean:
        raise TypeError(
            f"Input 'input' of 'LoopCond' Op has type {base(test).name} that does not match "
            "expected type of bool."
        )
    return make("Identity", (test,), "LoopCond")
