"""Scan: a body run over the rows of its inputs, carrying state and stacking rows of its outputs."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import axis_of, concat, reshape, reverse, scalar, transpose
from tensorkiln.frontends.onnx.lowerings.loop_body import (
    MOST_UNROLLED,
    counted_loop,
    import_body,
    row_of,
)
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.operand import Operand
from tensorkiln.frontends.onnx.table import Lowering


def _scan_batches(node: Node) -> list[Value]:
    """Before opset 9: a batch dim in front of everything, each entry scanned for itself."""
    if node.has(0):
        raise node.unsupported("sequence lengths of its own (opset 8); use Scan of opset 9")
    operands = [node.operand(k).value(node.builder) for k in range(1, len(node.operands))]
    builder = node.builder
    backward = node.integers("directions", ())
    columns: list[list[Value]] = []
    batch = operands[0].shape[0] if operands and operands[0].type.rank else 0
    if batch > MOST_UNROLLED:
        raise node.unsupported(f"it scans {batch} entries, each for itself; use Scan of opset 9")
    for entry in range(batch):
        at = scalar(builder, entry, I64)
        rows = [row_of(builder, v, 0, at) for v in operands]
        columns.append(_scanned(node, rows, backward, (), (), ()))
    return [
        concat(builder, [reshape(builder, v, (1, *v.shape)) for v in column], 0)
        for column in zip(*columns, strict=True)
    ]


def _scan(node: Node) -> list[Value]:
    return _scanned(
        node,
        node.values(),
        node.integers("scan_input_directions", ()),
        node.integers("scan_input_axes", ()),
        node.integers("scan_output_directions", ()),
        node.integers("scan_output_axes", ()),
    )


def _scanned(
    node: Node,
    operands: Sequence[Value],
    input_directions: Sequence[int],
    input_axes: Sequence[int],
    output_directions: Sequence[int],
    output_axes: Sequence[int],
) -> list[Value]:
    graph, builder = node.graph("body"), node.builder
    inputs = node.integer("num_scan_inputs")
    count = len(operands) - inputs
    outputs = len(graph.output) - count
    if inputs < 1 or count < 0 or outputs < 0 or len(graph.input) != len(operands):
        raise node.invalid(
            f"its body has {len(graph.input)} inputs and {len(graph.output)} outputs for "
            f"{len(operands)} operands, {inputs} of them scanned"
        )
    states, scanned = operands[:count], operands[count:]
    axes = [
        axis_of(a, v.type.rank)
        for a, v in zip(_filled(node, input_axes, inputs), scanned, strict=True)
    ]
    lengths = {v.shape[a] for a, v in zip(axes, scanned, strict=True)}
    if len(lengths) != 1:
        raise node.invalid(f"its scanned inputs have {sorted(lengths)} rows")
    (trips,) = lengths
    turned = [
        reverse(builder, v, [a]) if backward else v
        for v, a, backward in zip(
            scanned, axes, _filled(node, input_directions, inputs), strict=True
        )
    ]

    def rows(inner: Builder, counter: Value, carried: Sequence[Value]) -> list[Operand]:
        whole = carried[count:]
        items = [row_of(inner, v, a, counter) for v, a in zip(whole, axes, strict=True)]
        names = [str(value.name) for value in graph.input]
        values = [*carried[:count], *items]
        return [Operand(name, value=v) for name, v in zip(names, values, strict=True)]

    if not trips:
        raise node.unsupported("it scans tensors without rows")
    body = import_body(node, graph, [v.type for v in states], rows, turned)
    found = [result.type for result in body.results[:count]]
    if found != [v.type for v in states]:
        before, after = (", ".join(map(str, kinds)) for kinds in ([v.type for v in states], found))
        raise node.unsupported(f"its states are ({before}) and become ({after})")
    ends = [body.value(k) for k in range(count)]
    stacked = [body.value(count + k) for k in range(outputs)]
    carried, stacks = counted_loop(node, body, states, ends, stacked, trips)
    directions = _filled(node, output_directions, outputs)
    places = _filled(node, output_axes, outputs)
    pairs = zip(stacks, directions, places, strict=True)
    return [*carried, *(_placed(builder, s, backward, axis) for s, backward, axis in pairs)]


def _filled(node: Node, given: Sequence[int], count: int) -> list[int]:
    """An attribute with an entry for each input or output; zeros where it is left out."""
    if given and len(given) != count:
        raise node.invalid(f"an attribute has {len(given)} entries for {count} tensors")
    return list(given) or [0] * count


def _placed(builder: Builder, stack: Value, backward: int, axis: int) -> Value:
    """A stack of rows with the last row first, or with its rows along another axis."""
    if backward:
        stack = reverse(builder, stack, [0])
    place = axis_of(axis, stack.type.rank)
    order = list(range(1, stack.type.rank))
    order.insert(place, 0)
    return stack if place == 0 else transpose(builder, stack, order)


LOWERINGS = (Lowering("Scan", _scan_batches), Lowering("Scan", _scan, 9))
