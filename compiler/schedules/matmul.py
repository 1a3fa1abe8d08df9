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

Each: TypeAlias = Callable[[Callable[[Index, Index, "Expr | None"], None]], None]


def schedule_matmul(group: Group, op: Op, tiling: Tiling, target: Target) -> Kernel:
    """The kernel of a group whose hero `op` is a dot_general of the plain form."""
    shape = matmul_shape(op)
    assert shape is not None
    return _Matmul(group, op, shape, tiling, target).build()


class _Matmul:
    def __init__(
        self, group: Group, op: Op, shape: MatmulShape, tiling: Tiling, target: Target
    ) -> None:
        self.group, self.op, self.shape, self.tiling = group, op, shape, tiling
        self.fma = target.has_fma and op.result.dtype.is_float
        # Each of two vectors takes the left number from memory: no instruction spreads it.
        self.again = self.fma and target.has_broadcasting_operands and tiling.vectors == 2
        self.body: Body = group.body()
        self.value: Value = op.result
        self.batch: Index = ()
        self.next_column: Expr = ix.ZERO
        output = group.outputs[0]
        # Partial sums live in the result itself, so it must hold them exactly.
        can_block = len(group.outputs) == 1 and output.buffer.dtype == op.result.dtype
        self.depth = tiling.depth if can_block else shape.k
        self.blocks = -(-shape.k // self.depth)
        # Results that the near caches do not hold, and what their epilogue reads beside them, are
        # fetched line by line while a tile is computed; for near ones that would cost more.
        self.far = op.result.type.bytes >= FAR_BYTES
        read = zip(group.region.parameters, group.inputs, strict=True)
        beside = [p for v, p in read if v.shape == op.result.shape and v not in op.operands]
        self.fetched = [output, *(beside if self.far else ())]

    def build(self) -> Kernel:
        body, t, s = self.body, self.tiling, self.shape
        self.full_tiles, self.edge_rows = divmod(s.m, t.rows)
        self.full_panels, self.edge_columns = divmod(s.n, t.columns)
        self.tiles = self.full_tiles + bool(self.edge_rows)
        panels = self.full_panels + bool(self.edge_columns)
        self.row_blocks = -(-self.tiles // t.block_tiles)
        self.block_panels = -(-panels // t.column_blocks)
        column_blocks = -(-panels // self.block_panels)
        tasks = (*s.batch, self.row_blocks, column_blocks)
        count = 1
        for size in tasks:
            count *= size
        parallel = self.group.work >= PARALLEL_WORK and count > 1
        kind = LoopKind.PARALLEL if parallel else LoopKind.SERIAL
        with body.over(count, kind, "task") as task:
            *batch, row_block, column_block = ix.unflatten(task, tasks)
            self.batch = tuple(batch)
            with body.over(self.blocks, hint="p") as block:
                self._panels(row_block, column_block, block)
        return self.group.kernel(body)

    def _panels(self, row_block: Expr, column_block: Expr, block: Expr) -> None:
        t = self.tiling
        first = ix.mul(column_block, self.block_panels)
        with self._range(first, self.block_panels, self.full_panels) as panel:
            after = Binary("min", ix.add(panel, ix.const(1)), ix.const(self.full_panels - 1))
            self.next_column = ix.mul(self.body.let(after), t.columns)
            self._tiles(row_block, ix.mul(panel, t.columns), t.columns, block)
        if self.edge_columns:
            with self._edge(first, self.block_panels, self.full_panels):
                start = ix.const(self.full_panels * t.columns)
                self._tiles(row_block, start, self.edge_columns, block)

    def _tiles(self, row_block: Expr, column: Expr, columns: int, block: Expr) -> None:
        t = self.tiling
        first = ix.mul(row_block, t.block_tiles)
        with self._range(first, t.block_tiles, self.full_tiles) as tile:
            number = ix.sub(tile, first) if columns == t.columns else None
            self._tile(ix.mul(tile, t.rows), t.rows, column, columns, block, number)
        if self.edge_rows:
            with self._edge(first, t.block_tiles, self.full_tiles):
                start = ix.const(self.full_tiles * t.rows)
                self._tile(start, self.edge_rows, column, columns, block)

    @contextmanager
    def _range(self, first: Expr, count: int, limit: int) -> Iterator[Expr]:
        """A loop over `count` numbers from `first`, as far as they are below `limit`."""
        if first == ix.ZERO:
            with self.body.over(min(count, limit)) as var:
                yield var
            return
        stop = Binary("min", ix.const(count), ix.sub(ix.const(limit), first))
        with self.body.between(ix.ZERO, stop, count) as var:
            yield ix.add(first, var)

    @contextmanager
    def _edge(self, first: Expr, count: int, limit: int) -> Iterator[None]:
        """Statements for the partial tile number `limit`, run by the block that contains it."""
        if first == ix.ZERO:
            yield
            return
        inside = Binary("lt", ix.const(limit), ix.add(first, ix.const(count)))
        with self.body.when(inside):
            yield

    def _tile(
        self,
        row: Expr,
        rows: int,
        column: Expr,
        columns: int,
        block: Expr,
        number: Expr | None = None,
    ) -> None:
        """One register tile over one block of depth; `number` counts the panel's whole tiles."""
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
        start = ix.mul(block, self.depth)
        stop: Expr = ix.const(self.shape.k)
        if self.blocks > 1:
            stop = Binary("min", stop, ix.add(start, ix.const(self.depth)))
        shared = number is not None and self._shares_panels
        with ExitStack() as stack:
            if shared or self.far:
                # Now and then lines are asked for; the innermost loop does nothing but multiply.
                steps = ix.floordiv(ix.add(ix.sub(stop, start), ix.const(STEP - 1)), STEP)
                step = stack.enter_context(body.between(ix.ZERO, steps, -(-self.depth // STEP)))
                if number is not None and shared:
                    self._fetch_next_panel(number, start, step)
                if self.far:
                    self._fetch_results(row, rows, column, columns, step)
                start = ix.add(start, ix.mul(step, STEP))
                stop = Binary("min", stop, ix.add(start, ix.const(STEP)))
            k = stack.enter_context(body.between(start, stop, self.shape.k))
            if self.tiles == 1:
                self._fetch_ahead(column, vectors, k)
            each(lambda at, index, exists: self._multiply(acc, at, index, k, exists))
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
        turns, planned = min(self.tiling.block_tiles, self.full_tiles), self.tiling.turns
        rounds = 0
        if planned is not None and self.row_blocks == 1:
            rounds = planned.rounds
        elif planned is not None and self.tiling.block_tiles % planned.size == 0:
            rounds = min(planned.rounds, self.tiling.block_tiles // planned.size)
        if planned is not None and rounds:
            # What a tile without a share of its own fetches is there; a condition would cost more.
            turns = min(turns, rounds * planned.used)
            own = Binary("min", ix.mod(number, planned.size), ix.const(planned.used - 1))
            turn = ix.add(ix.mul(ix.floordiv(number, planned.size), planned.used), own)
            number = Binary("min", turn, ix.const(turns - 1))
        share = -(-self.depth // turns)
        rows = -(-share // max(1, self.depth // STEP))
        first = ix.add(start, ix.add(ix.mul(number, share), ix.mul(step, rows)))
        place = self.body.places[self.op.operands[1]]
        lanes = max(self.tiling.lanes, LINE_BYTES // self.value.dtype.bytes)
        for row in range(rows):
            for lane in range(0, self.tiling.columns, lanes):
                at = ix.add(self.next_column, ix.const(lane))
                index = self._operand(1, list(self.batch), at, ix.add(first, ix.const(row)))
                self.body.emit(prefetch(place.buffer, place.index(index)))

    def _fetch_results(self, row: Expr, rows: int, column: Expr, columns: int, step: Expr) -> None:
        """Fetches some of the lines of a tile's results."""
        lanes = self.tiling.lanes
        vectors = -(-columns // lanes)
        count = -(-rows * vectors // max(1, self.depth // STEP))
        for number in range(count):
            line = ix.add(ix.mul(step, count), ix.const(number))
            i = Binary("min", ix.floordiv(line, vectors), ix.const(rows - 1))
            at = ix.mul(ix.mod(line, vectors), lanes)
            if columns < vectors * lanes:
                at = Binary("min", at, ix.const(columns - 1))
            self._fetch(self._result(row, i, column, at))

    def _fetch_ahead(self, column: Expr, vectors: int, k: Expr) -> None:
        """Panels that one tile reads, one time, are asked for a fixed way ahead."""
        if not self.tiling.pack_right:
            return
        place = self.body.places[self.op.operands[1]]
        row_bytes = self.tiling.columns * self.value.dtype.bytes
        row = ix.add(k, ix.const(-(-AHEAD_BYTES // row_bytes)))
        for vector in range(vectors):
            at = ix.add(column, ix.const(vector * self.tiling.lanes))
            index = self._operand(1, list(self.batch), at, row)
            self.body.emit(prefetch(place.buffer, place.index(index)))

    def _result(self, row: Expr, i: Expr, column: Expr, at: Expr) -> Index:
        return (*self.batch, ix.add(row, i), ix.add(column, at))

    def _multiply(self, acc: Buffer, at: Index, index: Index, k: Expr, exists: Expr | None) -> None:
        body = self.body
        *batch, row, column = index
        with body.reading_again(self.again):
            a = body.read(self.op.operands[0], self._operand(0, batch, row, k))
        padded = self.tiling.pack_right
        if exists is None or padded:
            b = body.read(self.op.operands[1], self._operand(1, batch, column, k))
        else:
            with body.guard(exists):
                b = body.read(self.op.operands[1], self._operand(1, batch, column, k))
        total = Load(acc, at)
        product = Fma(a, b, total) if self.fma else Binary("add", total, Binary("mul", a, b))
        body.store(acc, at, product)

    def _operand(self, which: int, batch: list[Expr], free: Expr, k: Expr) -> Index:
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
