"""A Winograd convolution whose tasks do all three steps for their tiles, in their own cache.

    parallel tasks (tiles of the image, some to a thread) { for block of tiles {
        for tile { for vector of channels { 36 elements of the tile are stored in scratch memory } }
        for panel of result channels {
            for matrix (36) { for register tile of the block {
                acc = 0;  for k { acc[i, j] += scratch[i, k] * weights[k, j] };  acc is stored } }
            for tile { for vector of the panel { 16 results are stored through the epilogue } } } } }

What the steps hand on never leaves the near caches of one processor, and nothing waits between them.
Each block reads all weights, so this is for weights that are small beside the image.  A task has
scratch memory of its own, which it uses again for each of its blocks.
"""

from __future__ import annotations

from collections.abc import Callable

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import THREADS, Binary, Buffer, Const, Expr, Fma, Index, Load
from tensorkiln.compiler.kernel.instructions import prefetch
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.ops.checks import op_pairs
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group
from tensorkiln.compiler.schedules.matmul import COPIES, LINE_BYTES, WIDE_COPIES
from tensorkiln.compiler.schedules.numbered import Range, edge, numbers, rounded_up, unrolled
from tensorkiln.compiler.schedules.tiling import WAY_BYTES
from tensorkiln.compiler.schedules.winograd_tiling import MATRICES, BlockTiling, block_tiling
from tensorkiln.compiler.schedules.winograd_transforms import Input, Output, Tile

TASKS = 4  # a thread: as many as the pool cuts a loop into


def schedule_blocks(group: Group, op: Op, target: Target) -> Kernel:
    """The kernel of a group whose hero `op` is a winograd_convolution."""
    return _Blocks(group, op, block_tiling(op, target), target).build()


class _Blocks:
    task: Expr
    column: Expr  # the first channel of the panel

    def __init__(self, group: Group, op: Op, tiling: BlockTiling, target: Target) -> None:
        self.group, self.op, self.tiling, self.target = group, op, tiling, target
        self.body = body = group.body()
        self.image, self.weights = op.operands
        self.dtype = op.result.dtype
        spec, out = op.ints("spec"), op.ints("out_spec")
        self.before = Input(body, self.image, spec, op_pairs(op, "padding"), self._keep, target)
        self.after = Output(group, body, op.result, out, self._products, target)
        self.lanes = self.before.lanes
        self.again = target.has_broadcasting_operands and tiling.columns == 2 * self.lanes
        self.copies = WIDE_COPIES if target.has_broadcasting_operands else COPIES
        self.full_units, self.edge_rows = divmod(tiling.tiles, tiling.rows)
        self.full_panels, self.edge_columns = divmod(self.after.channels, tiling.columns)
        tiles = tiling.block * tiling.rows
        bytes_ = self.dtype.bytes
        inputs = self.before.channels
        # Elements of a tile are written side by side: planes must not share sets of a cache.
        inputs += self.lanes if tiles * inputs * bytes_ % WAY_BYTES == 0 else 0
        columns = tiling.columns
        columns += self.lanes if tiles * columns * bytes_ % WAY_BYTES == 0 else 0
        self.left = Buffer("tiles", (tiling.tasks, MATRICES, tiles, inputs), self.dtype)
        self.made = Buffer("products", (tiling.tasks, MATRICES, tiles, columns), self.dtype)

    def build(self) -> Kernel:
        """The kernel."""
        body, t = self.body, self.tiling
        parallel = self.group.work >= PARALLEL_WORK and t.tasks > 1
        kind = LoopKind.PARALLEL if parallel else LoopKind.SERIAL
        tasks: Expr = ix.const(t.tasks)
        if t.tasks > TASKS:
            # As few as share out well: each has scratch memory of its own, which stays near.
            tasks = body.let(Binary("min", ix.mul(THREADS, TASKS), tasks))
        with body.between(ix.ZERO, tasks, t.tasks, kind) as self.task:
            start = self._first(self.task, tasks)
            stop = self._first(ix.add(self.task, ix.const(1)), tasks)
            blocks = rounded_up(ix.sub(stop, start), ix.const(t.block))
            with body.between(ix.ZERO, blocks, -(-t.units // t.block)) as block:
                first = body.let(ix.add(start, ix.mul(block, t.block)))
                count = Binary("min", ix.const(t.block), ix.sub(stop, first))
                self._block(Range(first, body.let(count), t.block))
        return self.group.kernel(body, (self.left, self.made))

    def _first(self, task: Expr, tasks: Expr) -> Expr:
        """The first unit of a task: shares differ by one at most."""
        units = ix.mul(task, self.tiling.units)
        return self.body.let(Binary("floordiv", units, Binary("max", tasks, ix.const(1))))

    def _block(self, units: Range) -> None:
        """All three steps for some units."""
        body, t = self.body, self.tiling
        start = body.let(ix.mul(units.first, t.rows))
        most = t.block * t.rows
        rest = ix.sub(ix.const(t.tiles), start)
        count = body.let(Binary("min", ix.mul(units.count, t.rows), rest))
        vectors = -(-self.before.channels // self.lanes)
        with body.between(ix.ZERO, count, most) as number:
            tile = self._tile(start, number)
            with body.over(vectors, hint="v") as vector:
                self.before.emit(tile, vector)
        if self.full_panels:
            with body.over(self.full_panels, hint="panel") as panel:
                self._panel(units, start, count, panel, t.columns)
        if self.edge_columns:
            self._panel(units, start, count, ix.const(self.full_panels), self.edge_columns)

    def _tile(self, start: Expr, number: Expr) -> Tile:
        """The tile that is number `number` from tile `start` on."""
        body, grid = self.body, self.before
        at = body.let(ix.add(start, number))
        batch, row, column = ix.unflatten(at, (grid.batches, grid.rows, grid.columns))
        return Tile(body.let(batch), body.let(row), body.let(column), number)

    def _panel(self, units: Range, start: Expr, count: Expr, panel: Expr, columns: int) -> None:
        """The products and the results of a panel of channels."""
        body, t = self.body, self.tiling
        self.column = ix.mul(panel, t.columns)
        vectors = -(-columns // self.lanes)
        with body.over(MATRICES, hint="m") as matrix:
            with numbers(body, units, self.full_units) as unit:
                self._multiply(matrix, ix.sub(unit, units.first), t.rows, vectors)
            if self.edge_rows:
                with edge(body, units, self.full_units):
                    last = ix.sub(ix.const(self.full_units), units.first)
                    self._multiply(matrix, last, self.edge_rows, vectors)
        with body.between(ix.ZERO, count, t.block * t.rows) as number:
            tile = self._tile(start, number)
            with body.over(vectors, hint="v") as vector:
                first = ix.mul(panel, t.columns // self.lanes)
                self.after.emit(tile, ix.add(first, vector))

    def _multiply(self, matrix: Expr, unit: Expr, rows: int, vectors: int) -> None:
        """One register tile of the products with a matrix."""
        body, t, lanes = self.body, self.tiling, self.lanes
        row = body.let(ix.mul(unit, t.rows))
        acc = body.local((rows, vectors * lanes), self.dtype)

        def each(visit: Callable[[Index], None]) -> None:
            with (
                body.over(rows, LoopKind.UNROLLED, "i") as i,
                body.over(vectors, LoopKind.UNROLLED, "j") as j,
                body.over(lanes, LoopKind.VECTOR, "l") as lane,
            ):
                visit((i, ix.add(ix.mul(j, lanes), lane)))

        each(lambda at: body.store(acc, at, Const(0.0, self.dtype)))
        depth, line = self.before.channels, LINE_BYTES // self.dtype.bytes
        for k in unrolled(body, ix.ZERO, ix.const(depth), depth, self.copies):
            # A line of the next matrix's tiles, which lie one behind the other.
            ahead = (self.task, ix.add(matrix, ix.const(1)), row, ix.mul(k, line))
            body.emit(prefetch(self.left, ahead))

            def multiply(at: Index, k: Expr = k) -> None:
                i, j = at
                with body.reading_again(self.again):
                    a = body.load(self.left, (self.task, matrix, ix.add(row, i), k))
                b = body.read(self.weights, (matrix, k, ix.add(self.column, j)))
                total = Load(acc, at)
                fma = self.target.has_fma
                body.store(
                    acc, at, Fma(a, b, total) if fma else Binary("add", total, Binary("mul", a, b))
                )

            each(multiply)
        each(
            lambda at: body.store(
                self.made, (self.task, matrix, ix.add(row, at[0]), at[1]), Load(acc, at)
            )
        )

    def _keep(self, point: int, tile: Expr, channel: Expr, value: Expr) -> None:
        """Takes an element of a transformed tile."""
        self.body.store(self.left, (self.task, ix.const(point), tile, channel), value)

    def _products(self, point: int, tile: Expr, channel: Expr) -> Expr:
        """The products of a tile with a matrix, for a channel of the panel."""
        column = ix.sub(channel, self.column)
        return self.body.load(self.made, (self.task, ix.const(point), tile, column))
