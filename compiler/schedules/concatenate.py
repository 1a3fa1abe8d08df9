"""Concatenation: one loop nest an operand, each writing its own part of the result.

No element asks which operand it comes from, and producers of an operand are computed in place.
"""

from __future__ import annotations

from tensorkiln.compiler.codegen.target import Target
from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Buffer, Expr, Index
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group
from tensorkiln.compiler.schedules.loops import UNROLL, schedule_loops
from tensorkiln.compiler.schedules.strips import strips


def schedule_concatenate(group: Group, target: Target) -> Kernel:
    """The kernel of a group whose result is a concatenation; any other result uses plain loops."""
    last = group.region.producers().get(group.region.results[0])
    if len(group.outputs) != 1 or last is None or last.name != "concatenate":
        return schedule_loops(group, target)
    if not group.outputs[0].layout.is_row_major:
        return schedule_loops(group, target)
    body = group.body()
    lanes = group.lanes(target.vector_bits)
    offset = 0
    for operand in last.operands:
        _copy(body, group, last, operand, offset, lanes)
        offset += operand.shape[last.integer("dimension")]
    return group.kernel(body)


def _copy(
    body: Body, group: Group, op: Op, operand: Value, offset: int, lanes: int
) -> None:
    """Writes `operand`'s part: outer dims as loops, the run of memory from the dim on in lanes."""
    shape, dim = operand.shape, op.integer("dimension")
    size, whole = _product(shape[dim:]), _product(op.result.shape[dim:])
    start = offset * _product(shape[dim + 1 :])
    rows = _product(shape[:dim])
    output = group.outputs[0].buffer
    flat = Buffer(output.name, (rows * whole,), output.dtype)
    parallel = group.work >= PARALLEL_WORK and rows > 1

    def visit(row: Expr, position: Expr, exists: Expr | None) -> None:
        index: Index = (*ix.unflatten(row, shape[:dim]), *ix.unflatten(position, shape[dim:]))
        place = ix.add(ix.add(ix.mul(row, whole), ix.const(start)), position)
        if exists is None:
            body.store(output, _reshaped(place, flat, output), body.read(operand, index))
            return
        with body.when(exists):
            body.store(output, _reshaped(place, flat, output), body.read(operand, index))

    if not rows * size:
        return
    with body.over(rows, LoopKind.PARALLEL if parallel else LoopKind.SERIAL, "r") as row:
        strips(body, size, lanes, UNROLL, lambda _, i, c: visit(row, i, c))


def _reshaped(place: Expr, flat: Buffer, buffer: Buffer) -> Index:
    return ix.unflatten(place, buffer.shape)


def _product(sizes: tuple[int, ...]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total
