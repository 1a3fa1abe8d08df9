"""What Loop and Scan share: a body as a region, rows of stacked results, unrolled bodies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import GraphProto

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import (
    compare,
    concat,
    dynamic_slice,
    dynamic_update_slice,
    full,
    reshape,
    scalar,
)
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.operand import Entry, Operand

COUNTER = TensorType((), I64)
MOST_UNROLLED = 1024  # trips of a loop that is unrolled because its shapes change


@dataclass(frozen=True)
class Body:
    """A body imported as a region.

    The builder's parameters are the counter, what the loop carries, and then what is captured;
    `results` are what the body gives.
    """

    builder: Builder
    carried: tuple[Value, ...]
    results: tuple[Operand, ...]
    captured: tuple[Value, ...]

    @property
    def counter(self) -> Value:
        """The number of the trip, from 0."""
        return self.builder.parameters[0]

    def value(self, position: int) -> Value:
        """Result `position` as a value of the body."""
        return self.results[position].value(self.builder)


def import_body(
    node: Node,
    graph: GraphProto,
    types: Sequence[TensorType],
    inputs: Callable[[Builder, Value, Sequence[Value]], Sequence[Operand]],
    extra: Sequence[Value] = (),
) -> Body:
    """The body for carried values of these types.

    `inputs(builder, counter, carried)` gives the graph's inputs; `carried` ends with parameters
    for the values in `extra`, which no trip changes.
    """
    assert node.region is not None
    builder = Builder(node.builder.registry, graph.name or "body")
    builder.location = node.builder.location
    counter = builder.parameter("trip", COUNTER)
    kinds = [*types, *(v.type for v in extra)]
    carried = [builder.parameter(f"carried{k}", kind) for k, kind in enumerate(kinds)]
    results, captured = node.region(graph, builder, inputs(builder, counter, carried))
    own = tuple(carried[: len(types)])
    return Body(builder, own, tensors_only(node, results), (*extra, *captured))


def tensors_only(node: Node, entries: Sequence[Entry]) -> tuple[Operand, ...]:
    """Entries of which none is a sequence or an optional; UnsupportedError otherwise."""
    found = []
    for entry in entries:
        if not isinstance(entry, Operand):
            raise node.unsupported(f"its body carries {entry.name!r}, which is {entry.kind}")
        found.append(entry)
    return tuple(found)


def push_row(body: Body, stack: Value, item: Value) -> Value:
    """`stack` with `item` as the row of this trip."""
    builder = body.builder
    row = reshape(builder, item, (1, *item.shape))
    starts = [body.counter, *[scalar(builder, 0, I64)] * item.type.rank]
    return dynamic_update_slice(builder, stack, row, starts)


def row_of(builder: Builder, values: Value, axis: int, at: Value) -> Value:
    """Row `at` along `axis`, without that dim."""
    zero = scalar(builder, 0, I64)
    starts = [at if k == axis else zero for k in range(values.type.rank)]
    sizes = tuple(1 if k == axis else n for k, n in enumerate(values.shape))
    kept = tuple(n for k, n in enumerate(values.shape) if k != axis)
    return reshape(builder, dynamic_slice(builder, values, starts, sizes), kept)


def counted_loop(
    node: Node,
    body: Body,
    start: Sequence[Value],
    after: Sequence[Value],
    stacked: Sequence[Value],
    trips: int,
) -> tuple[list[Value], list[Value]]:
    """`trips` trips of a body that makes `after` of what is carried and rows of stacks of the
    values `stacked`; gives what was carried in the end, and the stacks."""
    inner, outer = body.builder, node.builder
    kinds = [TensorType((trips, *v.type.shape), v.dtype) for v in stacked]
    stacks = [inner.parameter(f"rows{k}", kind) for k, kind in enumerate(kinds)]
    pushed = [push_row(body, s, v) if trips else s for s, v in zip(stacks, stacked, strict=True)]
    captured = inner.parameters[1 + len(body.carried) : len(inner.parameters) - len(stacks)]
    nexts = inner.one("add", (body.counter, scalar(inner, 1, I64)))
    inner.parameters = [body.counter, *body.carried, *stacks, *captured]
    region = inner.finish([nexts, *after, *pushed, *captured])
    test = condition(node, region, lambda b, v: compare(b, "LT", v[0], scalar(b, trips, I64)))
    zeros = [full(outer, kind.shape, 0, kind.dtype) for kind in kinds]
    operands = (scalar(outer, 0, I64), *start, *zeros, *body.captured)
    found = outer.op("while", operands, {"bound": trips}, (test, region))
    end = 1 + len(start)
    return list(found[1:end]), list(found[end : end + len(stacks)])


def condition(
    node: Node, body: Function, make: Callable[[Builder, Sequence[Value]], Value]
) -> Function:
    """The condition of a loop with this body."""
    builder = Builder(node.builder.registry, "more")
    values = [builder.parameter(v.name, v.type) for v in body.parameters]
    return builder.finish([make(builder, values)])


def stack_operands(node: Node, name: str, rows: Sequence[Operand]) -> Operand:
    """The operands of all trips of an unrolled loop, stacked."""
    known = [row.known for row in rows if row.known is not None]
    inputs = frozenset().union(*(row.inputs for row in rows))
    if len(known) == len(rows):
        return Operand(name, np.stack(known), inputs=inputs)
    builder = node.builder
    if len({row.shape for row in rows}) > 1:
        shapes = ", ".join(str(list(row.shape)) for row in rows[:4])
        raise node.invalid(f"its scan output {name!r} has rows of shapes {shapes}")
    values = [reshape(builder, row.value(builder), (1, *row.shape)) for row in rows]
    return Operand(name, value=concat(builder, values, 0), inputs=inputs)
