"""Dropout at inference, and If."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import BOOL
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import full, reshape
from tensorkiln.compiler.ops.shorthand_control import branch_index
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.operand import (
    ConstantNeeded,
    Entry,
    Operand,
    inputs_of,
    leaves,
    rebuilt,
    signature,
)
from tensorkiln.frontends.onnx.table import Lowering


def _passed_on(node: Node, mask: Value | None) -> list[Operand | Value]:
    return [node.operand(0)] if mask is None else [node.operand(0), mask]


def _mask(node: Node, kind: str) -> Value | None:
    if not node.wants(1):
        return None
    dtype = BOOL if kind == "bool" else node.operand(0).dtype
    return full(node.builder, node.operand(0).shape, True if kind == "bool" else 1, dtype)


def _dropout_like_input(node: Node) -> list[Operand | Value]:
    """Before opset 10 the mask has the dtype of the data."""
    if node.given("is_test") and not node.integer("is_test"):
        raise node.unsupported("it drops at random (is_test is 0)")
    return _passed_on(node, _mask(node, "data"))


def _dropout(node: Node) -> list[Operand | Value]:
    training = node.has(2) and bool(node.known(2).reshape(()))
    ratio = float(node.known(1).reshape(())) if training and node.has(1) else 0.5
    if training and ratio:
        raise node.unsupported("it drops at random (training_mode is true)")
    return _passed_on(node, _mask(node, "bool"))


def _if(node: Node) -> list[Entry]:
    """A branch that is known while importing is imported in place."""
    graphs = [node.graph("then_branch"), node.graph("else_branch")]
    assert node.inline is not None
    assert node.region is not None
    condition = node.operand(0)
    if condition.type.elements != 1:
        raise node.invalid(f"its condition has shape {list(condition.shape)}, not one element")
    if condition.known is not None:
        taken = graphs[0] if condition.known.reshape(()) else graphs[1]
        return list(node.inline(taken, ()))
    branches: list[tuple[Builder, list[Value], list[Value]]] = []
    entries: list[list[Entry]] = []
    for graph in graphs:
        builder = Builder(node.builder.registry, graph.name or "branch")
        builder.location = node.builder.location
        found, captured = node.region(graph, builder, ())
        entries.append(found)
        values = [leaf.value(builder) for entry in found for leaf in leaves(entry)]
        branches.append((builder, values, captured))
    types = [", ".join(map(signature, found)) for found in entries]
    if types[0] != types[1]:
        # If the condition is made a constant, one branch is enough.
        reason = f"its branches give ({types[0]}) and ({types[1]})"
        raise ConstantNeeded(str(node.unsupported(reason)), condition.inputs)
    values = list(dict.fromkeys(v for _, _, captured in branches for v in captured))
    regions = tuple(_region(*branch, values) for branch in branches)
    predicate = reshape(node.builder, condition.value(node.builder), ())
    index = branch_index(node.builder, predicate)
    results = node.builder.op("case", (index, *values), {}, regions)
    inputs = inputs_of([condition, *(e for found in entries for e in found)])
    parts = (Operand("", value=value, inputs=inputs) for value in results)
    return [rebuilt(entry, parts) for entry in entries[0]]


def _region(
    builder: Builder, results: Sequence[Value], captured: Sequence[Value], values: Sequence[Value]
) -> Function:
    """The function of all `values`, of which the builder has parameters for those captured."""
    own = dict(zip(captured, builder.parameters, strict=True))
    builder.parameters = [own.get(v) or builder.parameter(v.name, v.type) for v in values]
    return builder.finish(results)


LOWERINGS = (
    Lowering("Dropout", _dropout_like_input),
    Lowering("Dropout", _dropout, 10),
    Lowering("If", _if),
)
