"""The transforms around the matrix multiplies of a Winograd convolution, as kernels of their own.

parallel tasks (batch, row of tiles, block of channels) {
    for tile along the row { for vector of channels in the block {
        36 elements of the tile are stored, or 16 through the epilogue } } }
"""

from __future__ import annotations

import math

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Expr
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.ops.checks import op_pairs
from tensorkiln.compiler.passes.fuse_kinds import WINOGRAD
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group
from tensorkiln.compiler.schedules.winograd_blocks import schedule_blocks
from tensorkiln.compiler.schedules.winograd_transforms import Input, Output, Tile, Transform

BLOCK_VECTORS = 8  # lines that lie together where the matrix multiplies read and write them


def schedule_winograd(group: Group, target: Target) -> Kernel:
    """The kernel of a group whose hero is a Winograd convolution or one of its transforms."""
    hero = next(op for op in group.region.ops if op.name in WINOGRAD)
    if hero.name == "winograd_convolution":
        return schedule_blocks(group, hero, target)
    body = group.body()
    if hero.name == "winograd_input":
        return _walk(group, body, _input(group, body, hero, target))
    return _walk(group, body, _output(group, body, hero, target))


def _input(group: Group, body: Body, op: Op, target: Target) -> Transform:
    (output,) = group.outputs

    def store(point: int, tile: Expr, channel: Expr, value: Expr) -> None:
        body.store(output.buffer, output.index((ix.const(point), tile, channel)), value)

    (image,) = op.operands
    return Input(body, image, op.ints("spec"), op_pairs(op, "padding"), store, target)


def _output(group: Group, body: Body, op: Op, target: Target) -> Transform:
    (products,) = op.operands

    def load(point: int, tile: Expr, channel: Expr) -> Expr:
        return body.read(products, (ix.const(point), tile, channel))

    return Output(group, body, op.result, op.ints("spec"), load, target)


def _walk(group: Group, body: Body, transform: Transform) -> Kernel:
    """The kernel that visits all tiles."""
    vectors = -(-transform.channels // transform.lanes)
    blocks = -(-vectors // BLOCK_VECTORS)
    size = -(-vectors // blocks)
    rows, columns = transform.rows, transform.columns
    tasks = (transform.batches, rows, blocks)
    parallel = group.work >= PARALLEL_WORK and math.prod(tasks) > 1
    kind = LoopKind.PARALLEL if parallel else LoopKind.SERIAL
    with body.over(math.prod(tasks), kind, "task") as task:
        batch, row, block = ix.unflatten(task, tasks)
        first = ix.mul(block, size)
        stop: Expr = ix.const(size)
        if vectors % size:
            stop = Binary("min", stop, ix.sub(ix.const(vectors), first))
        with (
            body.over(columns, hint="tile") as column,
            body.between(ix.ZERO, stop, size) as number,
        ):
            place = ix.add(ix.mul(ix.add(ix.mul(batch, rows), row), columns), column)
            transform.emit(Tile(batch, row, column, place), ix.add(first, number))
    return group.kernel(body)
