"""A recurrence: all steps in one kernel, the cell computed where its product has just been made.

    histories at their starts = initial values
    for step {
        for phase {
            parallel panels of units { for block of rows {
                for block of k { for tile of rows {
                    for k { acc[row, gate, unit] += state[row, k] * weight[k, gate, unit] } } }
                histories after the step = cell(inputs, acc, states, parameters) } } } }

What a step reads and what it writes are different rows of the histories, so nothing is copied.
Threads share the panels out and meet after each phase; the order of every sum is fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeAlias

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Const, Expr, Fma, Index, Load
from tensorkiln.compiler.kernel.instructions import prefetch
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Element
from tensorkiln.compiler.ops.recurrent_parts import parts_of
from tensorkiln.compiler.schedules.group import Group
from tensorkiln.compiler.schedules.recurrent_tiling import RecurrentTile, recurrent_tile
from tensorkiln.compiler.schedules.strips import strips
from tensorkiln.runtime.errors import UnsupportedError

# Operations of a phase's step below which threads that meet after it cost more than they give.
PARALLEL_PHASE = 1 << 18
FETCH_BYTES = 1 << 20  # inputs at least this large come from beyond the second-level cache


def schedule_recurrent(group: Group, target: Target) -> Kernel:
    """The kernel of a group that is one recurrence."""
    op = next(op for op in group.region.ops if op.name == "recurrence")
    return _Recurrent(group, op, target).build()


Reader: TypeAlias = Callable[[Index], Expr]


@dataclass(frozen=True)
class _Part:
    """Rows from `top` of a block by `depth` contracted units from `first` of source `number`."""

    phase: int
    number: int
    first: Expr
    depth: int
    top: Expr
    rows: int


class _Recurrent:
    def __init__(self, group: Group, op: Op, target: Target) -> None:
        self.group, self.op, self.target = group, op, target
        self.parts = parts_of(op)
        self.body: Body = group.body()
        self.body.places.update(zip(op.results, group.outputs, strict=True))
        self.steps = op.operands[0].shape[0]
        self.batch, self.units = op.results[0].shape[1:]
        self.dtype = op.results[0].dtype
        self.lanes = target.lanes(self.dtype.bits)
        for region in op.regions:
            for inner in cell_ops(region.ops):
                _check(inner)
                self.body.producers = {**self.body.producers, inner.results[0]: inner}

    def build(self) -> Kernel:
        body, reverse = self.body, self.op.flag("reverse")
        if not self.batch * self.units:
            return self.group.kernel(body)
        self._start(ix.const(self.steps if reverse else 0))
        with body.over(self.steps, hint="t") as step:
            last = ix.const(self.steps - 1)
            self.time = ix.sub(last, step) if reverse else step
            self.before = ix.add(self.time, ix.const(1)) if reverse else step
            self.after = self.time if reverse else ix.add(step, ix.const(1))
            for phase in range(len(self.op.regions)):
                self._phase(phase)
                body.forget()
        return self.group.kernel(body)

    def _start(self, row: Expr) -> None:
        """Puts the initial values where the histories begin."""
        body = self.body
        for history, initial in zip(self.op.results, self.parts.states, strict=True):
            with body.over(self.batch, hint="b") as b:

                def copy(_: int, unit: Expr, exists: Expr | None) -> None:
                    with ExitStack() as stack:
                        if exists is not None:
                            stack.enter_context(body.when(exists))
                        element = body.read(initial, (b, unit))  # noqa: B023
                        self._store(history, (row, b, unit), element)  # noqa: B023

                strips(body, self.units, self.lanes, 1, copy)

    def _store(self, history: Value, index: Index, element: Expr) -> None:
        place = self.body.places[history]
        self.body.store(place.buffer, place.index(index), element)

    def _phase(self, phase: int) -> None:
        tile = recurrent_tile(self.op, phase, self.target)
        panels = -(-self.units // tile.columns)
        weight = self.parts.weights[phase]
        work = self.batch * (weight.type.elements if weight is not None else self.units)
        parallel = panels > 1 and 2 * work >= PARALLEL_PHASE
        kind = LoopKind.PARALLEL if parallel else LoopKind.SERIAL
        with self.body.over(panels, kind, "panel") as panel:
            unit = ix.mul(panel, tile.columns)
            for row, rows in self._runs(self.batch, tile.block_rows):
                with row as first:
                    self._block(phase, tile, first, rows, unit)

    def _runs(self, count: int, size: int) -> Iterator[tuple[AbstractContextManager[Expr], int]]:
        """`count` in a loop over runs of `size` and what is left over: (first, how many)."""
        full, edge = divmod(count, size)
        if full:
            yield self._scaled(full, size), size
        if edge:
            yield nullcontext(ix.const(full * size)), edge

    @contextmanager
    def _scaled(self, count: int, size: int) -> Iterator[Expr]:
        with self.body.over(count) as number:
            yield ix.mul(number, size)

    def _block(self, phase: int, tile: RecurrentTile, row: Expr, rows: int, unit: Expr) -> None:
        """The products of some rows for one panel, in memory of their own, and then their cells."""
        body = self.body
        gates = max(self.parts.product_gates(phase), 1)
        sums = body.local((rows, gates, tile.columns), self.dtype, "sums")
        self._products(phase, tile, sums, row, unit)
        with (
            body.over(rows, hint="i") as i,
            body.over(tile.vectors, hint="j") as j,
            self._lanes(ix.add(unit, ix.mul(j, tile.lanes))) as lane,
        ):
            column = ix.add(ix.mul(j, tile.lanes), lane)
            at = (ix.add(row, i), ix.add(unit, column))
            self._cell(phase, at, lambda g: Load(sums, (i, ix.const(g), column)))

    @contextmanager
    def _lanes(self, unit: Expr) -> Iterator[Expr]:
        """A vector of units from `unit` on, of those that exist."""
        with self.body.over(self.lanes, LoopKind.VECTOR, "l") as lane, ExitStack() as stack:
            if self.units % self.lanes:
                inside = Binary("lt", ix.add(unit, lane), ix.const(self.units))
                stack.enter_context(self.body.when(inside))
            yield lane

    def _products(
        self, phase: int, tile: RecurrentTile, sums: Buffer, row: Expr, unit: Expr
    ) -> None:
        """Sums up the products of a block, part of the depth after part of the depth."""
        body, weight = self.body, self.parts.weights[phase]
        if weight is None:
            return
        once = weight.shape[0] == 1 and self.units <= tile.depth
        if not once:
            with body.over(sums.shape[0], hint="i") as i:
                self._each(tile, 1, sums, lambda at: self._clear(sums, (i, *at[1:])))
        for number in range(weight.shape[0]):
            for start, depth in self._runs(self.units, tile.depth):
                with start as first:
                    for place, rows in self._runs(sums.shape[0], tile.rows):
                        with place as top:
                            part = _Part(phase, number, first, depth, top, rows)
                            self._tile(part, tile, sums, (row, unit), once)

    def _clear(self, buffer: Buffer, at: Index) -> None:
        self.body.store(buffer, at, Const(0.0, self.dtype))

    def _each(
        self, tile: RecurrentTile, rows: int, sums: Buffer, visit: Callable[[Index], None]
    ) -> None:
        """Visits the vectors of a tile: row, gate and column."""
        body = self.body
        with (
            body.over(rows, LoopKind.UNROLLED, "i") as i,
            body.over(sums.shape[1], LoopKind.UNROLLED, "g") as g,
            body.over(tile.vectors, LoopKind.UNROLLED, "j") as j,
            body.over(tile.lanes, LoopKind.VECTOR, "l") as lane,
        ):
            visit((i, g, ix.add(ix.mul(j, tile.lanes), lane)))

    def _tile(
        self, part: _Part, tile: RecurrentTile, sums: Buffer, at: tuple[Expr, Expr], once: bool
    ) -> None:
        """One register tile over one part of the depth."""
        body, (row, unit) = self.body, at
        weight = self.parts.weights[part.phase]
        assert weight is not None
        acc = body.local((part.rows, *sums.shape[1:]), self.dtype)

        def there(place: Index) -> Index:
            return (ix.add(part.top, place[0]), *place[1:])

        def begin(place: Index) -> None:
            if once:
                self._clear(acc, place)
            else:
                body.store(acc, place, Load(sums, there(place)))

        self._each(tile, part.rows, sums, begin)
        source = self.parts.sources[part.phase] + part.number
        time = self._time_of(source, part.phase)
        with body.over(part.depth, hint="k") as inner:
            k = ix.add(part.first, inner)
            if part.rows == tile.rows < sums.shape[0]:
                self._fetch_inputs(part, tile, sums.shape[0], k, at)

            def multiply(place: Index) -> None:
                i, g, column = place
                index = (time, ix.add(row, ix.add(part.top, i)), k)
                a = body.read(self.op.results[source], index)
                b = body.read(weight, (ix.const(part.number), k, g, ix.add(unit, column)))
                total = Load(acc, place)
                if self.target.has_fma:
                    body.store(acc, place, Fma(a, b, total))
                else:
                    body.store(acc, place, Binary("add", total, Binary("mul", a, b)))

            self._each(tile, part.rows, sums, multiply)
        self._each(tile, part.rows, sums, lambda p: body.store(sums, there(p), Load(acc, p)))

    def _fetch_inputs(
        self, part: _Part, tile: RecurrentTile, rows: int, k: Expr, at: tuple[Expr, Expr]
    ) -> None:
        """Prefetches what the cells of a block will read: the tiles before them, each its share.

        Rows of an input lie far apart, so the processor would not do it by itself.
        """
        trips = rows // tile.rows * self.units
        trip = ix.add(ix.mul(ix.floordiv(part.top, tile.rows), self.units), k)
        for x, gates in zip(self.parts.inputs, self.parts.gates, strict=False):
            place = self.body.places.get(x)
            lines = (rows, gates, tile.vectors)
            count = math.prod(lines)
            if place is None or x.type.bytes < FETCH_BYTES or x.shape[3] == 1 or count > trips:
                continue
            line = Binary("min", ix.floordiv(trip, trips // count), ix.const(count - 1))
            i, gate, vector = ix.unflatten(line, lines)
            unit = ix.add(at[1], ix.mul(vector, tile.lanes))
            index = (self.time, ix.add(at[0], i), gate, unit)
            self.body.emit(prefetch(place.buffer, place.index(index)))

    def _time_of(self, state: int, phase: int) -> Expr:
        """The row of a state's history that a phase sees."""
        return self.after if state < self.parts.first_update(phase) else self.before

    def _cell(self, phase: int, at: Index, product: Callable[[int], Expr]) -> None:
        """Computes and stores what the cell makes of the elements at row and unit `at`."""
        body, parts, region = self.body, self.parts, self.op.regions[phase]
        readers = [
            self._input_reader(x, gate, at)
            for x, gates in zip(parts.inputs, parts.gates, strict=False)
            for gate in range(gates)
        ]
        readers += [self._made(product(g)) for g in range(parts.product_gates(phase))]
        readers += [
            self._reader(history, (self._time_of(number, phase), *at))
            for number, history in enumerate(self.op.results)
        ]
        readers += [self._reader(value, at) for value in parts.parameters]
        body.bound.update(zip(region.parameters, readers, strict=True))
        elements = [body.read(v, at) for v in region.results]
        first = parts.first_update(phase)
        for history, element in zip(self.op.results[first:], elements, strict=False):
            self._store(history, (self.after, *at), element)

    def _input_reader(self, x: Value, gate: int, at: Index) -> Reader:
        row, unit = at
        index = (self.time, row, ix.const(gate), unit if x.shape[3] > 1 else ix.ZERO)
        return self._reader(x, index)

    def _reader(self, value: Value, index: Index) -> Reader:
        """Cells are elementwise, so they read everything at their own row and unit."""
        return lambda _: self.body.read(value, index)

    def _made(self, expr: Expr) -> Reader:
        return lambda _: self.body.let(expr)


def cell_ops(ops: tuple[Op, ...]) -> list[Op]:
    """The ops of a cell; what fusion put together there stands by itself again."""
    return [
        inner
        for op in ops
        for inner in (cell_ops(op.regions[0].ops) if op.name == "fusion" else (op,))
    ]


def _check(op: Op) -> None:
    if op.name != "constant" and not isinstance(REGISTRY[op.name].lowering, Element):
        raise UnsupportedError(f"a recurrence's cell cannot have {op.name}: {op.location}")
