"""Elementwise groups whose operands lie transposed: squares of vectors, turned in registers.

    parallel tasks (outer dims, block of tiles) { for tile {
        for row of the tile { row = elements along the dim in which the operands are contiguous }
        transpose
        for column of the tile { store it along the result's innermost dim } } }

Every line of memory is read and written whole; a plain loop over the result would gather.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import (
    INDEX,
    Binary,
    Buffer,
    Const,
    Expr,
    Index,
    Load,
    Var,
    children,
)  # fmt: skip
from tensorkiln.compiler.kernel.instructions import transpose
from tensorkiln.compiler.kernel.stmt import Kernel, Let, LoopKind, walk
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group
from tensorkiln.compiler.schedules.loops import access_steps, elements, merge_dims

TASKS = 32  # iterations of a parallel loop that share out well over any usual number of threads
FAR = 8  # times as far apart as lines that are read may be those that are written
LEAST = 4  # elements of a row or column from which a tile pays


@dataclass(frozen=True, slots=True)
class Turn:
    """How a result is walked.

    `pieces` are the factors of each dim of its memory, `runs` the neighbouring pieces that one loop
    walks, outermost first.  `along` is the number of the run in which the operands are contiguous;
    the last one is that of the result.  `down` says to go on along the result's dim first.
    """

    pieces: tuple[tuple[int, ...], ...]
    runs: tuple[tuple[int, ...], ...]
    along: int
    down: bool

    def physical(self, fine: Sequence[Expr]) -> Index:
        """The place in memory of an index of pieces."""
        rest = iter(fine)
        return tuple(
            ix.flatten(tuple(next(rest) for _ in sizes), _strides(sizes)) for sizes in self.pieces
        )

    def place(self, index: Sequence[Expr]) -> Index:
        """The place in memory of an index of runs."""
        fine = [
            e
            for flat, sizes in zip(index, self.runs, strict=True)
            for e in ix.unflatten(flat, sizes)
        ]
        return self.physical(fine)


def schedule_transposes(group: Group, target: Target) -> Kernel | None:
    """The kernel of a group of Element ops, or None if its operands do not lie transposed."""
    dtypes = {v.dtype for v in group.region.results}
    bits = {dtype.bits for dtype in dtypes}
    if len(dtypes) != 1 or not bits <= {32, 64}:
        return None
    size = target.lanes(bits.pop())
    turn = find_turn(group) if size >= LEAST else None
    return None if turn is None else _Transposes(group, turn, size).build()


def find_turn(group: Group) -> Turn | None:
    """The way to walk the group's result if some operands are contiguous in another dim of it."""
    shape = group.outputs[0].buffer.shape
    whole = tuple((size,) for size in shape)
    values, _ = _stored(group, Turn(whole, whole, 0, False))
    pieces = _split(shape, _loads_of(values))
    values, stores = _stored(group, Turn(pieces, (), 0, False))
    fine = tuple(size for sizes in pieces for size in sizes)
    runs = merge_dims(fine, [*values, *stores])
    names = _names(runs)
    steps, fixed = access_steps(values)
    written, _ = access_steps(list(stores))
    if not runs or math.prod(runs[-1]) < LEAST:
        return None
    apart = [step[names[-1]] for step in steps if step.get(names[-1], 0) not in (0, 1)]
    for along, name in enumerate(names[:-1]):
        reach = {step.get(name, 0) for step in steps}
        if name in fixed or 1 not in reach or reach - {0, 1} or math.prod(runs[along]) < LEAST:
            continue
        if not apart:
            return None
        # Lines are read faster from many pages than written to many.
        down = FAR * max(map(abs, apart)) < max(abs(step.get(name, 0)) for step in written)
        return Turn(pieces, tuple(runs), along, down)
    return None


class _Transposes:
    def __init__(self, group: Group, turn: Turn, size: int) -> None:
        self.group, self.turn, self.size = group, turn, size
        self.body: Body = group.body()
        self.extents = [math.prod(run) for run in turn.runs]

    def build(self) -> Kernel:
        body, along, last = self.body, self.turn.along, len(self.extents) - 1
        first, second = (along, last) if self.turn.down else (last, along)
        tiles = -(-self.extents[second] // self.size)
        outer = [n for n in range(last) if n != along]
        counts = [*(self.extents[n] for n in outer), -(-self.extents[first] // self.size)]
        parallel = self.group.work >= PARALLEL_WORK
        block = -(-tiles // -(-TASKS // math.prod(counts))) if parallel else tiles
        counts.append(-(-tiles // block))
        kind = LoopKind.PARALLEL if parallel and math.prod(counts) > 1 else LoopKind.SERIAL
        with body.over(math.prod(counts), kind, "task") as task:
            *places, number, chosen = ix.unflatten(task, tuple(counts))
            index: list[Expr] = [ix.ZERO] * len(self.extents)
            for n, place in zip(outer, places, strict=True):
                index[n] = place
            start = ix.mul(chosen, block)
            stop: Expr = ix.const(block)
            if tiles % block:
                stop = Binary("min", stop, ix.sub(ix.const(tiles), start))
            with body.between(ix.ZERO, stop, block) as step:
                numbers = {first: number, second: ix.add(start, step)}
                self._cut((along, last), index, numbers, {})
        return self.group.kernel(body)

    def _cut(
        self,
        axes: Sequence[int],
        index: list[Expr],
        numbers: dict[int, Expr],
        sizes: dict[int, int],
    ) -> None:
        """Emits a tile in each of its forms: whole, or cut off along the dims of `axes`."""
        if not axes:
            start = list(index)
            for axis, number in numbers.items():
                start[axis] = ix.mul(number, self.size)
            self._emit(start, sizes)
            return
        axis, *others = axes
        whole, rest = divmod(self.extents[axis], self.size)
        number = numbers[axis]
        forms: list[tuple[Expr, Expr, int]] = []
        if whole:
            inside = Binary("min", number, ix.const(whole - 1)) if rest else number  # tells bounds
            forms.append((Binary("lt", number, ix.const(whole)), inside, self.size))
        if rest:
            forms.append((Binary("eq", number, ix.const(whole)), ix.const(whole), rest))
        for condition, chosen, size in forms:
            with ExitStack() as stack:
                if len(forms) > 1:
                    stack.enter_context(self.body.when(condition))
                self._cut(others, index, {**numbers, axis: chosen}, {**sizes, axis: size})

    def _emit(self, start: Sequence[Expr], sizes: Mapping[int, int]) -> None:
        """One tile of `sizes` elements along its two runs, `start` being its first."""
        body, along, last = self.body, self.turn.along, len(self.extents) - 1
        rows, columns = sizes[last], sizes[along]
        square = (self.size, self.size)
        dtypes = [v.dtype for v in self.group.region.results]
        tiles = [body.local(square, dtype, "tile") for dtype in dtypes]
        turned = [body.local(square, dtype, "turned") for dtype in dtypes]
        with body.over(rows, LoopKind.UNROLLED, "r") as row, self._lanes(columns) as lane:
            at = self._moved(start, {last: row, along: lane})
            for tile, value in zip(tiles, self._elements(at, lane, columns), strict=True):
                body.store(tile, (row, lane), value)
        if rows < self.size:
            self._clear(tiles, rows)
        for tile, other in zip(tiles, turned, strict=True):
            body.emit(transpose(tile, other))
        with body.over(columns, LoopKind.UNROLLED, "c") as column, self._lanes(rows) as lane:
            place = self.turn.place(self._moved(start, {along: column, last: lane}))
            with ExitStack() as stack:
                if 1 < rows < self.size:
                    stack.enter_context(body.when(Binary("lt", lane, ix.const(rows))))
                streaming = self.group.streams and rows == self.size
                for output, other in zip(self.group.outputs, turned, strict=True):
                    value = body.let(Load(other, (column, lane)))
                    body.store(output.buffer, place, value, streaming)

    def _elements(self, at: Sequence[Expr], lane: Expr, columns: int) -> list[Expr]:
        """A row of each result's tile; zeros behind the last of `columns`."""
        logical = self.group.outputs[0].layout.logical_index(self.turn.place(at))
        with ExitStack() as stack:
            if 1 < columns < self.size:
                exists = Binary("lt", lane, ix.const(columns))
                stack.enter_context(self.body.guard(exists))
            return elements(self.body, self.group, logical)

    def _clear(self, tiles: Sequence[Buffer], rows: int) -> None:
        """Zeros in the rows of tiles from number `rows` on, which are turned like all others."""
        with (
            self.body.over(self.size - rows, LoopKind.UNROLLED, "r") as row,
            self.body.over(self.size, LoopKind.VECTOR, "l") as lane,
        ):
            for tile in tiles:
                at = (ix.add(row, ix.const(rows)), lane)
                self.body.store(tile, at, Const(0, tile.dtype))

    def _lanes(self, count: int) -> AbstractContextManager[Var]:
        """A vector loop whose variable is known to stay below `count` where it matters."""
        if count == 1:  # a scalar: no mask needed
            return self.body.over(1, LoopKind.VECTOR, "l")
        return self.body.between(ix.ZERO, ix.const(self.size), count, LoopKind.VECTOR)

    @staticmethod
    def _moved(start: Sequence[Expr], steps: Mapping[int, Expr]) -> list[Expr]:
        return [ix.add(e, steps[n]) if n in steps else e for n, e in enumerate(start)]


def _split(shape: Sequence[int], loads: Sequence[Load]) -> tuple[tuple[int, ...], ...]:
    """The dims of `shape`, those of which loads use quotient and remainder in two pieces."""
    blocks: dict[str, int] = {}
    for load in loads:
        terms, _ = ix.linear(ix.flatten(load.index, load.buffer.strides))
        for atom in terms:
            match atom:
                case Binary("mod" | "floordiv", Var(name), Const(int(size))):
                    blocks.setdefault(name, size)
    sizes = [blocks.get(f"p{axis}", extent) for axis, extent in enumerate(shape)]
    return tuple(
        (extent // size, size) if 1 < size < extent and extent % size == 0 else (extent,)
        for extent, size in zip(shape, sizes, strict=True)
    )


def _stored(group: Group, turn: Turn) -> tuple[list[Expr], list[Load]]:
    """The values of the group's results and the places they go to, one variable a piece."""
    body = group.body()
    fine = [size for sizes in turn.pieces for size in sizes]
    variables = [Var(f"p{number}", INDEX, size) for number, size in enumerate(fine)]
    physical = turn.physical(variables)
    values = elements(body, group, group.outputs[0].layout.logical_index(physical))
    lets = [s.value for s in walk(body.finish()) if isinstance(s, Let)]
    return [*lets, *values], [Load(place.buffer, physical) for place in group.outputs]


def _loads_of(expressions: Iterable[Expr]) -> list[Load]:
    """Every load in expressions."""
    found: list[Load] = []
    for expr in expressions:
        if isinstance(expr, Load):
            found.append(expr)
        found += _loads_of(children(expr))
    return found


def _names(runs: Sequence[tuple[int, ...]]) -> list[str]:
    """The variable of each run's innermost piece that is larger than 1."""
    names: list[str] = []
    axis = 0
    for run in runs:
        large = [axis + n for n, size in enumerate(run) if size > 1]
        names.append(f"p{large[-1] if large else axis}")
        axis += len(run)
    return names


def _strides(sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple(math.prod(sizes[n + 1 :]) for n in range(len(sizes)))


__all__ = ["Turn", "find_turn", "schedule_transposes"]
