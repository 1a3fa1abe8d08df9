"""Concatenation: operands are written one after the other, each to its own part of the result.

No element asks which operand it comes from, and producers of an operand are computed in place.
Operands that buffer assignment has put into the result are left alone.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Expr
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group
from tensorkiln.compiler.schedules.loops import CHUNK, TASKS, UNROLL, schedule_loops
from tensorkiln.compiler.schedules.strips import strips

SHARED = 8  # operands that are written in one walk over the rows


def schedule_concatenate(group: Group, target: Target) -> Kernel:
    """The kernel of a group whose result is a concatenation; any other result uses plain loops."""
    last = group.region.producers().get(group.region.results[0])
    if len(group.outputs) != 1 or last is None or last.name != "concatenate":
        return schedule_loops(group, target)
    dim = last.integer("dimension")
    block = dict(group.outputs[0].layout.blocks).get(dim, 1)
    if any(v.shape[dim] % block for v in last.operands):
        return schedule_loops(group, target)
    body = group.body()
    output, lanes = group.outputs[0], group.lanes(target.vector_bits)
    axis = output.layout.order.index(dim)
    rows = _product(output.layout.physical_shape(last.result.shape)[:axis])
    heavy = group.work >= PARALLEL_WORK
    present = {group.region.parameters[position] for position in group.present}
    parts: list[_Part] = []
    offset = 0
    for operand in last.operands:
        shape = output.layout.physical_shape(operand.shape)
        size = _product(shape[axis:])
        # One image is one row: what lies behind the dim is shared out instead.
        chunks = size // CHUNK if heavy and rows < TASKS else 0
        part = _Part(operand, shape, axis, offset // block, 0)
        if chunks > 1 and rows and operand not in present:
            with body.over(rows * chunks, LoopKind.PARALLEL, "r") as task:
                row, chunk = ix.unflatten(task, (rows, chunks))
                _copy(body, group, part, row, ix.mul(chunk, CHUNK), CHUNK, lanes)
            part = replace(part, done=chunks * CHUNK)
        if rows * size > rows * part.done and operand not in present:
            parts.append(part)
        offset += operand.shape[dim]
    # Operands share walks over the rows: what several of their producers read is then near, and
    # threads meet once.
    whole = any(not part.done for part in parts)
    kind = LoopKind.PARALLEL if heavy and rows > 1 and whole else LoopKind.SERIAL
    shared = SHARED if rows > 1 else 1
    for first in range(0, len(parts), shared):
        with body.over(rows, kind, "r") as row:
            for part in parts[first : first + shared]:
                rest = _product(part.shape[axis:]) - part.done
                _copy(body, group, part, row, ix.const(part.done), rest, lanes)
    return group.kernel(body)


@dataclass(frozen=True, slots=True)
class _Part:
    """An operand, its shape in memory, and where along dim `axis` it lies in the result.

    `done` of its elements of every row are written already.
    """

    operand: Value
    shape: tuple[int, ...]
    axis: int
    offset: int
    done: int


def _copy(
    body: Body, group: Group, part: _Part, row: Expr, first: Expr, count: int, lanes: int
) -> None:
    """Writes `count` elements from `first` on of a row of a part, in lanes."""
    output, shape, axis = group.outputs[0], part.shape, part.axis

    def visit(_: int, position: Expr, exists: Expr | None) -> None:
        inner = ix.unflatten(ix.add(first, position), shape[axis:])
        physical = (*ix.unflatten(row, shape[:axis]), *inner)
        logical = output.layout.logical_index(physical)
        place = list(physical)
        place[axis] = ix.add(place[axis], ix.const(part.offset))
        with ExitStack() as stack:
            if exists is not None:
                stack.enter_context(body.when(exists))
            body.store(output.buffer, tuple(place), body.read(part.operand, logical))

    strips(body, count, lanes, UNROLL, visit)


def _product(sizes: tuple[int, ...]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total
