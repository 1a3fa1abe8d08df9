"""Grouped convolution of images with channels outermost: places are lanes, channels are rows.

    parallel tasks (batch, group, row of places or 1, strip of them) {
        for panel of output channels {
            acc = 0
            for channel of the group, window {
                acc[i, j] += kernel[channel i, channel, window] * input[channel, places j] }
            epilogue(acc) is stored } }

Groups whose channels do not fill whole vectors have no blocks of channels that could be lanes.
A window of one place and stride 1 takes all places of an image as one row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeAlias

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Const, Expr, Fma, Index, Load
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.schedules.conv_tiling import ConvShape, conv_shape, register_tile
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group

# visit(place in acc, row of the tile, place of the image, lanes that exist)
Visit: TypeAlias = Callable[[Index, Expr, Expr, Expr | None], None]


@dataclass(frozen=True, slots=True)
class GroupedTiling:
    """`rows` output channels of a group by `vectors` of places in registers.

    `flat` says that all places of an image are one row.
    """

    rows: int
    vectors: int
    lanes: int
    flat: bool


@dataclass(frozen=True, slots=True)
class _Strip:
    """`count` places from `start` along a row."""

    start: Expr
    count: int


def grouped_tiling(op: Op, target: Target) -> GroupedTiling | None:
    """The tiling of a convolution, or None if this family does not take it."""
    shape = conv_shape(op)
    return None if shape is None else _tiling(shape, target.lanes(op.result.dtype.bits), target)


def _tiling(shape: ConvShape, lanes: int, target: Target) -> GroupedTiling | None:
    if shape.groups == 1 or shape.depthwise or shape.outputs % lanes == 0 or not shape.space:
        return None
    if 0 in (shape.batch, shape.inputs, shape.outputs, *shape.window, *shape.space):
        return None
    order = tuple(range(len(shape.space) + 2))
    if shape.positions[0] != order or shape.positions[2] != order:
        return None
    width = math.prod(shape.space) if shape.pointwise else shape.space[-1]
    rows, vectors = register_tile(shape.outputs, -(-width // lanes), target)
    return GroupedTiling(rows, vectors, lanes, shape.pointwise)


def schedule_grouped(group: Group, op: Op, tiling: GroupedTiling, target: Target) -> Kernel:
    """The kernel of a group whose hero `op` is a legal grouped convolution."""
    shape = conv_shape(op)
    assert shape is not None
    return _Grouped(group, op, shape, tiling, target).build()


class _Grouped:
    def __init__(
        self, group: Group, op: Op, shape: ConvShape, tiling: GroupedTiling, target: Target
    ) -> None:
        self.group, self.op, self.shape, self.tiling = group, op, shape, tiling
        self.fma = target.has_fma and op.result.dtype.is_float
        self.body = group.body()
        self.batch: Expr = ix.ZERO
        self.feature_group: Expr = ix.ZERO
        self.outer: Index = ()  # the place's leading indices

    def build(self) -> Kernel:
        body, s, t = self.body, self.shape, self.tiling
        outer = () if t.flat else s.space[:-1]
        width = math.prod(s.space) if t.flat else s.space[-1]
        size = t.vectors * t.lanes
        full, rest = divmod(width, size)
        tasks = (s.batch, s.groups, *outer, full + bool(rest))
        parallel = self.group.work >= PARALLEL_WORK and math.prod(tasks) > 1
        kind = LoopKind.PARALLEL if parallel else LoopKind.SERIAL
        with body.over(math.prod(tasks), kind, "task") as task:
            self.batch, self.feature_group, *places, number = ix.unflatten(task, tasks)
            self.outer = tuple(places)
            if full:
                with self._if("lt", number, full, bool(rest)):
                    # The bound is for the index algebra: all places are places of the image.
                    whole = Binary("min", number, ix.const(full - 1))
                    self._panels(_Strip(ix.mul(whole, size), size))
            if rest:
                with self._if("eq", number, full, bool(full)):
                    self._panels(_Strip(ix.const(full * size), rest))
        return self.group.kernel(body)

    @contextmanager
    def _if(self, relation: str, number: Expr, bound: int, asked: bool) -> Iterator[None]:
        if not asked:
            yield
            return
        with self.body.when(Binary(relation, number, ix.const(bound))):
            yield

    def _panels(self, strip: _Strip) -> None:
        full, rest = divmod(self.shape.outputs, self.tiling.rows)
        if full:
            with self.body.over(full, hint="panel") as panel:
                self._tile(ix.mul(panel, self.tiling.rows), self.tiling.rows, strip)
        if rest:
            self._tile(ix.const(full * self.tiling.rows), rest, strip)

    def _tile(self, first: Expr, rows: int, strip: _Strip) -> None:
        """`rows` output channels of the group from `first` on, by the places of a strip."""
        body, s, lanes = self.body, self.shape, self.tiling.lanes
        vectors = -(-strip.count // lanes)
        acc = body.local((rows, vectors * lanes), self.op.result.dtype)
        zero = Const(0.0 if acc.dtype.is_float else 0, acc.dtype)
        self._each(strip, rows, lambda at, i, place, exists: body.store(acc, at, zero))
        base = ix.add(ix.mul(self.feature_group, s.outputs), first)
        with body.over(s.inputs, hint="c") as channel, self._window() as window:
            source = ix.add(ix.mul(self.feature_group, s.inputs), channel)

            def multiply(at: Index, i: Expr, place: Expr, exists: Expr | None) -> None:
                weight = self._weight((ix.add(base, i), channel, *window))
                x = self._element(source, window, place, exists)
                total = Load(acc, at)
                added = Fma(weight, x, total)
                separate = Binary("add", total, Binary("mul", weight, x))
                body.store(acc, at, added if self.fma else separate)

            self._each(strip, rows, multiply)

        def store(at: Index, i: Expr, place: Expr, exists: Expr | None) -> None:
            self._store(Load(acc, at), ix.add(base, i), place, exists)

        self._each(strip, rows, store)

    @contextmanager
    def _window(self) -> Iterator[Index]:
        with ExitStack() as stack:
            yield tuple(stack.enter_context(self.body.over(e, hint="w")) for e in self.shape.window)

    def _each(self, strip: _Strip, rows: int, visit: Visit) -> None:
        """Visits the vectors of a tile; of the last one, the places that exist."""
        body, lanes = self.body, self.tiling.lanes
        whole, ragged = divmod(strip.count, lanes)
        with body.over(rows, LoopKind.UNROLLED, "i") as i:
            if whole:
                with (
                    body.over(whole, LoopKind.UNROLLED, "j") as j,
                    body.over(lanes, LoopKind.VECTOR, "l") as lane,
                ):
                    at = ix.add(ix.mul(j, lanes), lane)
                    visit((i, at), i, ix.add(strip.start, at), None)
            if ragged:
                with self._some_lanes(ragged) as (lane, exists):
                    at = ix.add(ix.const(whole * lanes), lane)
                    visit((i, at), i, ix.add(strip.start, at), exists)

    @contextmanager
    def _some_lanes(self, count: int) -> Iterator[tuple[Expr, Expr | None]]:
        if count == 1:  # a scalar: no mask needed
            with self.body.over(1, LoopKind.VECTOR, "l") as lane:
                yield lane, None
            return
        # The variable's extent says which lanes matter, so that indices simplify for those.
        lanes = ix.const(self.tiling.lanes)
        with self.body.between(ix.ZERO, lanes, count, LoopKind.VECTOR) as lane:
            yield lane, Binary("lt", lane, ix.const(count))

    def _places(self, place: Expr) -> Index:
        return ix.unflatten(place, self.shape.space) if self.tiling.flat else (*self.outer, place)

    def _weight(self, index: Index) -> Expr:
        places = dict(zip(self.shape.positions[1], index, strict=True))
        return self.body.read(self.op.operands[1], tuple(places[d] for d in range(len(places))))

    def _element(self, channel: Expr, window: Index, place: Expr, exists: Expr | None) -> Expr:
        """The element of the image at a place of the window."""
        body, s = self.body, self.shape
        steps = zip(self._places(place), window, s.strides, s.dilation, strict=True)
        space = tuple(ix.add(ix.mul(p, stride), ix.mul(w, d)) for p, w, stride, d in steps)
        with body.guard(exists) if exists is not None else nullcontext():
            return body.read(self.op.operands[0], (self.batch, channel, *space))

    def _store(self, total: Expr, channel: Expr, place: Expr, exists: Expr | None) -> None:
        body = self.body
        index = (self.batch, channel, *self._places(place))
        with body.when(exists) if exists is not None else nullcontext():
            body.bound[self.op.result] = lambda _: body.let(total)
            values = [body.read(v, index) for v in self.group.region.results]
            for output, value in zip(self.group.outputs, values, strict=True):
                body.store(output.buffer, output.index(index), value)


__all__ = ["GroupedTiling", "grouped_tiling", "schedule_grouped"]
