"""Matrix multiply: register tiles over packed panels, blocked for the second-level cache.

    parallel tasks (batch, block of rows, block of columns) {
        for block of depth { for panel of columns { for tile of rows {
            acc = 0
            for k { acc[i, j] += left[i, k] * right[k, j] }
            acc += the partial sums of the blocks before
            acc, or after the last block its epilogue, is stored } } } }

The order in which one element's products are added depends on the tiling alone, never on threads.
Scheme: K. Goto, R. van de Geijn, Anatomy of High-Performance Matrix Multiplication, ACM TOMS 2008.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeAlias

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import (
    Binary,
    Buffer,
    Const,
    Expr,
    Fma,
    Index,
    Load,
)  # fmt: skip
from tensorkiln.compiler.kernel.instructions import prefetch
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group
from tensorkiln.compiler.schedules.numbered import Range, edge, numbers, rounded_up, unrolled
from tensorkiln.compiler.schedules.panel_shares import shares_of_call
from tensorkiln.compiler.schedules.tiling import (
    MatmulShape,
    Tiling,
    column_dim,
    matmul_shape,
    row_dim,
)  # fmt: skip

AHEAD_BYTES = 6144  # of weights: what arrives from an outer cache while this much is used

FAR_BYTES = 1 << 20
STEP = 8  # multiplications of a tile between two times that lines are asked for
LINE_BYTES = 64
WIDE_COPIES = 2  # the same where loads are part of the multiplications
COPIES = 8  # steps of a tile that are written out, where turning back the loop is felt

Each: TypeAlias = Callable[[Callable[[Index, Index, "Expr | None"], None]], None]


def schedule_matmul(group: Group, op: Op, tiling: Tiling, target: Target) -> Kernel:
    """The kernel of a group whose hero `op` is a dot_general of the plain form."""
    shape = matmul_shape(op)
    assert shape is not None
    return Matmul(group, op, shape, tiling, target).build()


class Matmul:
    """The kernel of one dot_general under construction."""

    def __init__(
        self, group: Group, op: Op, shape: MatmulShape, tiling: Tiling, target: Target
    ) -> None:
        self.group, self.op, self.shape, self.tiling = group, op, shape, tiling
        self.fma = target.has_fma and op.result.dtype.is_float
        # Each of two vectors takes the left number from memory: no instruction spreads it.
        self.again = self.fma and target.has_broadcasting_operands and tiling.vectors == 2
        self.copies = WIDE_COPIES if target.has_broadcasting_operands else COPIES
        self.body: Body = group.body()
        self.value: Value = op.result
        self.batch: Index = ()
        self.next_column: Expr = ix.ZERO
        output = group.outputs[0]
        # Partial sums live in the result itself, so it must hold them exactly.
        can_block = len(group.outputs) == 1 and output.buffer.dtype == op.result.dtype
        self.depth = tiling.depth if can_block else shape.k
        self.full_tiles, self.edge_rows = divmod(shape.m, tiling.rows)
        self.full_panels, self.edge_columns = divmod(shape.n, tiling.columns)
        self.tiles = self.full_tiles + bool(self.edge_rows)
        self.panel_count = self.full_panels + bool(self.edge_columns)
        self.block_panels = -(-self.panel_count // tiling.column_blocks)
        self.row_blocks = -(-self.tiles // tiling.block_tiles)
        self.turns = max(1, min(tiling.block_tiles, self.full_tiles))
        self.rounds = tiling.sure_rounds(self.row_blocks)
        if tiling.turns is not None and self.rounds:
            self.turns = min(self.turns, self.rounds * tiling.turns.used)
        self.share: Expr = ix.const(-(-self.depth // self.turns))  # rows a tile fetches of a panel
        self.pace: Expr | None = None  # see panel_shares.py
        self.run: Expr | None = None
        self.back: Expr = ix.ZERO
        self.blocks = -(-shape.k // self.depth)
        # Results that the near caches do not hold, and what their epilogue reads beside them, are
        # fetched line by line while a tile is computed; for near ones that would cost more.
        self.far = op.result.type.bytes >= FAR_BYTES
        read = zip(group.region.parameters, group.inputs, strict=True)
        beside = [p for v, p in read if v.shape == op.result.shape and v not in op.operands]
        self.fetched = [output, *(beside if self.far else ())]

    def build(self) -> Kernel:
        """The kernel."""
        body, t = self.body, self.tiling
        column_blocks = -(-self.panel_count // self.block_panels)
        tasks = (*self.shape.batch, self.row_blocks, column_blocks)
        parallel = self.group.work >= PARALLEL_WORK and math.prod(tasks) > 1
        kind = LoopKind.PARALLEL if parallel else LoopKind.SERIAL
        with body.over(math.prod(tasks), kind, "task") as task:
            *batch, row_block, column_block = ix.unflatten(task, tasks)
            self.batch = tuple(batch)
            rows = Range(ix.mul(row_block, t.block_tiles), ix.const(t.block_tiles), t.block_tiles)
            with body.over(self.blocks, hint="p") as block:
                self.panels(rows, column_block, block)
        return self.group.kernel(body)

    def length(self, block: Expr) -> Expr:
        """Steps of the contracted dim in a block of it."""
        if self.blocks == 1:
            return ix.const(self.shape.k)
        rest = ix.sub(ix.const(self.shape.k), ix.mul(block, self.depth))
        return Binary("min", ix.const(self.depth), rest)

    def panels(self, rows: Range, column_block: Expr, block: Expr) -> None:
        """All tiles of a block of rows and a block of columns, for a block of depth."""
        t = self.tiling
        first = ix.mul(column_block, self.block_panels)
        columns = Range(first, ix.const(self.block_panels), self.block_panels)
        with numbers(self.body, columns, self.full_panels) as panel:
            after = Binary("min", ix.add(panel, ix.const(1)), ix.const(self.full_panels - 1))
            self.next_column = ix.mul(self.body.let(after), t.columns)
            self.begin_panel(ix.mul(panel, t.columns), t.columns, block)
            self._tiles(rows, ix.mul(panel, t.columns), t.columns, block)
        if self.edge_columns:
            with edge(self.body, columns, self.full_panels):
                start = ix.const(self.full_panels * t.columns)
                self.begin_panel(start, self.edge_columns, block)
                self._tiles(rows, start, self.edge_columns, block)

    def _tiles(self, rows: Range, column: Expr, columns: int, block: Expr) -> None:
        t = self.tiling
        if t.tiles is not None and self._shares_panels:
            soon = self._ahead if self.blocks == 1 and t.vectors == t.panel else self.depth
            self.share, self.run, self.pace, self.back = shares_of_call(
                self.body, rows, t.tiles, self.depth, STEP, soon
            )
        with numbers(self.body, rows, self.full_tiles) as tile:
            # Which of a panel's tiles this one is: each fetches a share of the next panel.
            number = ix.sub(tile, rows.first) if columns == t.columns else None
            self._tile(tile, t.rows, column, columns, block, number)
        if self.edge_rows:
            with edge(self.body, rows, self.full_tiles):
                self._tile(ix.const(self.full_tiles), self.edge_rows, column, columns, block)

    def _tile(
        self,
        tile: Expr,
        rows: int,
        column: Expr,
        columns: int,
        block: Expr,
        number: Expr | None = None,
    ) -> None:
        """One register tile over one block of depth; `number` counts the panel's whole tiles."""
        row = ix.mul(tile, self.tiling.rows)
        body, lanes = self.body, self.tiling.lanes
        vectors = -(-columns // lanes)
        acc = body.local((rows, vectors * lanes), self.value.dtype)
        ragged = columns % lanes

        def each(visit: Callable[[Index, Index, Expr | None], None]) -> None:
            """Visits the tile's vectors: place in the tile, index in the result, lanes there."""
            with body.over(rows, LoopKind.UNROLLED, "i") as i:
                whole = vectors - 1 if ragged else vectors
                for at in self._whole(whole):
                    visit((i, at), self._result(row, i, column, at), None)
                if ragged:
                    with body.over(lanes, LoopKind.VECTOR, "l") as lane:
                        at = ix.add(ix.const(whole * lanes), lane)
                        exists = Binary("lt", lane, ix.const(ragged))
                        visit((i, at), self._result(row, i, column, at), exists)

        # Far results' lines (with partial sums in them) have the whole tile's time to arrive.
        self._begin(acc, each)
        if not self.far:
            each(lambda at, index, exists: self._fetch(index))
        first = ix.mul(block, self.depth)
        start: Expr = ix.ZERO
        stop = self.length(block)
        fetching = number is not None and self._shares_panels
        with ExitStack() as stack:
            if fetching or self.far:
                # Now and then lines are asked for; the innermost loop does nothing but multiply.
                run = ix.const(STEP) if self.run is None else self.run
                steps, most = rounded_up(stop, run), self.depth
                if self.run is None:
                    steps = ix.floordiv(ix.add(stop, ix.const(STEP - 1)), STEP)
                    most = -(-self.depth // STEP)
                step = stack.enter_context(body.between(ix.ZERO, steps, most))
                if number is not None and fetching:
                    self._fetch_next_panel(number, first, step)
                if self.far:
                    self._fetch_results(row, rows, column, columns, step)
                start = ix.mul(step, STEP) if self.run is None else Binary("mul", step, run)
                stop = Binary("min", stop, ix.add(start, run))
            for at_step in unrolled(body, start, stop, min(self.depth, self.shape.k), self.copies):
                if self.tiles == 1:
                    self._fetch_ahead(column, vectors, ix.add(first, at_step))

                def multiply(
                    at: Index, index: Index, exists: Expr | None, k: Expr = at_step
                ) -> None:
                    a, b = self.factors(at, index, tile, first, k, exists)
                    total = Load(acc, at)
                    product = (
                        Fma(a, b, total) if self.fma else Binary("add", total, Binary("mul", a, b))
                    )
                    body.store(acc, at, product)

                each(multiply)
        self._end(acc, each, block)

    def _whole(self, count: int) -> Iterator[Expr]:
        """The columns of `count` vectors, panel after panel of the packed operand."""
        body, t = self.body, self.tiling
        panels, rest = divmod(count, t.panel)
        for number, width in ((panels, t.panel), (1, rest)):
            if not number * width:
                continue
            with ExitStack() as stack:
                first: Expr = ix.const(0 if width == t.panel else panels * t.panel * t.lanes)
                if number > 1:
                    q = stack.enter_context(body.over(number, LoopKind.UNROLLED, "q"))
                    first = ix.mul(q, t.panel * t.lanes)
                j = stack.enter_context(body.over(width, LoopKind.UNROLLED, "j"))
                lane = stack.enter_context(body.over(t.lanes, LoopKind.VECTOR, "l"))
                yield ix.add(first, ix.add(ix.mul(j, t.lanes), lane))

    @property
    def _shares_panels(self) -> bool:
        """True if several tiles read each panel of the right operand."""
        return self.tiling.pack_right and min(self.tiling.block_tiles, self.full_tiles) > 1

    def _fetch_next_panel(self, number: Expr, start: Expr, step: Expr) -> None:
        """The tiles of a panel fetch the next one from the outer caches, each its share."""
        planned = self.tiling.turns
        if planned is not None and self.rounds:
            # What a tile without a share of its own fetches is there; a condition would cost more.
            own = Binary("min", ix.mod(number, planned.size), ix.const(planned.used - 1))
            turn = ix.add(ix.mul(ix.floordiv(number, planned.size), planned.used), own)
            number = Binary("min", turn, ix.const(self.turns - 1))
        place = self.body.places[self.op.operands[1]]
        lanes = max(self.tiling.lanes, LINE_BYTES // self.value.dtype.bytes)
        with self._now_and_then(step, self.share, self.pace) as row:
            k = ix.add(ix.add(start, self.back), ix.add(self._shares(number), row))
            for lane in range(0, self.tiling.columns, lanes):
                at = ix.add(self.next_column, ix.const(lane))
                index = self.operand(1, list(self.batch), at, k)
                self.body.emit(prefetch(place.buffer, place.index(index)))

    def _shares(self, number: Expr) -> Expr:
        """The first row that tile `number` of a panel fetches."""
        if isinstance(self.share, Const):
            return ix.mul(number, int(self.share.value))
        first = Binary("mul", number, self.share)  # named, it would depend on the tile as well
        return first if self.pace is not None else self.body.let(first)

    def _fetch_results(self, row: Expr, rows: int, column: Expr, columns: int, step: Expr) -> None:
        """Fetches some of the lines of a tile's results."""
        with self._now_and_then(step, ix.const(rows)) as i:
            for at in range(0, columns, self.tiling.lanes):
                self._fetch(self._result(row, i, column, ix.const(at)))

    @contextmanager
    def _now_and_then(self, step: Expr, count: Expr, pace: Expr | None = None) -> Iterator[Expr]:
        """Statements for the numbers below `count`, some in each step of a block of depth: `pace`
        of them, if that is not known before the call."""
        if pace is not None:
            start = self.body.let(Binary("mul", step, pace))
            stop = Binary("min", pace, ix.sub(count, start))
            with self.body.between(ix.ZERO, stop, self.depth) as number:
                yield ix.add(start, number)
            return
        share = 1
        if isinstance(count, Const):
            share = -(-int(count.value) // max(1, self.depth // STEP))
        first = ix.mul(step, share)
        with self.body.when(Binary("lt", first, count)):
            if share == 1:
                yield step
                return
            stop = Binary("min", ix.const(share), ix.sub(count, first))
            with self.body.between(ix.ZERO, stop, share) as number:
                yield ix.add(first, number)

    @property
    def _ahead(self) -> int:
        """How many rows of a panel are fetched ahead by what reads it once."""
        return -(-AHEAD_BYTES // (self.tiling.columns * self.value.dtype.bytes))

    def _fetch_ahead(self, column: Expr, vectors: int, k: Expr) -> None:
        """Panels that one tile reads, one time, are asked for a fixed way ahead."""
        if not self.tiling.pack_right:
            return
        place = self.body.places[self.op.operands[1]]
        row = ix.add(k, ix.const(self._ahead))
        for vector in range(vectors):
            at = ix.add(column, ix.const(vector * self.tiling.lanes))
            index = self.operand(1, list(self.batch), at, row)
            self.body.emit(prefetch(place.buffer, place.index(index)))

    def _result(self, row: Expr, i: Expr, column: Expr, at: Expr) -> Index:
        return (*self.batch, ix.add(row, i), ix.add(column, at))

    def begin_panel(self, column: Expr, columns: int, block: Expr) -> None:
        """What a panel of the right operand needs before its tiles use it."""

    def factors(
        self,
        at: Index,
        index: Index,
        tile: Expr,
        first: Expr,
        step: Expr,
        exists: Expr | None,
    ) -> tuple[Expr, Expr]:
        """The left and the right number of place `at` of tile number `tile`, `index` of the result.

        They are those of `step` in the block of depth that begins at `first`.
        """
        body = self.body
        *batch, row, column = index
        k = ix.add(first, step)
        with body.reading_again(self.again):
            a = body.read(self.op.operands[0], self.operand(0, batch, row, k))
        padded = self.tiling.pack_right
        if exists is None or padded:
            b = body.read(self.op.operands[1], self.operand(1, batch, column, k))
        else:
            with body.guard(exists):
                b = body.read(self.op.operands[1], self.operand(1, batch, column, k))
        return a, b

    def operand(self, which: int, batch: list[Expr], free: Expr, k: Expr) -> Index:
        """The logical index in operand `which` of a row or column and a step."""
        side = ("lhs", "rhs")[which]
        places: dict[int, Expr] = dict(zip(self.op.ints(f"{side}_batch"), batch, strict=True))
        places[self.op.ints(f"{side}_contracting")[0]] = k
        places[(row_dim if which == 0 else column_dim)(self.op)] = free
        return tuple(places[d] for d in range(len(places)))

    def _begin(self, acc: Buffer, each: Each) -> None:
        zero = Const(0.0 if acc.dtype.is_float else 0, acc.dtype)
        each(lambda at, index, exists: self.body.store(acc, at, zero))

    def _fetch(self, index: Index) -> None:
        """Fetches the lines at `index` of the results and of what their epilogue reads there."""
        for place in self.fetched:
            self.body.emit(prefetch(place.buffer, place.index(index)))

    def _end(self, acc: Buffer, each: Each, block: Expr) -> None:
        body = self.body
        output = self.group.outputs[0]

        def partial(at: Index, index: Index, exists: Expr | None) -> None:
            with self._where(exists):
                body.store(output.buffer, output.index(index), Load(acc, at))

        def final(at: Index, index: Index, exists: Expr | None) -> None:
            with self._where(exists):
                body.bound[self.value] = lambda _: body.let(Load(acc, at))
                values = [body.read(v, index) for v in self.group.region.results]
                for place, value in zip(self.group.outputs, values, strict=True):
                    body.store(place.buffer, place.index(index), value)

        def resume(at: Index, index: Index, exists: Expr | None) -> None:
            before = Load(output.buffer, output.index(index), exists)
            body.store(acc, at, Binary("add", before, Load(acc, at)))

        if self.blocks == 1:
            each(final)
            return
        with body.when(Binary("gt", block, ix.ZERO)):
            each(resume)
        with body.when(Binary("lt", block, ix.const(self.blocks - 1))):
            each(partial)
        with body.when(Binary("eq", block, ix.const(self.blocks - 1))):
            each(final)

    @contextmanager
    def _where(self, exists: Expr | None) -> Iterator[None]:
        if exists is None:
            yield
            return
        with self.body.when(exists):
            yield
