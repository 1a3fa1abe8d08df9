"""Loops and branches of our own graph definitions, with the regions they run."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph.files import data_types
from tensorkiln.frontends.graph.files.export_regions import (
    CONTROL,
    DTYPES,
    LISTS,
    REGIONS,
    SHAPES,
)
from tensorkiln.frontends.graph.files.import_nodes import Build, Node
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.lowering import variable_of
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.regions import Region, mark_inside
from tensorkiln.frontends.graph.tensor import Tensor


def _build(node: Node) -> Sequence[Tensor]:
    attributes = node.definition.attr
    if REGIONS not in attributes:
        raise ValueError("its regions are missing")
    regions = tuple(_region(node, item) for item in attributes[REGIONS].list.func)
    pairs = zip(attributes[DTYPES].list.type, attributes[SHAPES].list.shape, strict=True)
    results = tuple((data_types.dtype_of(n), data_types.sizes_of(s)) for n, s in pairs)
    if any(dtype is None for dtype, _ in results):
        raise ValueError("a result has a type that is not supported")
    known = set(node.inputs)
    extra = dict.fromkeys(t for region in regions for t in _read(region) if t not in known)
    inputs = (*node.inputs, *extra)
    made = node.operation(node.type, inputs, {"regions": regions, "results": results})
    scope = _scope(node)
    kept = {f"{scope}{item.decode()}" for item in attributes[CONTROL].list.s}
    made.control_inputs[:] = [op for op in made.control_inputs if op.name in kept]
    mark_inside(node.graph, [op for region in regions for batch in region.order for op in batch])
    return made.outputs


def _scope(node: Node) -> str:
    return node.name.removesuffix(str(node.definition.name))


def _region(node: Node, message: Proto) -> Region:
    scope, graph = _scope(node), node.graph
    found: dict[str, tuple[Tensor, ...]] = {
        key: tuple(
            graph.get_tensor_by_name(f"{scope}{name.decode()}") for name in message.attr[key].list.s
        )
        for key in LISTS
    }
    order: list[tuple[Operation, ...]] = []
    batch: list[Operation] = []
    for name in message.attr["order"].list.s:
        if name:
            batch.append(graph.get_operation_by_name(f"{scope}{name.decode()}"))
        else:
            order.append(tuple(batch))
            batch = []
    before = tuple(
        graph.get_operation_by_name(f"{scope}{name.decode()}")
        for name in message.attr["before"].list.s
    )
    return Region(found["parameters"], found["outputs"], tuple(order), found["captured"], before)


def _read(region: Region) -> list[Tensor]:
    """The tensors from outside that the region's ops read, variables aside."""
    inside = {tensor for batch in region.order for op in batch for tensor in op.outputs}
    inside |= set(region.parameters)
    read = [tensor for batch in region.order for op in batch for tensor in op.inputs]
    return [t for t in (*read, *region.outputs) if t not in inside and variable_of(t) is None]


BUILDERS: dict[str, Build] = dict.fromkeys(
    ("Case", "If", "StatelessCase", "StatelessIf", "StatelessWhile", "While"), _build
)
