"""Loops and branches of our own graph definitions, with the regions they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.frontends.graph.branches import common
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
from tensorkiln.frontends.graph.kinds import Result
from tensorkiln.frontends.graph.lowering import variable_of
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.regions import Region, mark_inside
from tensorkiln.frontends.graph.tensor import Tensor


def _build(node: Node) -> Sequence[Tensor]:
    attributes = node.definition.attr
    if REGIONS not in attributes:
        raise ValueError("its regions are missing")
    regions = tuple(_region(node, item) for item in attributes[REGIONS].list.func)
    if DTYPES in attributes:
        results = _results(attributes)
    elif node.type.endswith("While"):
        results = _like(regions[-1].parameters)
    else:
        results = _common([region.outputs for region in regions])
    known = set(node.inputs)
    extra = dict.fromkeys(t for region in regions for t in _read(region) if t not in known)
    inputs = (*node.inputs, *extra)
    made = node.operation(node.type, inputs, {"regions": regions, "results": results})
    scope = _scope(node)
    kept = {f"{scope}{item.decode()}" for item in attributes[CONTROL].list.s}
    made.control_inputs[:] = [op for op in made.control_inputs if op.name in kept]
    mark_inside(node.graph, [op for region in regions for batch in region.order for op in batch])
    return made.outputs


def _results(attributes: Mapping[str, Proto]) -> tuple[Result, ...]:
    found = []
    pairs = zip(attributes[DTYPES].list.type, attributes[SHAPES].list.shape, strict=True)
    for number, shape in pairs:
        dtype = data_types.dtype_of(number)
        if dtype is None:
            raise ValueError("a result has a type that is not supported")
        found.append((dtype, data_types.sizes_of(shape)))
    return tuple(found)


def _like(tensors: Sequence[Tensor]) -> tuple[Result, ...]:
    return tuple((tensor.dtype.base_dtype, tensor.sizes) for tensor in tensors)


def _common(branches: Sequence[Sequence[Tensor]]) -> tuple[Result, ...]:
    """What the results of all branches have in common."""
    found = list(_like(branches[0]))
    for branch in branches[1:]:
        found = [
            (dtype, common(sizes, tensor.sizes))
            for (dtype, sizes), tensor in zip(found, branch, strict=True)
        ]
    return tuple(found)


def _parameter(node: Node) -> Sequence[Tensor]:
    """A region's parameter; of a loop of TensorFlow's it is like the value that enters."""
    if not node.inputs:
        return node.operation("RegionInput", (), node.attributes()).outputs
    (start,) = node.inputs
    flow = start.op.type.startswith("TensorArray")
    attributes = {"dtype": start.dtype.base_dtype, "shape": None if flow else start.sizes}
    return node.operation("RegionInput", (), attributes).outputs


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
    whole = _with_helpers(found["parameters"], found["outputs"], order)
    return Region(found["parameters"], found["outputs"], whole, found["captured"], before)


def _with_helpers(
    parameters: Sequence[Tensor], outputs: Sequence[Tensor], order: Sequence[Sequence[Operation]]
) -> tuple[tuple[Operation, ...], ...]:
    """The batches of a region, and before each what it reads that stands for a part of a node: ops
    that depend on the parameters too."""
    inside = {tensor.op: True for tensor in parameters}
    inside |= dict.fromkeys((op for batch in order for op in batch), True)
    whole: list[tuple[Operation, ...]] = []

    def add(needed: Sequence[Tensor]) -> None:
        waiting = [(tensor.op, False) for tensor in needed]
        while waiting:
            op, ready = waiting.pop()
            if ready:
                inside[op] = any(inside[tensor.op] for tensor in op.inputs)
                whole.extend([(op,)] if inside[op] else [])
            elif op not in inside:
                inside[op] = False
                waiting.append((op, True))
                waiting += [(tensor.op, False) for tensor in op.inputs]

    for batch in order:
        add([tensor for op in batch for tensor in op.inputs])
        whole.append(tuple(batch))
    add(outputs)
    return tuple(whole)


def _read(region: Region) -> list[Tensor]:
    """The tensors from outside that the region's ops read, variables aside."""
    inside = {tensor for batch in region.order for op in batch for tensor in op.outputs}
    inside |= set(region.parameters)
    read = [tensor for batch in region.order for op in batch for tensor in op.inputs]
    return [t for t in (*read, *region.outputs) if t not in inside and variable_of(t) is None]


BUILDERS: dict[str, Build] = dict.fromkeys(
    ("Case", "If", "StatelessCase", "StatelessIf", "StatelessWhile", "While"), _build
)
BUILDERS["RegionInput"] = _parameter
