"""Elementwise groups on images whose channels lie in blocks: rows of the image are shared out.

    parallel tasks (batch, block of rows, block of channels) {
        for row in the block, place along the row { every result's vector of channels } }

The convolutions before and after share out rows too, so a thread finds in its own cache most of
what it reads, and leaves there what it reads next.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Expr, Index
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body, Place
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group
from tensorkiln.compiler.schedules.loops import (
    UNROLL,
    accesses_of,
    merge_dims,
    store_elements,
)  # fmt: skip
from tensorkiln.compiler.schedules.strips import strips

FEWEST_BLOCKS = 4  # of rows, which share out well over two or four threads
_Visit: TypeAlias = Callable[[Index, Expr | None], None]
_ROWS = 2  # the dim of rows in memory, behind batch and blocks of channels


def schedule_image_rows(group: Group, target: Target) -> Kernel | None:
    """The kernel, None for groups that are small or do not read images in the results' layout."""
    if group.work < PARALLEL_WORK or group.streams or not _is_image(group):
        return None
    shape = group.outputs[0].buffer.shape
    batch, panels, height = shape[: _ROWS + 1]
    blocks = _blocks(height)
    size = height // blocks
    runs = _inner_runs(group, shape, size)
    lanes = group.lanes(target.vector_bits)
    body = group.body()
    with body.over(batch * blocks * panels, LoopKind.PARALLEL, "task") as task:
        image, block, panel = ix.unflatten(task, (batch, blocks, panels))
        first = ix.mul(block, size)

        def visit(flat: Index, exists: Expr | None) -> None:
            row, *rest = (
                e for at, dims in zip(flat, runs, strict=True) for e in ix.unflatten(at, dims)
            )
            physical = (image, panel, ix.add(first, row), *rest)
            logical = group.outputs[0].layout.logical_index(physical)
            if exists is None:
                store_elements(body, group, physical, logical, False)
                return
            with body.when(exists):
                store_elements(body, group, physical, logical, False)

        _walk(body, [math.prod(dims) for dims in runs], lanes, visit)
    return group.kernel(body)


def _is_image(group: Group) -> bool:
    """True if the results, and something that is read, have channels in blocks before rows."""
    layout = group.outputs[0].layout
    if len(layout.blocks) != 1 or layout.blocks[0][0] != 1 or len(layout.order) != 4:
        return False
    shape = group.outputs[0].buffer.shape
    return (
        layout.order == (0, 1, 2, 3)
        and 0 not in shape
        and shape[1] > 1
        and shape[_ROWS] > 1
        and any(_alike(place, group.outputs[0]) for place in group.inputs)
    )


def _alike(place: Place, output: Place) -> bool:
    """True for a place in the output's layout and with its channels, borders perhaps left out."""
    same = place.layout == output.layout
    return same and place.buffer.shape[:_ROWS] == output.buffer.shape[:_ROWS]


def _blocks(height: int) -> int:
    """The fewest blocks of equal numbers of rows that share out well."""
    enough = range(min(FEWEST_BLOCKS, height), height + 1)
    return next(count for count in enough if height % count == 0)


def _inner_runs(group: Group, shape: tuple[int, ...], rows: int) -> list[tuple[int, ...]]:
    """Runs of the dims behind the channels that one loop can walk, for a block of `rows`."""
    runs: list[tuple[int, ...]] = []
    axis = 0
    for dims in merge_dims(shape, accesses_of(group, shape)):
        kept = tuple(
            rows if at == _ROWS else size for at, size in enumerate(dims, start=axis) if at >= _ROWS
        )
        axis += len(dims)
        runs += [kept] if kept else []
    return runs


def _walk(body: Body, sizes: list[int], lanes: int, visit: _Visit) -> None:
    """Loops over all but the innermost size, that one in vectors."""

    def descend(index: Index) -> None:
        if len(index) == len(sizes) - 1:
            strips(body, sizes[-1], lanes, UNROLL, lambda _, i, c: visit((*index, i), c))
            return
        with body.over(sizes[len(index)]) as var:
            descend((*index, var))

    descend(())
