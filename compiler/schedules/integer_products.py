"""Products of bytes: a register tile of places by output features, summed in i32.

    parallel tasks (batch, group, panel of features, block of rows) {
        for row { for tile of places along the row {
            acc = 0
            for block of channels { for step of channels { for window {
                acc[i, j] += bytes[place i, step] . weights[step, window, j] } } }
            epilogue(acc) is stored } } }

The weights lie in the order in which they are read, features in panels and channels in steps, so
that a vector of them holds a step of each feature.  Where the target has the instruction byte_dot
(compiler/kernel/instructions.py) a step is four channels and a product one instruction; elsewhere
it is one channel, widened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeAlias

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Const, Convert, Expr, Index, Load
from tensorkiln.compiler.kernel.instructions import byte_dot
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind, Window
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group
from tensorkiln.compiler.schedules.integer_tiling import NOWHERE, IntegerTiling, integer_shape

Visit: TypeAlias = Callable[[Index, Expr, Expr, "Expr | None"], None]
_ZERO = Const(0, I32)


def schedule_integer_product(group: Group, op: Op, tiling: IntegerTiling) -> Kernel:
    """The kernel of a group whose hero `op` is a legal product of bytes."""
    return _IntegerProduct(group, op, tiling).build()


class _IntegerProduct:
    def __init__(self, group: Group, op: Op, tiling: IntegerTiling) -> None:
        shape = integer_shape(op)
        assert shape is not None
        self.group, self.op, self.tiling, self.shape = group, op, tiling, shape
        self.body = group.body()
        self.left, self.right = (self.body.places[v] for v in op.operands)
        self.batch: Expr = ix.ZERO
        self.channel_group: Expr = ix.ZERO

    def build(self) -> Kernel:
        body, s, t = self.body, self.shape, self.tiling
        panels = -(-s.outputs // t.columns)
        width = math.prod(s.space) if t.flat else s.space[-1]
        outer = 1 if t.flat else math.prod(s.space[:-1])
        tiles = -(-width // t.rows)
        steps = outer * tiles
        size = -(-steps // max(1, min(t.row_blocks, steps)))
        blocks = -(-steps // size)
        tasks = (s.batch, s.groups, panels, blocks)
        parallel = self.group.work >= PARALLEL_WORK and math.prod(tasks) > 1
        kind = LoopKind.PARALLEL if parallel else LoopKind.SERIAL
        with body.over(math.prod(tasks), kind, "task") as task:
            self.batch, self.channel_group, panel, block = ix.unflatten(task, tasks)
            whole, edge = divmod(s.outputs, t.columns)
            with self._only(whole and edge, "lt", panel, whole):
                if whole:
                    column = ix.mul(panel, t.columns)
                    self._steps(block, size, steps, (outer, tiles), column, t.columns)
            with self._only(whole and edge, "eq", panel, whole):
                if edge:
                    column = ix.const(whole * t.columns)
                    self._steps(block, size, steps, (outer, tiles), column, edge)
        return self.group.kernel(body)

    @contextmanager
    def _only(self, asked: int, op: str, number: Expr, limit: int) -> Iterator[None]:
        """Statements for some of the numbers, or for all if there is no other kind."""
        if not asked:
            yield
            return
        with self.body.when(Binary(op, number, ix.const(limit))):
            yield

    def _steps(
        self, block: Expr, size: int, steps: int, split: tuple[int, int], column: Expr, columns: int
    ) -> None:
        body, t = self.body, self.tiling
        width = math.prod(self.shape.space) if t.flat else self.shape.space[-1]
        whole, edge = divmod(width, t.rows)
        first = ix.mul(block, size)
        stop = Binary("min", ix.const(size), ix.sub(ix.const(steps), first))
        with body.between(ix.ZERO, stop, size) as number:
            row, tile = ix.unflatten(ix.add(first, number), split)
            with self._only(whole and edge, "lt", tile, whole):
                if whole:
                    self._tile(self._place(row, ix.mul(tile, t.rows)), t.rows, column, columns)
            with self._only(whole and edge, "eq", tile, whole):
                if edge:
                    start = ix.const(whole * t.rows)
                    self._tile(self._place(row, start), edge, column, columns)

    def _place(self, row: Expr, start: Expr) -> Callable[[Expr], Index]:
        """Where the place number i of a tile is in the result's space."""
        space = self.shape.space
        if self.tiling.flat:
            return lambda i: ix.unflatten(ix.add(start, i), space)
        return lambda i: (*ix.unflatten(row, space[:-1]), ix.add(start, i))

    def _tile(self, place: Callable[[Expr], Index], rows: int, column: Expr, columns: int) -> None:
        body, t = self.body, self.tiling
        vectors = -(-columns // t.lanes)
        acc = body.local((rows, vectors * t.lanes), I32)
        self._each(rows, columns, lambda at, i, feature, exists: body.store(acc, at, _ZERO))
        with self._box() as (channel, window):
            if t.step > 1:
                self._dots(acc, place, rows, vectors, column, channel, window)
            else:
                self._each(
                    rows, columns,
                    lambda at, i, feature, exists: self._multiply(
                        acc, at, self._source(place(i), channel, window),
                        self._weight(ix.add(column, feature), channel, window),
                    ),
                )  # fmt: skip
        self._each(
            rows, columns,
            lambda at, i, feature, exists: self._store(
                Load(acc, at), place(i), ix.add(column, feature), exists
            ),
        )  # fmt: skip

    def _each(self, rows: int, columns: int, visit: Visit) -> None:
        """Visits a tile's vectors: place in acc, row, feature in the panel, lanes that exist."""
        body, lanes = self.body, self.tiling.lanes
        whole, ragged = divmod(columns, lanes)
        with body.over(rows, LoopKind.UNROLLED, "i") as i:
            if whole:
                with (
                    body.over(whole, LoopKind.UNROLLED, "j") as j,
                    body.over(lanes, LoopKind.VECTOR, "l") as lane,
                ):
                    at = ix.add(ix.mul(j, lanes), lane)
                    visit((i, at), i, at, None)
            if ragged:
                with body.over(lanes, LoopKind.VECTOR, "l") as lane:
                    at = ix.add(ix.const(whole * lanes), lane)
                    visit((i, at), i, at, Binary("lt", lane, ix.const(ragged)))

    @contextmanager
    def _box(self) -> Iterator[tuple[Expr, Index]]:
        """Loops over what is summed: the first channel of each step, and the window."""
        body, s, t = self.body, self.shape, self.tiling
        block = t.block if t.block and t.block < s.inputs + t.step else 0
        with ExitStack() as stack:
            channel: Expr
            if block:
                outer = stack.enter_context(body.over(-(-s.inputs // block), hint="c"))
                inner = stack.enter_context(body.over(block // t.step, hint="c"))
                channel = ix.add(ix.mul(outer, block), ix.mul(inner, t.step))
            else:
                number = stack.enter_context(body.over(-(-s.inputs // t.step), hint="c"))
                channel = ix.mul(number, t.step)
            yield channel, tuple(stack.enter_context(body.over(n, hint="w")) for n in s.window)

    def _dots(
        self, acc: Buffer, place: Callable[[Expr], Index], rows: int, vectors: int, column: Expr,
        channel: Expr, window: Index,
    ) -> None:  # fmt: skip
        body, lanes = self.body, self.tiling.lanes
        with (
            body.over(rows, LoopKind.UNROLLED, "i") as i,
            body.over(vectors, LoopKind.UNROLLED, "j") as j,
        ):
            start = ix.mul(j, lanes)
            a = self.left.index(self._source(place(i), channel, window))
            b = self.right.index(self._weight(ix.add(column, start), channel, window))
            body.emit(
                byte_dot(
                    lanes, Window(acc, (i, start)), Window(self.left.buffer, a),
                    Window(self.right.buffer, b),
                )
            )  # fmt: skip

    def _multiply(self, acc: Buffer, at: Index, source: Index, weight: Index) -> None:
        left, right = self.op.operands
        a = Convert(self.body.read(left, source), I32)
        b = Convert(self.body.read(right, weight), I32)
        self.body.store(acc, at, Binary("add", Load(acc, at), Binary("mul", a, b)))

    def _source(self, place: Index, channel: Expr, window: Index) -> Index:
        """The left operand's index of `channel` under `window` at a place of the result."""
        s = self.shape
        space = tuple(
            ix.add(ix.mul(p, stride), ix.mul(w, dilation))
            for p, w, stride, dilation in zip(place, window, s.strides, s.dilation, strict=True)
        )
        source = ix.add(ix.mul(self.channel_group, s.inputs), channel)
        return _arranged(s.positions[0], (self.batch, source, *space))

    def _weight(self, feature: Expr, channel: Expr, window: Index) -> Index:
        target = ix.add(ix.mul(self.channel_group, self.shape.outputs), feature)
        return _arranged(self.shape.positions[1], (target, channel, *window))

    def _store(self, total: Expr, place: Index, feature: Expr, exists: Expr | None) -> None:
        body, s = self.body, self.shape
        feature = ix.add(ix.mul(self.channel_group, s.outputs), feature)
        index = _arranged(s.positions[2], (self.batch, feature, *place))
        with ExitStack() as stack:
            if exists is not None:
                stack.enter_context(body.when(exists))
            body.bound[self.op.result] = lambda _: body.let(total)
            values = [body.read(v, index) for v in self.group.region.results]
            for output, value in zip(self.group.outputs, values, strict=True):
                body.store(output.buffer, output.index(index), value)


def _arranged(positions: tuple[int, ...], index: Index) -> Index:
    """An index given as (batch, channel, space...) in the order of the tensor's dims."""
    places = {d: e for d, e in zip(positions, index, strict=True) if d != NOWHERE}
    return tuple(places[d] for d in range(len(places)))
