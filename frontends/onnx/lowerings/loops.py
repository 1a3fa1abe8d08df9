"""Loop: a region that runs as often as a count and a condition say.

A loop becomes a `while` whose stacks of scan outputs have a row for every trip; so their number
must be known.  Where shapes change from trip to trip, or depend on the trip's number, a loop with a
known count is unrolled; so is one that carries sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import GraphProto

from tensorkiln.compiler.ir.dtypes import BOOL, I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import compare, full, reshape, scalar
from tensorkiln.frontends.onnx.lowerings.loop_body import (
    MOST_UNROLLED,
    Body,
    condition,
    counted_loop,
    import_body,
    stack_operands,
    tensors_only,
)
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.operand import ConstantNeeded, Entry, Operand, Result
from tensorkiln.frontends.onnx.table import Lowering
from tensorkiln.runtime.errors import UnsupportedError

_UNROLLED_AT_ONCE = 2  # trips up to which a loop is unrolled in any case


@dataclass(frozen=True)
class _Loop:
    """A Loop node: `trips` is None where the condition alone ends it."""

    node: Node
    graph: GraphProto
    carried: list[Entry]
    trips: int | None
    scans: int

    @property
    def tensors(self) -> tuple[Operand, ...]:
        """What it carries, all of them tensors; UnsupportedError otherwise."""
        return tensors_only(self.node, self.carried)

    @property
    def values(self) -> list[Value]:
        return [operand.value(self.node.builder) for operand in self.tensors]


def _loop(node: Node) -> Sequence[Result]:
    graph = node.graph("body")
    count = max(0, len(node.operands) - 2)
    carried = [node.entry(k) for k in range(2, 2 + count)]
    scans = len(graph.output) - 1 - count
    if len(graph.input) != 2 + count or scans < 0:
        raise node.invalid(
            f"its body has {len(graph.input)} inputs and {len(graph.output)} outputs for {count} "
            "carried values"
        )
    if not all(isinstance(entry, Operand) for entry in carried):
        for k in (0, 1):
            if node.has(k):
                node.known(k)  # sequences are lists while importing, so the loop is unrolled
    starts = _flag(node)
    if starts is False:
        return _skipped(_Loop(node, graph, carried, 0, scans))
    if scans and starts is None:
        node.known(1)  # how many rows the scan outputs have depends on it
    limit = node.operand(0) if node.has(0) else None
    if limit is not None and limit.type.elements != 1:
        raise node.invalid(f"its trip count has shape {list(limit.shape)}, not one element")
    if limit is not None and limit.known is None and scans:
        node.known(0)
    known = None if limit is None or limit.known is None else int(limit.known.reshape(()))
    loop = _Loop(node, graph, carried, None if known is None else max(known, 0), scans)
    if loop.trips == 0:
        return _skipped(loop)
    if starts and loop.trips is not None and loop.trips <= _UNROLLED_AT_ONCE:
        return _unrolled(loop)
    try:
        return _compiled(loop, limit, starts)
    except UnsupportedError as error:
        if loop.trips is None and isinstance(error, ConstantNeeded) and limit is not None:
            node.known(0)  # with a known count the loop could be unrolled
        if not starts or loop.trips is None or loop.trips > MOST_UNROLLED:
            raise
        return _unrolled(loop)


def _flag(node: Node) -> bool | None:
    """Whether the loop starts; None if only a run knows."""
    if not node.has(1):
        return True
    known = node.operand(1).known
    return None if known is None else bool(known.reshape(()))


def _body(loop: _Loop, types: Sequence[TensorType]) -> Body:
    def inputs(builder: Builder, counter: Value, carried: Sequence[Value]) -> list[Operand]:
        # A trip that runs has a true condition.
        given = [Operand("trip", value=counter), Operand("condition", np.array(True))]
        pairs = zip(loop.tensors, carried, strict=True)
        return [*given, *(Operand(o.name, value=v, inputs=o.inputs) for o, v in pairs)]

    return import_body(loop.node, loop.graph, types, inputs)


def _compiled(loop: _Loop, limit: Operand | None, starts: bool | None) -> list[Value]:
    node, count = loop.node, len(loop.carried)
    types = [operand.type for operand in loop.tensors]
    body = _body(loop, types)
    goes_on = body.results[0].known
    found = [result.type for result in body.results[1 : 1 + count]]
    if found != types:
        old, new = (", ".join(map(str, kinds)) for kinds in (types, found))
        raise node.unsupported(f"its carried values are ({old}) and become ({new})")
    after = [body.value(1 + k) for k in range(count)]
    stacked = [body.value(1 + count + k) for k in range(loop.scans)]
    always = goes_on is not None and bool(goes_on.reshape(()))
    if always and starts and loop.trips is not None:
        carried, stacks = counted_loop(node, body, loop.values, after, stacked, loop.trips)
        return [*carried, *stacks]
    if loop.scans:
        raise node.unsupported(
            "its scan outputs have a row for every trip, and how many there are only a run knows"
        )
    if always and limit is None:
        raise node.invalid("nothing ends it: it has no trip count, and its condition stays true")
    return _conditional(loop, body, after, limit)


def _conditional(
    loop: _Loop, body: Body, after: Sequence[Value], limit: Operand | None
) -> list[Value]:
    """A loop that its condition ends, or a count that only a run knows."""
    node, inner, outer = loop.node, body.builder, loop.node.builder
    go_on = reshape(inner, body.value(0), ())
    captured = inner.parameters[1 + len(body.carried) :]
    flag, most = inner.parameter("go_on", TensorType((), BOOL)), inner.parameter("most", _I64)
    nexts = inner.one("add", (body.counter, scalar(inner, 1, I64)))
    inner.parameters = [body.counter, flag, most, *body.carried, *captured]
    region = inner.finish([nexts, go_on, most, *after, *captured])

    def more(builder: Builder, values: Sequence[Value]) -> Value:
        below = compare(builder, "LT", values[0], values[2])
        if loop.trips is not None:  # a number that tells how often the loop can run
            below = compare(builder, "LT", values[0], scalar(builder, loop.trips, I64))
        return builder.one("and", (below, values[1]))

    first = reshape(outer, node.value(1), ()) if node.has(1) else scalar(outer, True, BOOL)
    if limit is None:
        top = scalar(outer, np.iinfo(np.int64).max, I64)
    else:
        top = reshape(outer, limit.value(outer), ())
    operands = (scalar(outer, 0, I64), first, top, *loop.values, *body.captured)
    bound = -1 if loop.trips is None else loop.trips
    found = outer.op("while", operands, {"bound": bound}, (condition(node, region, more), region))
    return list(found[3 : 3 + len(after)])


_I64 = TensorType((), I64)


def _skipped(loop: _Loop) -> list[Result]:
    """A loop that does not run: what it carries, and stacks without rows."""
    if not loop.scans:
        return list(loop.carried)
    body = _body(loop, [operand.type for operand in loop.tensors])
    kinds = [result.type for result in body.results[1 + len(loop.carried) :]]
    rows = [full(loop.node.builder, (0, *kind.shape), 0, kind.dtype) for kind in kinds]
    return [*loop.carried, *rows]


def _unrolled(loop: _Loop) -> list[Result]:
    node = loop.node
    assert node.inline is not None
    assert loop.trips is not None
    carried = list(loop.carried)
    rows: list[list[Operand]] = [[] for _ in range(loop.scans)]
    for trip in range(loop.trips):
        number = Operand("trip", np.array(trip, np.int64))
        go_on, *results = node.inline(
            loop.graph, [number, Operand("condition", np.array(True)), *carried]
        )
        carried = results[: len(carried)]
        for column, row in zip(rows, tensors_only(node, results[len(carried) :]), strict=True):
            column.append(row)
        if not isinstance(go_on, Operand) or go_on.known is None:
            raise node.unsupported("its shapes change while its condition depends on data")
        if not go_on.known.reshape(()):
            break
    outputs = loop.graph.output[1 + len(carried) :]
    return [
        *carried,
        *(
            stack_operands(node, str(o.name), column)
            for o, column in zip(outputs, rows, strict=True)
        ),
    ]


LOWERINGS = (Lowering("Loop", _loop),)
