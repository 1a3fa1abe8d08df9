"""Direct convolution: a register tile of output places by output channels.

    parallel tasks (batch, group, panel of channels, block of rows) or, where the image is larger
                   than the weights, (batch, block of rows, group, panel of channels) {
        for row { for tile of places along the row {
            acc = 0
            for input block, window, channel in the block {
                acc[i, j] += input[place i, channel] * kernel[channel, window, j] }
            epilogue(acc) is stored } } }

Every value is reached through its layout, so the same loops serve blocked channels, channels last
and the three channels of a first layer; a depthwise convolution reads the input by vectors of
channels where others broadcast a single one.
Scheme: J. Zhang et al., High Performance Zero-Memory Overhead Direct Convolutions, ICML 2018.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeAlias

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Const, Expr, Fma, Index, Load
from tensorkiln.compiler.kernel.instructions import prefetch
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.schedules.conv_tiling import ConvShape, ConvTiling, conv_shape
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group
from tensorkiln.compiler.schedules.image_lines import lines_inside

LARGE_WEIGHTS = 1 << 19  # bytes of a kernel that the near caches do not keep
MOST_SHARES = 16
MOST_TAPS = 25  # of a window that is unrolled over the padding

Each: TypeAlias = Callable[[Callable[[Index, Expr, Expr, Expr | None], None]], None]


def schedule_convolution(group: Group, op: Op, tiling: ConvTiling, target: Target) -> Kernel:
    """The kernel of a group whose hero `op` is a legal convolution."""
    shape = conv_shape(op)
    assert shape is not None
    return _Convolution(group, op, shape, tiling, target).build()


class _Convolution:
    def __init__(
        self, group: Group, op: Op, shape: ConvShape, tiling: ConvTiling, target: Target
    ) -> None:
        self.group, self.op, self.shape, self.tiling = group, op, shape, tiling
        self.fma = target.has_fma and op.result.dtype.is_float
        # Each of two vectors takes the left number from memory: no instruction spreads it.
        folds = self.fma and target.has_broadcasting_operands and not shape.depthwise
        self.again = folds and tiling.vectors == 2
        self.body: Body = group.body()
        self.padded = any(o.result is op.operands[0] for o in group.region.ops)
        self.batch: Expr = ix.ZERO
        self.next_panel: Expr = ix.ZERO
        self.tiles = 0  # whole tiles of a task
        self.number: Expr = ix.ZERO  # of the tile in its task
        self.channel_group: Expr = ix.ZERO

    def build(self) -> Kernel:
        body, s, t = self.body, self.shape, self.tiling
        self.columns = t.vectors * t.lanes
        # A depthwise convolution has its groups as channels.
        self.channels = s.groups if s.depthwise else s.outputs
        groups = 1 if s.depthwise else s.groups
        full, self.edge = divmod(self.channels, self.columns)
        panels = full + bool(self.edge)
        outer = (1,) if t.flat else s.space[:-1] or (1,)
        rows = math.prod(outer)
        width = math.prod(s.space) if t.flat else s.space[-1]
        self.full_tiles, self.edge_rows = divmod(width, t.rows)
        # A last tile of fewer places is a step as well, which a block of its own may have.
        steps = self.full_tiles + bool(self.edge_rows) if t.flat else rows
        blocks = max(1, min(t.row_blocks, steps))
        size = -(-steps // blocks)
        blocks = -(-steps // size) if steps else 1
        tasks = (s.batch, groups, panels, blocks)
        if t.rows_first:
            tasks = (s.batch, blocks, groups, panels)
        parallel = self.group.work >= PARALLEL_WORK and math.prod(tasks) > 1
        kind = LoopKind.PARALLEL if parallel else LoopKind.SERIAL
        with body.over(math.prod(tasks), kind, "task") as task:
            self.batch, *rest = ix.unflatten(task, tasks)
            if t.rows_first:
                block, self.channel_group, panel = rest
            else:
                self.channel_group, panel, block = rest
            after = Binary("min", ix.add(panel, ix.const(1)), ix.const(panels - 1))
            self.next_panel = body.let(ix.mul(after, self.columns))
            self.tiles = size if t.flat else size * self.full_tiles
            with self._panel(panel, full) as parts:
                for column, columns in parts:
                    with self._when_panel(panel, full, columns):
                        self._rows(block, size, steps, blocks, outer, column, columns)
        return self.group.kernel(body)

    @contextmanager
    def _panel(self, panel: Expr, full: int) -> Iterator[list[tuple[Expr, int]]]:
        parts: list[tuple[Expr, int]] = []
        if full:
            parts.append((ix.mul(panel, self.columns), self.columns))
        if self.edge:
            parts.append((ix.const(full * self.columns), self.edge))
        yield parts

    @contextmanager
    def _when_panel(self, panel: Expr, full: int, columns: int) -> Iterator[None]:
        if not (full and self.edge):
            yield
            return
        op = "lt" if columns == self.columns else "eq"
        with self.body.when(Binary(op, panel, ix.const(full))):
            yield

    def _rows(
        self, block: Expr, size: int, steps: int, blocks: int, outer: tuple[int, ...],
        column: Expr, columns: int,
    ) -> None:  # fmt: skip
        body, t = self.body, self.tiling
        first = ix.mul(block, size)
        stop: Expr = ix.const(min(size, self.full_tiles if t.flat else size))
        if blocks > 1:
            last = self.full_tiles if t.flat else steps
            stop = Binary("min", ix.const(size), ix.sub(ix.const(last), first))
        if t.flat:
            if self.full_tiles:
                with body.between(ix.ZERO, stop, size) as step:
                    tile = ix.add(first, step)
                    self.number = step
                    self._tile(
                        self._flat_place(ix.mul(tile, t.rows), t.rows), t.rows, column, columns
                    )
            if self.edge_rows:
                with self._last_block(block, blocks):
                    start = ix.const(self.full_tiles * t.rows)
                    self._tile(
                        self._flat_place(start, self.edge_rows), self.edge_rows, column, columns
                    )
            return
        with body.between(ix.ZERO, stop, size) as step:
            row = ix.unflatten(ix.add(first, step), outer)
            row = row if len(self.shape.space) > 1 else ()

            def visit(tile: Expr, row: Index = row, step: Expr = step) -> None:
                self.number = ix.add(ix.mul(step, self.full_tiles), tile)
                self._tile(self._place(row, ix.mul(tile, t.rows)), t.rows, column, columns)

            self._along_row(visit)
            if self.edge_rows:
                start = ix.const(self.full_tiles * t.rows)
                self._tile(self._place(row, start), self.edge_rows, column, columns)

    def _along_row(self, visit: Callable[[Expr], None]) -> None:
        """Visits the whole tiles of a row; where padding is read, the outer ones by themselves.

        A constant place lets the compiler drop the questions that have one answer there.
        """
        if not self.padded:
            if self.full_tiles:
                with self.body.over(self.full_tiles) as number:
                    visit(number)
            return
        if self.full_tiles:
            visit(ix.ZERO)
        if self.full_tiles > 2:
            with self.body.over(self.full_tiles - 2) as number:
                visit(ix.add(number, ix.const(1)))
        if self.full_tiles > 1:
            visit(ix.const(self.full_tiles - 1))

    @contextmanager
    def _last_block(self, block: Expr, blocks: int) -> Iterator[None]:
        if blocks == 1:
            yield
            return
        with self.body.when(Binary("eq", block, ix.const(blocks - 1))):
            yield

    def _place(self, row: Index, start: Expr) -> Callable[[Expr], Index]:
        return lambda i: (*row, ix.add(start, i))

    def _flat_place(self, start: Expr, rows: int) -> Callable[[Expr], Index]:
        # No tile begins behind the image, which bounds of a shorter last block do not tell.
        inner = self.shape.space[1:]

        def place(i: Expr) -> Index:
            flat = ix.add(start, i)
            return (ix.floordiv(flat, math.prod(inner)), *ix.unflatten(flat, inner))

        return place

    def _tile(self, place: Callable[[Expr], Index], rows: int, column: Expr, columns: int) -> None:
        body, lanes = self.body, self.tiling.lanes
        vectors = -(-columns // lanes)
        ragged = columns % lanes
        acc = body.local((rows, vectors * lanes), self.op.result.dtype)

        def each(visit: Callable[[Index, Expr, Expr, Expr | None], None]) -> None:
            """Visits the tile's vectors: place in acc, row number, channel, lanes that exist."""
            with body.over(rows, LoopKind.UNROLLED, "i") as i:
                whole = vectors - 1 if ragged else vectors
                if whole:
                    with (
                        body.over(whole, LoopKind.UNROLLED, "j") as j,
                        body.over(lanes, LoopKind.VECTOR, "l") as lane,
                    ):
                        at = ix.add(ix.mul(j, lanes), lane)
                        visit((i, at), i, ix.add(column, at), None)
                if ragged:
                    with body.over(lanes, LoopKind.VECTOR, "l") as lane:
                        at = ix.add(ix.const(whole * lanes), lane)
                        exists = Binary("lt", lane, ix.const(ragged))
                        visit((i, at), i, ix.add(column, at), exists)

        zero = Const(0.0 if acc.dtype.is_float else 0, acc.dtype)
        each(lambda at, i, channel, exists: body.store(acc, at, zero))
        with self._box(place(ix.ZERO)) as (channel, window):
            if rows == self.tiling.rows and columns == self.columns:
                self._fetch_next_panel(channel, window)
            each(
                lambda at, i, out, exists: self._multiply(
                    acc, at, place(i), out, channel, window, exists
                )
            )
        each(lambda at, i, channel, exists: self._store(acc, at, place(i), channel, exists))

    @contextmanager
    def _box(self, place: Index) -> Iterator[tuple[Expr, Index]]:
        """Loops over what is summed: blocks of channels, the window, channels of a block."""
        body, s, block = self.body, self.shape, self.tiling.block
        with ExitStack() as stack:
            if s.depthwise:
                short = self.padded and math.prod(s.window) <= MOST_TAPS
                # Rows of the window are a loop: unrolled, they would be as many copies of the tile.
                last = LoopKind.UNROLLED if short else LoopKind.SERIAL
                kinds = [*(LoopKind.SERIAL for _ in s.window[1:]), last]
                window: Index = tuple(
                    stack.enter_context(body.over(size, kind, "w"))
                    for size, kind in zip(s.window, kinds, strict=True)
                )
                yield ix.ZERO, window
                return
            if block > 1 and s.inputs % block == 0:
                outer = stack.enter_context(body.over(s.inputs // block, hint="c"))
                window = tuple(self._window(stack, place))
                inner = stack.enter_context(body.over(block, hint="c"))
                yield ix.add(ix.mul(outer, block), inner), window
                return
            window = tuple(self._window(stack, place))
            yield stack.enter_context(body.over(s.inputs, hint="c")), window

    def _window(self, stack: ExitStack, place: Index) -> Iterator[Expr]:
        """Loops over the window of a tile at `place`, without the lines that are all padding."""
        s, lines = self.shape, None
        if not self.tiling.flat and len(s.space) > 1:
            stop = ix.const(s.window[0])
            lines = lines_inside(s, self.tiling.image, place[0], ix.ZERO, stop)
        for axis, size in enumerate(s.window):
            if axis or lines is None:
                yield stack.enter_context(self.body.over(size, hint="w"))
            else:
                yield stack.enter_context(self.body.between(*lines, size))

    def _fetch_next_panel(self, channel: Expr, window: Index) -> None:
        """The tiles of a panel of weights fetch the next one from the outer caches, each its share.

        Of every `share` blocks of channels a tile walks through, each fetches its part of the
        lines of one block of the next panel.
        """
        s, block, kernel = self.shape, self.tiling.block, self.op.operands[1]
        place = self.body.places.get(kernel)
        large = kernel.type.bytes >= LARGE_WEIGHTS and place is not None
        share = 1 << (min(self.tiles, MOST_SHARES).bit_length() - 1)
        if not large or s.depthwise or s.groups > 1 or block < 2 or share < 2:
            return
        assert place is not None
        outer, inner = ix.floordiv(channel, block), ix.mod(channel, block)
        blocks = s.inputs // block
        target = ix.add(ix.mul(self.number, -(-blocks // share)), ix.floordiv(outer, share))
        target = Binary("min", target, ix.const(blocks - 1))
        source = ix.add(ix.mul(target, block), inner)
        column = ix.floordiv(ix.mul(ix.mod(outer, share), self.columns), share)
        index = _arranged(s.positions[1], (ix.add(self.next_panel, column), source, *window))
        self.body.emit(prefetch(place.buffer, place.index(index)))

    def _multiply(
        self, acc: Buffer, at: Index, place: Index, out: Expr, channel: Expr, window: Index,
        exists: Expr | None,
    ) -> None:  # fmt: skip
        body, s = self.body, self.shape
        left, kernel, _ = s.positions
        steps = zip(place, window, s.strides, s.dilation, strict=True)
        space = tuple(ix.add(ix.mul(p, stride), ix.mul(w, d)) for p, w, stride, d in steps)
        if s.depthwise:
            source, target = out, out
        else:
            source = ix.add(ix.mul(self.channel_group, s.inputs), channel)
            target = ix.add(ix.mul(self.channel_group, s.outputs), out)
        # The kernel's panels are padded with zeros: only a depthwise input has lanes to mask.
        with ExitStack() as stack:
            if exists is not None and s.depthwise:
                stack.enter_context(body.guard(exists))
            stack.enter_context(body.reading_again(self.again))
            a = body.read(self.op.operands[0], _arranged(left, (self.batch, source, *space)))
        b = body.read(self.op.operands[1], _arranged(kernel, (target, channel, *window)))
        total = Load(acc, at)
        body.store(
            acc, at, Fma(a, b, total) if self.fma else Binary("add", total, Binary("mul", a, b))
        )

    def _store(self, acc: Buffer, at: Index, place: Index, out: Expr, exists: Expr | None) -> None:
        body, s = self.body, self.shape
        if not s.depthwise:
            out = ix.add(ix.mul(self.channel_group, s.outputs), out)
        index = _arranged(s.positions[2], (self.batch, out, *place))
        with ExitStack() as stack:
            if exists is not None:
                stack.enter_context(body.when(exists))
            body.bound[self.op.result] = lambda _: body.let(Load(acc, at))
            values = [body.read(v, index) for v in self.group.region.results]
            for output, value in zip(self.group.outputs, values, strict=True):
                body.store(output.buffer, output.index(index), value)


def _arranged(positions: tuple[int, ...], index: Index) -> Index:
    """An index given as (batch, feature, space...) in the order of the tensor's dims."""
    places = dict(zip(positions, index, strict=True))
    return tuple(places[d] for d in range(len(places)))
