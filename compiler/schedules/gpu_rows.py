"""Row-resident chains on a GPU: a block a row, its threads striding along the row.

    block r { thread t {
      stage 0: fold members t, t + T, ... ; join the threads' states in shared memory
      stage 1: the same for reductions that need the scalars of stage 0 ...
      last: walk the row once more and store the results that have the row's shape } }

The trees' barriers part the stages.  Expensive values that several stages need stay in shared
memory from the stage that first computes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Const, Expr, Index
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.schedules.gpu_tree import (
    Tree,
    make_trees,
    member,
    reduce_over_block,
    shared,
    stride,
    threads_for,
)  # fmt: skip
from tensorkiln.compiler.schedules.group import Group
from tensorkiln.compiler.schedules.rows import Rows

ROW_BYTES = 1 << 15  # of the 48 KiB of shared memory that every block may have, trees aside


class _GpuRows(Rows):
    """What `Rows` knows of the group, scheduled on blocks and threads."""

    def __init__(self, group: Group, target: Target) -> None:
        super().__init__(group, target)
        self.members = math.prod(self.extents)
        self.threads = threads_for(self.members)
        self.thread: Expr = ix.ZERO

    def build(self) -> Kernel:
        """The kernel."""
        body = self.body
        kept_shape = tuple(self.shape[d] for d in self.kept)
        with body.over(math.prod(kept_shape), LoopKind.BLOCK, "r") as row:
            self.row = ix.unflatten(row, kept_shape)
            buffers = self._row_buffers()
            stages: dict[int, list[Op]] = {}
            for op in self.group.reductions:
                stages.setdefault(self.levels[op.results[0]], []).append(op)
            trees = {s: make_trees(body, ops, self.threads) for s, ops in sorted(stages.items())}
            with body.over(self.threads, LoopKind.THREAD, "t") as self.thread:
                for stage, of_stage in trees.items():
                    self._stage_of(of_stage, buffers, stage)
                self._store_scalars()
                self._store_rows()
        return self.group.kernel(body)

    def _row_buffers(self) -> dict[Value, Buffer]:
        """Shared memory for the values worth keeping, as far as there is room."""
        room = ROW_BYTES
        buffers: dict[Value, Buffer] = {}
        for value in self._kept_values():
            room -= self.members * value.dtype.bytes
            if room >= 0:
                buffers[value] = shared(self.body, self.extents, "row", Const(0, value.dtype))
        return buffers

    def _stage_of(self, trees: list[Tree], buffers: dict[Value, Buffer], stage: int) -> None:
        """Folds the row by the stage's reductions, keeping what is first computed in it."""
        body = self.body
        kept = {v: b for v, b in buffers.items() if self._stage(v) == stage}

        def visit(number: Expr) -> tuple[Index, Index]:
            inner = member(number, self.extents)
            for value, buffer in kept.items():
                body.store(buffer, inner, body.read(value, self.index(inner)))
            return self.row, inner

        reduce_over_block(body, trees, self.thread, self.threads, self.members, visit)
        for value, buffer in kept.items():
            self._bind_row(value, buffer)
        for tree in trees:
            for value in tree.op.results:
                scalar = body.read(value, self.row)
                body.bound[value] = _always(scalar)
        self._row_wide_values(stage)

    def _store_scalars(self) -> None:
        """Thread 0 stores the results that are one scalar a row."""
        pairs = list(zip(self.group.region.results, self.group.outputs, strict=True))
        narrow = [(v, o) for v, o in pairs if v.shape != self.shape]
        if not narrow:
            return
        with self.body.when(Binary("eq", self.thread, ix.ZERO)):
            for value, output in narrow:
                index = self._row_index(value.shape)
                self.body.store(output.buffer, output.index(index), self.body.read(value, index))

    def _store_rows(self) -> None:
        """All threads store the results of the row's shape."""
        pairs = list(zip(self.group.region.results, self.group.outputs, strict=True))
        wide = [(v, o) for v, o in pairs if v.shape == self.shape]

        def visit(number: Expr) -> None:
            index = self.index(member(number, self.extents))
            values = [self.body.read(v, index) for v, _ in wide]
            for (_, output), value in zip(wide, values, strict=True):
                self.body.store(output.buffer, output.index(index), value)

        if wide:
            stride(self.body, self.thread, self.threads, self.members, visit)


def schedule_gpu_rows(group: Group, target: Target) -> Kernel:
    """The kernel of a row-resident group."""
    return _GpuRows(group, target).build()


def _always(scalar: Expr) -> Callable[[Index], Expr]:
    return lambda index: scalar
