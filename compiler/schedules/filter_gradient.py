"""Convolutions that sum a large window into a small result, as the gradient of a filter does.

    parallel tasks {
        for block of the depth (input channels, lines of the window) {
            for each of the task's tiles (place, row tile, panel of channels) {
                acc = 0
                for input channel, window in the block {
                    acc[p, r, j] += input[row r, place p + window] * kernel[window, j] }
                partial sums, or after the last block the epilogue of acc, are stored } } }

Seen as a matrix product for each place of the result, with the input shifted by it, whose depth is
the window of all input channels: nothing is packed, and a block of both operands stays in the
nearest caches while all tiles of a task pass over it.  The order of the sums depends on the
tiling alone.  See ops/convolution_gradient.py for how filters' gradients are such convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeAlias

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Const, Expr, Fma, Index, Load
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.schedules.conv_tiling import ConvShape, conv_shape
from tensorkiln.compiler.schedules.filter_tiling import FilterTiling
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group
from tensorkiln.compiler.schedules.image_lines import lines_inside

UNROLLED_PRODUCTS = 320  # whose instructions the processor holds decoded, with all else of a tile

# visit(index in acc, (batch, channel, space...), lanes that exist)
Visit: TypeAlias = Callable[[Index, Index, Expr | None], None]


def schedule_filter_gradient(group: Group, op: Op, tiling: FilterTiling, target: Target) -> Kernel:
    """The kernel of a group whose hero `op` is a legal convolution with one feature group."""
    shape = conv_shape(op)
    assert shape is not None
    return _FilterGradient(group, op, shape, tiling, target).build()


class _FilterGradient:
    def __init__(
        self, group: Group, op: Op, shape: ConvShape, tiling: FilterTiling, target: Target
    ) -> None:
        self.group, self.op, self.shape, self.tiling = group, op, shape, tiling
        self.registers = target.registers
        self.fma = target.has_fma and op.result.dtype.is_float
        self.body: Body = group.body()
        self.depth_blocks = (-(-shape.inputs // tiling.images), -(-shape.window[0] // tiling.lines))
        self.blocks = math.prod(self.depth_blocks)

    def build(self) -> Kernel:
        body, s, t = self.body, self.shape, self.tiling
        boxes = tuple(size // part for size, part in zip(s.space, t.places, strict=True))
        # Rows next to each other share their lines of the input, and the panel of the kernel.
        tiles = (*boxes, -(-s.outputs // t.columns), -(-s.batch // t.rows))
        count = math.prod(tiles)
        tasks = -(-count // t.items)
        parallel = self.group.work >= PARALLEL_WORK and tasks > 1
        with body.over(tasks, LoopKind.PARALLEL if parallel else LoopKind.SERIAL, "task") as task:
            first = ix.mul(task, t.items)
            stop: Expr = ix.const(t.items)
            if count % t.items:
                stop = Binary("min", stop, ix.sub(ix.const(count), first))
            sums = None
            if self.blocks > 1:
                held = (t.items, *t.places, t.rows, t.columns)
                sums = body.local(held, self.op.result.dtype, "sums")
            with (
                body.over(self.blocks, hint="block") as block,
                body.between(ix.ZERO, stop, t.items) as item,
            ):
                self._item(ix.unflatten(ix.add(first, item), tiles), sums, item, block)
        return self.group.kernel(body)

    def _item(self, tile: Index, sums: Buffer | None, item: Expr, block: Expr) -> None:
        s, t = self.shape, self.tiling
        *box, panel, row = tile
        start = tuple(ix.mul(number, part) for number, part in zip(box, t.places, strict=True))
        for rows, row_case in self._cases(row, s.batch, t.rows):
            for columns, column_case in self._cases(panel, s.outputs, t.columns):
                with ExitStack() as stack:
                    for case in (row_case, column_case):
                        if case is not None:
                            stack.enter_context(self.body.when(case))
                    corner = (ix.mul(row, t.rows), ix.mul(panel, t.columns), *start)
                    self._tile(corner, rows, columns, sums, item, block)

    def _cases(self, number: Expr, extent: int, size: int) -> list[tuple[int, Expr | None]]:
        """The sizes a tile may have along a dim, each with the condition on its number."""
        full, edge = divmod(extent, size)
        if not edge or not full:
            return [(size if full else edge, None)]
        return [
            (size, Binary("lt", number, ix.const(full))),
            (edge, Binary("eq", number, ix.const(full))),
        ]

    def _tile(
        self, corner: Index, rows: int, columns: int, sums: Buffer | None, item: Expr, block: Expr
    ) -> None:
        body, lanes, places = self.body, self.tiling.lanes, self.tiling.places
        vectors, ragged = -(-columns // lanes), columns % lanes
        acc = body.local((*places, rows, vectors * lanes), self.op.result.dtype)
        row, column, *start = corner

        def each(visit: Visit) -> None:
            with ExitStack() as stack:
                part = [stack.enter_context(body.over(n, LoopKind.UNROLLED, "p")) for n in places]
                i = stack.enter_context(body.over(rows, LoopKind.UNROLLED, "i"))
                place = tuple(ix.add(s, p) for s, p in zip(start, part, strict=True))

                def at(inner: Expr) -> tuple[Index, Index]:
                    return (*part, i, inner), (ix.add(row, i), ix.add(column, inner), *place)

                whole = vectors - 1 if ragged else vectors
                if whole:
                    with (
                        body.over(whole, LoopKind.UNROLLED, "j") as j,
                        body.over(lanes, LoopKind.VECTOR, "l") as lane,
                    ):
                        visit(*at(ix.add(ix.mul(j, lanes), lane)), None)
                if ragged:
                    with body.over(lanes, LoopKind.VECTOR, "l") as lane:
                        exists = Binary("lt", lane, ix.const(ragged))
                        visit(*at(ix.add(ix.const(whole * lanes), lane)), exists)

        zero = Const(0.0 if acc.dtype.is_float else 0, acc.dtype)
        each(lambda at, index, exists: body.store(acc, at, zero))
        with self._depth(block, start[0]) as (channel, window):
            each(lambda at, index, exists: self._multiply(acc, at, index, channel, window, exists))
        if sums is None:
            each(lambda at, index, exists: self._store(acc, at, index, exists))
            return
        partial = sums  # for the closures: never None
        with body.when(Binary("gt", block, ix.ZERO)):
            each(
                lambda at, index, exists: body.store(
                    acc, at, Binary("add", Load(partial, (item, *at)), Load(acc, at))
                )
            )
        with body.when(Binary("lt", block, ix.const(self.blocks - 1))):
            each(lambda at, index, exists: body.store(partial, (item, *at), Load(acc, at)))
        with body.when(Binary("eq", block, ix.const(self.blocks - 1))):
            each(lambda at, index, exists: self._store(acc, at, index, exists))

    @contextmanager
    def _depth(self, block: Expr, place: Expr) -> Iterator[tuple[Expr, Index]]:
        """Loops over what is summed in one block: input channels and the window.

        Where a tile has one `place` along the first dim, lines of padding are left out.
        """
        s, t = self.shape, self.tiling
        images, lines = ix.unflatten(block, self.depth_blocks)
        with ExitStack() as stack:
            channel = stack.enter_context(self._part(images, t.images, s.inputs))
            met = place if t.places[0] == 1 else None
            first = stack.enter_context(self._part(lines, t.lines, s.window[0], met))
            others = [stack.enter_context(self._line(size)) for size in s.window[1:]]
            yield channel, (first, *others)

    @contextmanager
    def _line(self, size: int) -> Iterator[Expr]:
        """A loop over a dim of the window, unrolled as far as its products are not too many.

        Lines are short, and neighbouring steps read the same input: LLVM loads it once for them,
        which pays if all that a step reads finds room beside the sums.
        """
        t = self.tiling
        inputs = math.prod(t.places) * t.rows
        products = inputs * t.vectors
        most = UNROLLED_PRODUCTS if products + t.vectors + inputs <= self.registers else products
        parts = [n for n in range(2, size + 1) if size % n == 0 and n * products <= most]
        part = max(parts, default=1)
        with (
            self.body.over(size // part, hint="w") as number,
            self.body.over(part, LoopKind.UNROLLED, "u") as step,
        ):
            yield ix.add(ix.mul(number, part), step)

    @contextmanager
    def _part(
        self, number: Expr, size: int, extent: int, place: Expr | None = None
    ) -> Iterator[Expr]:
        """A loop over part `number` of a dim that is cut into parts of `size`.

        If it is over lines of the window, only those that meet the image at `place`.
        """
        start: Expr = ix.ZERO
        stop: Expr = ix.const(extent)
        if size < extent:
            start = ix.mul(number, size)
            stop = ix.add(start, ix.const(size))
            if extent % size:
                stop = Binary("min", stop, ix.const(extent))
        inside = None
        if place is not None:
            inside = lines_inside(self.shape, self.tiling.image, place, start, stop)
        if inside is None and size >= extent:
            with self.body.over(extent, hint="k") as var:
                yield var
            return
        with self.body.between(*(inside or (start, stop)), extent) as var:
            yield var

    def _multiply(
        self,
        acc: Buffer,
        at: Index,
        index: Index,
        channel: Expr,
        window: Index,
        exists: Expr | None,
    ) -> None:
        body, s = self.body, self.shape
        batch, out, *place = index
        steps = zip(place, window, s.strides, s.dilation, strict=True)
        space = tuple(ix.add(ix.mul(p, stride), ix.mul(w, d)) for p, w, stride, d in steps)
        a = body.read(self.op.operands[0], _arranged(s.positions[0], (batch, channel, *space)))
        with ExitStack() as stack:
            if exists is not None:
                stack.enter_context(body.guard(exists))
            b = body.read(self.op.operands[1], _arranged(s.positions[1], (out, channel, *window)))
        total = Load(acc, at)
        body.store(
            acc, at, Fma(a, b, total) if self.fma else Binary("add", total, Binary("mul", a, b))
        )

    def _store(self, acc: Buffer, at: Index, index: Index, exists: Expr | None) -> None:
        body = self.body
        logical = _arranged(self.shape.positions[2], index)
        with ExitStack() as stack:
            if exists is not None:
                stack.enter_context(body.when(exists))
            body.bound[self.op.result] = lambda _: body.let(Load(acc, at))
            values = [body.read(v, logical) for v in self.group.region.results]
            for output, value in zip(self.group.outputs, values, strict=True):
                body.store(output.buffer, output.index(logical), value)


def _arranged(positions: tuple[int, ...], index: Index) -> Index:
    """An index given as (batch, feature, space...) in the order of the tensor's dims."""
    places = dict(zip(positions, index, strict=True))
    return tuple(places[d] for d in range(len(places)))
