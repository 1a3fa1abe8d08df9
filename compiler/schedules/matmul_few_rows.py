"""Matrix multiply for a range of sizes with other register tiles for calls of few rows.

    parallel tasks (block of columns) {
        for block of depth {
            if rows of the call < 5 { for 3 panels of columns { one tile of at most 4 rows } }
            if rows of the call >= 5 {
                if rows of the call < 7 { for 2 panels { one tile of at most 6 rows } } }
            if rows of the call >= 7 { for panel { for tile of at most 14 rows } } } }

Such calls wait for weights; a tile that reads several panels side by side gets them sooner than one
of a single panel. Each element's products are added in the same order in all.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Expr
from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.schedules.group import Group
from tensorkiln.compiler.schedules.matmul import Matmul
from tensorkiln.compiler.schedules.numbered import Range
from tensorkiln.compiler.schedules.tiling import FewRows, MatmulShape, Tiling, matmul_shape


def schedule_few_rows(group: Group, op: Op, tiling: Tiling, target: Target) -> Kernel:
    """The kernel of a group whose hero `op` is a dot_general, with a tiling that has `few`."""
    shape = matmul_shape(op)
    assert shape is not None
    assert tiling.few is not None
    return _FewRows(group, op, shape, tiling, tiling.few, target).build()


class _FewRows(Matmul):
    """The kernel; those of few rows are `parts` of it, each with the most rows of a call."""

    def __init__(
        self,
        group: Group,
        op: Op,
        shape: MatmulShape,
        tiling: Tiling,
        few: FewRows,
        target: Target,
    ) -> None:
        super().__init__(group, op, shape, tiling, target)
        self.count = few.count
        self.parts: list[tuple[int, Matmul]] = []
        plain = replace(tiling, block_tiles=1, tiles=None, turns=None, few=None)
        for rows, vectors in few.tiles:
            own = replace(plain, rows=rows, vectors=vectors)
            part = Matmul(group, op, replace(shape, m=rows), own, target)
            part.body, part.far = self.body, False
            self.parts.append((rows, part))

    def panels(self, rows: Range, column_block: Expr, block: Expr) -> None:
        """All tiles of a block of columns, in the form for the call's number of rows."""
        body = self.body
        least: list[Expr] = []
        for most, part in self.parts:
            end = ix.const(most + 1)
            conditions = [*least, Binary("lt", self.count, end)]
            blocks = -(-part.panel_count // part.block_panels)
            if blocks < -(-self.panel_count // self.block_panels):
                conditions.append(Binary("lt", column_block, ix.const(blocks)))
            with ExitStack() as stack:
                for condition in conditions:
                    stack.enter_context(body.when(condition))
                part.panels(Range(ix.ZERO, ix.const(1), 1), column_block, block)
            least = [Binary("ge", self.count, end)]
        with body.when(least[0]):
            super().panels(rows, column_block, block)
