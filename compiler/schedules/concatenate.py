"""Concatenation: one loop nest an operand, each writing its own part of the result.

No element asks which operand it comes from, and producers of an operand are computed in place.
"""

from __future__ import annotations

from contextlib import ExitStack

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Expr
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group
from tensorkiln.compiler.schedules.loops import CHUNK, TASKS, UNROLL, schedule_loops
from tensorkiln.compiler.schedules.strips import strips


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
    lanes = group.lanes(target.vector_bits)
    offset = 0
    for operand in last.operands:
        _copy(body, group, operand, dim, offset // block, lanes)
        offset += operand.shape[dim]
    return group.kernel(body)


def _copy(body: Body, group: Group, operand: Value, dim: int, offset: int, lanes: int) -> None:
    """Writes `operand`'s part: outer dims as loops, the run of memory from the dim on in lanes."""
    output = group.outputs[0]
    shape = output.layout.physical_shape(operand.shape)
    axis = output.layout.order.index(dim)
    size, rows = _product(shape[axis:]), _product(shape[:axis])
    parallel = group.work >= PARALLEL_WORK and rows > 1

    def visit(row: Expr, position: Expr, exists: Expr | None) -> None:
        physical = (*ix.unflatten(row, shape[:axis]), *ix.unflatten(position, shape[axis:]))
        logical = output.layout.logical_index(physical)
        place = list(physical)
        place[axis] = ix.add(place[axis], ix.const(offset))
        with ExitStack() as stack:
            if exists is not None:
                stack.enter_context(body.when(exists))
            body.store(output.buffer, tuple(place), body.read(operand, logical))

    if not rows * size:
        return
    # One image is one row: what lies behind the dim is shared out instead.
    chunks = size // CHUNK if group.work >= PARALLEL_WORK and rows < TASKS else 0
    if chunks > 1:
        with body.over(rows * chunks, LoopKind.PARALLEL, "r") as task:
            row, chunk = ix.unflatten(task, (rows, chunks))
            start = ix.mul(chunk, CHUNK)
            strips(body, CHUNK, lanes, UNROLL, lambda _, i, c: visit(row, ix.add(start, i), c))
    done = chunks * CHUNK if chunks > 1 else 0
    if done == size:
        return
    kind = LoopKind.PARALLEL if parallel and not done else LoopKind.SERIAL
    with body.over(rows, kind, "r") as row:
        first = ix.const(done)
        strips(body, size - done, lanes, UNROLL, lambda _, i, c: visit(row, ix.add(first, i), c))


def _product(sizes: tuple[int, ...]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total
