"""Matrix multiply whose tasks pack both operands themselves, each part right before its use.

    parallel tasks (block of rows) {
        for block of depth {
            pack the rows
            for panel of columns { pack the panel; for tile of rows { ... as in matmul.py } } } }

There are as few tasks as the call has threads, or as the caches need, since each packs all panels.
Copies stay in the caches of the processor that makes and reads them; no barrier stands between.
"""

from __future__ import annotations

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import THREADS, Binary, Expr, Index
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.schedules.group import Group
from tensorkiln.compiler.schedules.matmul import Matmul
from tensorkiln.compiler.schedules.numbered import Range, edge, numbers, rounded_up
from tensorkiln.compiler.schedules.staging import Source, Stage
from tensorkiln.compiler.schedules.tiling import STAGED_TILES, Tiling, matmul_shape


def schedule_staged(group: Group, op: Op, tiling: Tiling, target: Target) -> Kernel:
    """The kernel of a group whose hero `op` is a dot_general, with `staged_tiling`'s tiling."""
    shape = matmul_shape(op)
    assert shape is not None
    return _Staged(group, op, shape, tiling, target).build()


class _Staged(Matmul):
    task: Expr
    stage: Stage

    def build(self) -> Kernel:
        """As few tasks as there are threads, or as the caches need."""
        body, t = self.body, self.tiling
        most = -(-self.tiles // min(STAGED_TILES, t.block_tiles))
        self.stage = Stage(body, t, self.tiles, most, self.depth, self.value.dtype)
        tiles, least = ix.const(self.tiles), ix.const(-(-self.tiles // t.block_tiles))
        even = Binary("mul", rounded_up(least, THREADS), THREADS)
        count = body.let(rounded_up(tiles, Binary("min", even, ix.const(most))))
        with body.between(ix.ZERO, rounded_up(tiles, count), most, LoopKind.PARALLEL) as task:
            self.task = task
            rows = Range(body.let(Binary("mul", task, count)), count, t.block_tiles)
            self.share = body.let(rounded_up(ix.const(self.depth), count))
            with body.over(self.blocks, hint="p") as block:
                self._stage_rows(rows, block)
                self.panels(rows, ix.ZERO, block)
        return self.group.kernel(body, self.stage.buffers)

    def _stage_rows(self, rows: Range, block: Expr) -> None:
        """Packs a task's rows of the left operand for a block of depth."""
        size = self.tiling.rows
        with numbers(self.body, rows, self.full_tiles) as tile:
            self.stage.left(self._source(0, ix.mul(tile, size), block), tile, size)
        if self.edge_rows:
            with edge(self.body, rows, self.full_tiles):
                last = ix.const(self.full_tiles)
                source = self._source(0, ix.mul(last, size), block)
                self.stage.left(source, last, self.edge_rows)

    def begin_panel(self, column: Expr, columns: int, block: Expr) -> None:
        """Packs a panel of the right operand."""
        self.stage.right(self._source(1, column, block), self.task, columns)

    def factors(
        self, at: Index, index: Index, tile: Expr, first: Expr, step: Expr, exists: Expr | None
    ) -> tuple[Expr, Expr]:
        """Both numbers from the copies."""
        with self.body.reading_again(self.again):
            a = self.body.load(self.stage.rows, (tile, step, at[0]))
        return a, self.body.load(self.stage.columns, (self.task, step, at[1]))

    def _source(self, which: int, first: Expr, block: Expr) -> Source:
        """Operand `which` from its row or column `first` and from the block's depth on."""
        place = self.body.places[self.op.operands[which]]
        start = ix.mul(block, self.depth)

        def index(free: Expr, k: Expr) -> Index:
            at = self.operand(which, [], ix.add(first, free), ix.add(start, k))
            return place.index(at)

        contracted = self.op.ints(("lhs", "rhs")[which] + "_contracting")[0]
        along = contracted == self.op.operands[which].type.rank - 1
        rest = ix.sub(ix.const(self.shape.k), start)
        return Source(place.buffer, index, self.length(block), rest, along)
