"""Matrix multiply whose tasks pack panels of the right operand themselves, right before their use.

    parallel tasks (block of columns) {
        for block of depth {
            for panel of columns { pack the panel; for tile of rows { ... as in matmul.py } } } }

For a large right operand that one product reads, and all of whose rows are one block: each panel is
packed once, and its copy stays in the cache of the processor that makes and reads it.
"""

from __future__ import annotations

from collections import Counter

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Expr, Index
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.schedules.group import Group
from tensorkiln.compiler.schedules.matmul import Matmul
from tensorkiln.compiler.schedules.numbered import Range
from tensorkiln.compiler.schedules.staging import Source, Stage
from tensorkiln.compiler.schedules.tiling import Tiling, matmul_shape


def schedule_panels(group: Group, op: Op, tiling: Tiling, target: Target) -> Kernel:
    """The kernel of a group whose hero `op` is a dot_general, with `panel_tiling`'s tiling."""
    shape = matmul_shape(op)
    assert shape is not None
    return _Panels(group, op, shape, tiling, target).build()


def right_reads(function: Function) -> Counter[tuple[Value, tuple[int, ...]]]:
    """How many matrix products read a value as their right operand, by its contracted dims."""
    found: Counter[tuple[Value, tuple[int, ...]]] = Counter()
    for op in function.ops:
        for region in op.regions if op.name == "fusion" else ():
            outer = dict(zip(region.parameters, op.operands, strict=True))
            for hero in region.ops:
                if hero.name == "dot_general" and hero.operands[1] in outer:
                    found[outer[hero.operands[1]], hero.ints("rhs_contracting")] += 1
    return found


class _Panels(Matmul):
    task: Expr
    stage: Stage

    def build(self) -> Kernel:
        """A task for each block of columns."""
        body, t = self.body, self.tiling
        tasks = -(-self.panel_count // self.block_panels)
        self.stage = Stage(body, t, self.tiles, tasks, self.depth, self.value.dtype)
        rows = Range(ix.ZERO, ix.const(t.block_tiles), t.block_tiles)
        with body.over(tasks, LoopKind.PARALLEL, "task") as task:
            self.task = task
            with body.over(self.blocks, hint="p") as block:
                self.panels(rows, task, block)
        return self.group.kernel(body, (self.stage.columns,))

    def begin_panel(self, column: Expr, columns: int, block: Expr) -> None:
        """Packs a panel of the right operand."""
        self.stage.right(self._source(column, block), self.task, columns)

    def factors(
        self, at: Index, index: Index, tile: Expr, first: Expr, step: Expr, exists: Expr | None
    ) -> tuple[Expr, Expr]:
        """The left number where it lies, the right one from the copy."""
        *batch, row, _ = index
        k = ix.add(first, step)
        with self.body.reading_again(self.again):
            a = self.body.read(self.op.operands[0], self.operand(0, batch, row, k))
        return a, self.body.load(self.stage.columns, (self.task, step, at[1]))

    def _source(self, first: Expr, block: Expr) -> Source:
        """The right operand from its column `first` and from the block's depth on."""
        place = self.body.places[self.op.operands[1]]
        start = ix.mul(block, self.depth)

        def index(free: Expr, k: Expr) -> Index:
            return place.index(self.operand(1, [], ix.add(first, free), ix.add(start, k)))

        along = self.op.ints("rhs_contracting")[0] == self.op.operands[1].type.rank - 1
        rest = ix.sub(ix.const(self.shape.k), start)
        return Source(place.buffer, index, self.length(block), rest, along)
