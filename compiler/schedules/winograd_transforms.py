"""The transforms of one tile of a Winograd convolution, in lanes of channels.

The tile's elements are read by columns, each column is transformed, then each row.  Tiles inside of
the image take a path without conditions; tiles at its edges ask for each element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Const, Expr, Fma, Index, Load
from tensorkiln.compiler.kernel.stmt import LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.ops.winograd import tile_grid
from tensorkiln.compiler.ops.winograd_matrices import INPUT, OUTPUT, OUTPUTS, POINTS
from tensorkiln.compiler.schedules.group import Group

Padding: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of an image: its row and column in the image's grid, and its number among all."""

    batch: Expr
    row: Expr
    column: Expr
    number: Expr


class Transform:
    """What both transforms share: where tiles lie, and the sums of a matrix's row.

    `image` is the shape of the image whose dims (batch, feature, row, column) `spec` tells.
    """

    tile: Tile
    vector: Expr

    def __init__(
        self,
        body: Body,
        image: tuple[int, ...],
        spec: tuple[int, ...],
        grid: tuple[int, int],
        lanes: int,
        target: Target,
    ) -> None:
        self.body, self.spec, self.lanes, self.target = body, spec, lanes, target
        self.batches, self.channels, self.height, self.width = (image[d] for d in spec)
        self.rows, self.columns = grid

    def emit(self, tile: Tile, vector: Expr) -> None:
        """Transforms a vector of channels of one tile."""
        self.tile, self.vector = tile, vector
        inside = self.inside()
        if inside is None:
            self.visit(False)
            return
        with self.body.when(inside):
            self.visit(False)
        with self.body.when(Binary("eq", inside, Const(False, inside.dtype))):
            self.visit(True)

    def inside(self) -> Expr | None:
        """Whether all of the tile is inside the image; None if that is so of every tile."""
        raise NotImplementedError

    def visit(self, at_edge: bool) -> None:
        """Transforms one tile; one at an edge asks where each element lies."""
        raise NotImplementedError

    @contextmanager
    def channel(self) -> Iterator[tuple[Expr, Expr, Expr | None]]:
        """A loop over lanes: the lane, its channel, and whether that exists."""
        with self.body.over(self.lanes, LoopKind.VECTOR, "l") as lane:
            channel = ix.add(ix.mul(self.vector, self.lanes), lane)
            ragged = self.channels % self.lanes
            exists = Binary("lt", channel, ix.const(self.channels)) if ragged else None
            yield lane, channel, exists

    def arranged(self, index: Index) -> Index:
        """An image index given as (batch, feature, row, column), in the order of its dims."""
        places = dict(zip(self.spec, index, strict=True))
        return tuple(places[d] for d in range(4))

    def combine(self, row: Sequence[Fraction], values: Sequence[Expr]) -> Expr:
        """The named sum of `values` weighted by a row of a matrix."""
        terms = [(c, v) for c, v in zip(row, values, strict=True) if c]
        terms.sort(key=lambda term: term[0] != 1)  # one that needs no product comes first
        total: Expr | None = None
        for c, v in terms:
            factor = Const(float(c), v.dtype)
            if total is None:
                total = v if c == 1 else Binary("mul", v, factor)
            elif abs(c) == 1:
                total = Binary("add" if c == 1 else "sub", total, v)
            elif self.target.has_fma:
                total = Fma(v, factor, total)
            else:
                total = Binary("add", total, Binary("mul", v, factor))
        assert total is not None
        return self.body.let(total)


class Input(Transform):
    """The input transform of `image`; `store(point, tile, channel, value)` takes its results."""

    def __init__(
        self,
        body: Body,
        image: Value,
        spec: tuple[int, ...],
        padding: Padding,
        store: Callable[[int, Expr, Expr, Expr], None],
        target: Target,
    ) -> None:
        self.image, self.padding, self.store = image, padding, store
        space = [
            image.shape[d] + sum(pair) - POINTS + OUTPUTS
            for d, pair in zip(spec[2:], padding, strict=True)
        ]
        lanes = target.lanes(image.dtype.bits)
        super().__init__(body, image.shape, spec, tile_grid(space), lanes, target)

    def _start(self, axis: int) -> Expr:
        tile = (self.tile.row, self.tile.column)[axis]
        return ix.sub(ix.mul(tile, OUTPUTS), ix.const(self.padding[axis][0]))

    def inside(self) -> Expr | None:
        """See Transform."""
        sizes = zip((self.rows, self.columns), (self.height, self.width), strict=True)
        conditions: list[Expr] = []
        for axis, (tiles, size) in enumerate(sizes):
            low = self.padding[axis][0]
            if low:
                conditions.append(Binary("ge", self._start(axis), ix.ZERO))
            if OUTPUTS * (tiles - 1) - low + POINTS > size:
                limit = ix.const(size - POINTS)
                conditions.append(Binary("le", self._start(axis), limit))
        return _all(conditions)

    def visit(self, at_edge: bool) -> None:
        """See Transform."""
        body, batch = self.body, self.tile.batch
        top, left = self._start(0), self._start(1)
        with self.channel() as (_, channel, exists):
            lines: list[list[Expr]] = []
            for j in range(POINTS):
                column: list[Expr] = []
                for i in range(POINTS):
                    place = (ix.add(top, ix.const(i)), ix.add(left, ix.const(j)))
                    with ExitStack() as stack:
                        for condition in self._conditions(place) if at_edge else ():
                            stack.enter_context(body.guard(condition))
                        if exists is not None:
                            stack.enter_context(body.guard(exists))
                        column.append(
                            body.read(self.image, self.arranged((batch, channel, *place)))
                        )
                lines.append([self.combine(row, column) for row in INPUT])
            for i in range(POINTS):
                line = [column[i] for column in lines]
                for j, row in enumerate(INPUT):
                    value = self.combine(row, line)
                    with ExitStack() as stack:
                        if exists is not None:
                            stack.enter_context(body.when(exists))
                        self.store(i * POINTS + j, self.tile.number, channel, value)

    def _conditions(self, place: Index) -> Iterator[Expr]:
        for position, size, (low, _) in zip(
            place, (self.height, self.width), self.padding, strict=True
        ):
            if low:
                yield Binary("ge", position, ix.ZERO)
            yield Binary("lt", position, ix.const(size))


class Output(Transform):
    """The output transform to `result`, which the group's epilogue reads and stores.

    `load(point, tile, channel)` gives the elements of a tile's products.
    """

    def __init__(
        self,
        group: Group,
        body: Body,
        result: Value,
        spec: tuple[int, ...],
        load: Callable[[int, Expr, Expr], Expr],
        target: Target,
    ) -> None:
        self.group, self.result, self.load = group, result, load
        grid = tile_grid([result.shape[d] for d in spec[2:]])
        lanes = target.lanes(result.dtype.bits)
        super().__init__(body, result.shape, spec, grid, lanes, target)

    def inside(self) -> Expr | None:
        """See Transform."""
        conditions: list[Expr] = []
        if self.height % OUTPUTS:
            conditions.append(Binary("lt", self.tile.row, ix.const(self.height // OUTPUTS)))
        if self.width % OUTPUTS:
            conditions.append(Binary("lt", self.tile.column, ix.const(self.width // OUTPUTS)))
        return _all(conditions)

    def visit(self, at_edge: bool) -> None:
        """See Transform."""
        body = self.body
        sums = body.local((OUTPUTS * OUTPUTS, self.lanes), self.result.dtype, "sums")
        with self.channel() as (lane, channel, exists):
            lines: list[list[Expr]] = []
            for b in range(POINTS):
                column: list[Expr] = []
                for a in range(POINTS):
                    with ExitStack() as stack:
                        if exists is not None:
                            stack.enter_context(body.guard(exists))
                        column.append(self.load(a * POINTS + b, self.tile.number, channel))
                lines.append([self.combine(row, column) for row in OUTPUT])
            for i in range(OUTPUTS):
                line = [column[i] for column in lines]
                for j, row in enumerate(OUTPUT):
                    body.store(sums, (ix.const(i * OUTPUTS + j), lane), self.combine(row, line))
        with (
            body.over(OUTPUTS, LoopKind.UNROLLED, "i") as row_number,
            body.over(OUTPUTS, LoopKind.UNROLLED, "j") as column_number,
        ):
            self._store(sums, row_number, column_number, at_edge)

    def _store(self, sums: Buffer, i: Expr, j: Expr, at_edge: bool) -> None:
        """Sends the vector of channels at one place of the tile through the epilogue."""
        body = self.body
        rows, columns = ix.const(self.height), ix.const(self.width)
        y = ix.add(ix.mul(self.tile.row, OUTPUTS), i)
        x = ix.add(ix.mul(self.tile.column, OUTPUTS), j)
        with ExitStack() as stack:
            if at_edge:
                within = Binary("and", Binary("lt", y, rows), Binary("lt", x, columns))
                stack.enter_context(body.when(within))
            lane, channel, exists = stack.enter_context(self.channel())
            if exists is not None:
                stack.enter_context(body.when(exists))
            body.bound[self.result] = lambda _: body.let(
                Load(sums, (ix.add(ix.mul(i, OUTPUTS), j), lane))
            )
            index = self.arranged((self.tile.batch, channel, y, x))
            values = [body.read(v, index) for v in self.group.region.results]
            for output, value in zip(self.group.outputs, values, strict=True):
                body.store(output.buffer, output.index(index), value)


def _all(conditions: Sequence[Expr]) -> Expr | None:
    found: Expr | None = None
    for condition in conditions:
        found = condition if found is None else Binary("and", found, condition)
    return found
