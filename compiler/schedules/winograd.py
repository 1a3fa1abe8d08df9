"""The transforms around the matrix multiplies of a Winograd convolution, in lanes of channels.

    parallel tasks (batch, row of tiles, block of channels) {
        for tile along the row { for vector of channels in the block {
            the tile's elements are read by columns, each column transformed, then each row
            36 elements are stored, or 16 through the epilogue } } }

Tiles inside of the image take a path without conditions; tiles at its edges ask for each element.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Const, Expr, Fma, Index, Load
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.ops.checks import op_pairs
from tensorkiln.compiler.ops.winograd import tile_grid
from tensorkiln.compiler.ops.winograd_matrices import INPUT, OUTPUT, OUTPUTS, POINTS
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group


def schedule_winograd(group: Group, target: Target) -> Kernel:
    """The kernel of a group whose hero is a winograd_input or a winograd_output."""
    for op in group.region.ops:
        if op.name == "winograd_input":
            return _Input(group, op, target).build()
        if op.name == "winograd_output":
            return _Output(group, op, target).build()
    raise ValueError(f"group {group.name} has no Winograd transform")


BLOCK_VECTORS = 8  # lines that lie together where the matrix multiplies read and write them


class _Transform:
    """What both transforms share: the walk over tiles and the sums of a matrix's row."""

    def __init__(
        self, group: Group, op: Op, image: tuple[int, ...], grid: tuple[int, int], target: Target
    ) -> None:
        self.group, self.op, self.target = group, op, target
        self.body: Body = group.body()
        self.spec = op.ints("spec")
        self.batches, self.channels, self.height, self.width = (image[d] for d in self.spec)
        self.rows, self.columns = grid
        self.lanes = target.lanes(op.result.dtype.bits)

    def build(self) -> Kernel:
        body = self.body
        vectors = -(-self.channels // self.lanes)
        blocks = -(-vectors // BLOCK_VECTORS)
        size = -(-vectors // blocks)
        tasks = (self.batches, self.rows, blocks)
        parallel = self.group.work >= PARALLEL_WORK and math.prod(tasks) > 1
        kind = LoopKind.PARALLEL if parallel else LoopKind.SERIAL
        with body.over(math.prod(tasks), kind, "task") as task:
            self.batch, self.row, block = ix.unflatten(task, tasks)
            first = ix.mul(block, size)
            stop: Expr = ix.const(size)
            if vectors % size:
                stop = Binary("min", stop, ix.sub(ix.const(vectors), first))
            with (
                body.over(self.columns, hint="tile") as self.column,
                body.between(ix.ZERO, stop, size) as number,
            ):
                self.vector = ix.add(first, number)
                self.tile = ix.add(
                    ix.mul(ix.add(ix.mul(self.batch, self.rows), self.row), self.columns),
                    self.column,
                )
                inside = self.inside()
                if inside is None:
                    self.visit(False)
                else:
                    with body.when(inside):
                        self.visit(False)
                    with body.when(Binary("eq", inside, Const(False, inside.dtype))):
                        self.visit(True)
        return self.group.kernel(body)

    def inside(self) -> Expr | None:
        """Whether all of the tile is inside the image; None if that is so of every tile."""
        raise NotImplementedError

    def visit(self, at_edge: bool) -> None:
        """Transforms one tile; one at an edge asks where each element lies."""
        raise NotImplementedError

    @contextmanager
    def channel(self) -> Iterator[tuple[Expr, Expr, Expr | None]]:
        """A loop over lanes: the lane, its channel, and whether that exists."""
        with self.body.over(self.lanes, LoopKind.VECTOR, "l") as lane:
            channel = ix.add(ix.mul(self.vector, self.lanes), lane)
            ragged = self.channels % self.lanes
            exists = Binary("lt", channel, ix.const(self.channels)) if ragged else None
            yield lane, channel, exists

    def arranged(self, index: Index) -> Index:
        """An image index given as (batch, feature, row, column), in the order of its dims."""
        places = dict(zip(self.spec, index, strict=True))
        return tuple(places[d] for d in range(4))

    def combine(self, row: Sequence[Fraction], values: Sequence[Expr]) -> Expr:
        """The named sum of `values` weighted by a row of a matrix."""
        terms = [(c, v) for c, v in zip(row, values, strict=True) if c]
        terms.sort(key=lambda term: term[0] != 1)  # one that needs no product comes first
        total: Expr | None = None
        for c, v in terms:
            factor = Const(float(c), v.dtype)
            if total is None:
                total = v if c == 1 else Binary("mul", v, factor)
            elif abs(c) == 1:
                total = Binary("add" if c == 1 else "sub", total, v)
            elif self.target.has_fma:
                total = Fma(v, factor, total)
            else:
                total = Binary("add", total, Binary("mul", v, factor))
        assert total is not None
        return self.body.let(total)


class _Input(_Transform):
    def __init__(self, group: Group, op: Op, target: Target) -> None:
        image = op.operands[0].shape
        self.padding = op_pairs(op, "padding")
        space = [
            image[d] + sum(pair) - POINTS + OUTPUTS
            for d, pair in zip(op.ints("spec")[2:], self.padding, strict=True)
        ]
        super().__init__(group, op, image, tile_grid(space), target)

    def _start(self, axis: int) -> Expr:
        tile = (self.row, self.column)[axis]
        return ix.sub(ix.mul(tile, OUTPUTS), ix.const(self.padding[axis][0]))

    def inside(self) -> Expr | None:
        sizes = zip((self.rows, self.columns), (self.height, self.width), strict=True)
        conditions: list[Expr] = []
        for axis, (tiles, size) in enumerate(sizes):
            low = self.padding[axis][0]
            if low:
                conditions.append(Binary("ge", self._start(axis), ix.ZERO))
            if OUTPUTS * (tiles - 1) - low + POINTS > size:
                limit = ix.const(size - POINTS)
                conditions.append(Binary("le", self._start(axis), limit))
        return _all(conditions)

    def visit(self, at_edge: bool) -> None:
        body, (x,) = self.body, self.op.operands
        top, left = self._start(0), self._start(1)
        with self.channel() as (_, channel, exists):
            lines: list[list[Expr]] = []
            for j in range(POINTS):
                column: list[Expr] = []
                for i in range(POINTS):
                    place = (ix.add(top, ix.const(i)), ix.add(left, ix.const(j)))
                    with ExitStack() as stack:
                        for condition in self._conditions(place) if at_edge else ():
                            stack.enter_context(body.guard(condition))
                        if exists is not None:
                            stack.enter_context(body.guard(exists))
                        column.append(body.read(x, self.arranged((self.batch, channel, *place))))
                lines.append([self.combine(row, column) for row in INPUT])
            (output,) = self.group.outputs
            for i in range(POINTS):
                line = [column[i] for column in lines]
                for j, row in enumerate(INPUT):
                    at = (ix.const(i * POINTS + j), self.tile, channel)
                    value = self.combine(row, line)
                    with ExitStack() as stack:
                        if exists is not None:
                            stack.enter_context(body.when(exists))
                        body.store(output.buffer, output.index(at), value)

    def _conditions(self, place: Index) -> Iterator[Expr]:
        for position, size, (low, _) in zip(
            place, (self.height, self.width), self.padding, strict=True
        ):
            if low:
                yield Binary("ge", position, ix.ZERO)
            yield Binary("lt", position, ix.const(size))


class _Output(_Transform):
    def __init__(self, group: Group, op: Op, target: Target) -> None:
        shape = op.result.shape
        grid = tile_grid([shape[d] for d in op.ints("spec")[2:]])
        super().__init__(group, op, shape, grid, target)

    def inside(self) -> Expr | None:
        conditions: list[Expr] = []
        if self.height % OUTPUTS:
            conditions.append(Binary("lt", self.row, ix.const(self.height // OUTPUTS)))
        if self.width % OUTPUTS:
            conditions.append(Binary("lt", self.column, ix.const(self.width // OUTPUTS)))
        return _all(conditions)

    def visit(self, at_edge: bool) -> None:
        body, (m,) = self.body, self.op.operands
        sums = body.local((OUTPUTS * OUTPUTS, self.lanes), self.op.result.dtype, "sums")
        with self.channel() as (lane, channel, exists):
            lines: list[list[Expr]] = []
            for b in range(POINTS):
                column: list[Expr] = []
                for a in range(POINTS):
                    with ExitStack() as stack:
                        if exists is not None:
                            stack.enter_context(body.guard(exists))
                        index = (ix.const(a * POINTS + b), self.tile, channel)
                        column.append(body.read(m, index))
                lines.append([self.combine(row, column) for row in OUTPUT])
            for i in range(OUTPUTS):
                line = [column[i] for column in lines]
                for j, row in enumerate(OUTPUT):
                    body.store(sums, (ix.const(i * OUTPUTS + j), lane), self.combine(row, line))
        with (
            body.over(OUTPUTS, LoopKind.UNROLLED, "i") as row_number,
            body.over(OUTPUTS, LoopKind.UNROLLED, "j") as column_number,
        ):
            self._store(sums, row_number, column_number, at_edge)

    def _store(self, sums: Buffer, i: Expr, j: Expr, at_edge: bool) -> None:
        """Sends the vector of channels at one place of the tile through the epilogue."""
        body = self.body
        rows, columns = ix.const(self.height), ix.const(self.width)
        y = ix.add(ix.mul(self.row, OUTPUTS), i)
        x = ix.add(ix.mul(self.column, OUTPUTS), j)
        with ExitStack() as stack:
            if at_edge:
                within = Binary("and", Binary("lt", y, rows), Binary("lt", x, columns))
                stack.enter_context(body.when(within))
            lane, channel, exists = stack.enter_context(self.channel())
            if exists is not None:
                stack.enter_context(body.when(exists))
            body.bound[self.op.result] = lambda _: body.let(
                Load(sums, (ix.add(ix.mul(i, OUTPUTS), j), lane))
            )
            index = self.arranged((self.batch, channel, y, x))
            values = [body.read(v, index) for v in self.group.region.results]
            for output, value in zip(self.group.outputs, values, strict=True):
                body.store(output.buffer, output.index(index), value)


def _all(conditions: Sequence[Expr]) -> Expr | None:
    found: Expr | None = None
    for condition in conditions:
        found = condition if found is None else Binary("and", found, condition)
    return found


__all__ = ["schedule_winograd"]
