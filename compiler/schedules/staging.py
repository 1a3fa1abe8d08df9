"""Packing inside of the tasks of a matrix multiply: each packs what it is about to use.

A block of the left operand is packed tile by tile (`tile, step, row`), a panel of the right one at
a time (`step, column`), for one block of depth.  The copies stay in the caches of the processor
that made them, while copies made by kernels of their own go out to memory and come back.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Const, Expr, Index, Load
from tensorkiln.compiler.kernel.instructions import prefetch, transpose
from tensorkiln.compiler.kernel.stmt import LoopKind
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.schedules.tiling import Tiling

AHEAD = 16  # steps whose lines are asked for before they are copied


@dataclass(frozen=True, slots=True)
class Source:
    """A part of an operand: rows of the left one or columns of the right one, by steps of depth.

    `index` gives the place in `buffer` of a row or column and a step, both counted from the part's
    first.  `length` steps are packed; the operand goes on for `rest` of them.  `along` says that
    steps lie side by side in memory; otherwise rows or columns do.
    """

    buffer: Buffer
    index: Callable[[Expr, Expr], Index]
    length: Expr
    rest: Expr
    along: bool


class Stage:
    """The scratch memory of all tasks, and the statements that fill it."""

    def __init__(
        self, body: Body, tiling: Tiling, tiles: int, tasks: int, depth: int, dtype: DType
    ) -> None:
        self.body, self.tiling = body, tiling
        self.lanes = tiling.lanes
        self.steps = -(-depth // self.lanes) * self.lanes
        self.rows = Buffer("left", (tiles, self.steps, tiling.rows), dtype)
        self.columns = Buffer("right", (tasks, self.steps, tiling.columns), dtype)

    @property
    def buffers(self) -> tuple[Buffer, Buffer]:
        """The kernel's scratch buffers."""
        return self.rows, self.columns

    def left(self, source: Source, tile: Expr, count: int) -> None:
        """Packs `count` rows as tile number `tile`."""
        self._pack(source, self.rows, (tile,), self.tiling.rows, count)

    def right(self, source: Source, task: Expr, count: int) -> None:
        """Packs `count` columns as a task's panel, with zeros behind them."""
        self._pack(source, self.columns, (task,), self.tiling.columns, count)

    def _pack(self, source: Source, to: Buffer, at: Index, size: int, count: int) -> None:
        body = self.body
        if not source.along:
            with body.between(ix.ZERO, source.length, self.steps) as step:
                for place in range(0, count, self.lanes):
                    ahead = source.index(ix.const(place), ix.add(step, ix.const(AHEAD)))
                    body.emit(prefetch(source.buffer, ahead))
                for place in range(0, size, self.lanes):
                    self._vector(source, to, at, step, place, min(size, count), size)
            return
        squares = ix.floordiv(ix.add(source.length, ix.const(self.lanes - 1)), self.lanes)
        with body.between(ix.ZERO, squares, self.steps // self.lanes) as square:
            for place in range(0, size, self.lanes):
                self._square(source, to, at, ix.mul(square, self.lanes), place, count, size)

    def _vector(
        self, source: Source, to: Buffer, at: Index, step: Expr, first: int, count: int, size: int
    ) -> None:
        """Copies a vector of rows or columns that lie side by side."""
        body = self.body
        with body.over(self.lanes, LoopKind.VECTOR, "l") as lane, ExitStack() as stack:
            place = ix.add(lane, ix.const(first))
            if first + self.lanes > size:
                stack.enter_context(body.when(Binary("lt", place, ix.const(size))))
            with ExitStack() as reading:
                if first + self.lanes > count:
                    reading.enter_context(body.guard(Binary("lt", place, ix.const(count))))
                value = body.load(source.buffer, source.index(place, step))
            body.store(to, (*at, step, place), value)

    def _square(
        self, source: Source, to: Buffer, at: Index, step: Expr, first: int, count: int, size: int
    ) -> None:
        """Turns a square of vectors of steps, one a row or column, in registers."""
        body, lanes = self.body, self.lanes
        rows = max(0, min(lanes, count - first))
        tile = body.local((lanes, lanes), to.dtype, "tile")
        turned = body.local((lanes, lanes), to.dtype, "turned")
        self._read_rows(source, tile, step, first, rows, size)
        self._clear_rows(tile, rows)
        body.emit(transpose(tile, turned))
        with (
            body.over(lanes, LoopKind.UNROLLED, "c") as column,
            body.over(lanes, LoopKind.VECTOR, "l") as lane,
            ExitStack() as stack,
        ):
            place = ix.add(lane, ix.const(first))
            if first + lanes > size:
                stack.enter_context(body.when(Binary("lt", place, ix.const(size))))
            value = body.let(Load(turned, (column, lane)))
            body.store(to, (*at, ix.add(step, column), place), value)

    def _read_rows(
        self, source: Source, tile: Buffer, step: Expr, first: int, count: int, size: int
    ) -> None:
        """Reads `count` rows of a square, each a vector of steps; the next ones are asked for."""
        body = self.body
        for number in range(count):
            # Hardware does not foresee so many rows at once.
            ahead = source.index(ix.const(first + number + size), step)
            body.emit(prefetch(source.buffer, ahead))
        if not count:
            return
        with (
            body.over(count, LoopKind.UNROLLED, "r") as row,
            body.over(self.lanes, LoopKind.VECTOR, "l") as lane,
            ExitStack() as stack,
        ):
            k = ix.add(step, lane)
            if not self._is_whole(source):
                stack.enter_context(body.guard(Binary("lt", k, source.rest)))
            value = body.load(source.buffer, source.index(ix.add(row, ix.const(first)), k))
            body.store(tile, (row, lane), value)

    def _clear_rows(self, tile: Buffer, count: int) -> None:
        """Zeros in the rows of a square from number `count` on, which are turned like all others."""
        if count == self.lanes:
            return
        with (
            self.body.over(self.lanes - count, LoopKind.UNROLLED, "r") as row,
            self.body.over(self.lanes, LoopKind.VECTOR, "l") as lane,
        ):
            self.body.store(tile, (ix.add(row, ix.const(count)), lane), Const(0, tile.dtype))

    def _is_whole(self, source: Source) -> bool:
        """True if no vector of steps goes over the operand's end."""
        terms, constant = ix.linear(source.rest)
        return all(c % self.lanes == 0 for c in (*terms.values(), constant))
