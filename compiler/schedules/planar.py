"""Depthwise convolution of images with channels outermost: places along a row are lanes.

    parallel tasks (batch, channel) {
        for tile of rows { for strip of a vector of places along them {
            acc = 0
            for row of the image, column of the window {
                x = image[row, strip + column]
                acc[i] += x * kernel[row - i, column]    for every row i of the tile that uses it }
            epilogue(acc) is stored } } }

An image that comes and goes in this order need not be brought into blocks of channels and back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Const, Expr, Fma, Index, Load, Var
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.schedules.conv_tiling import ConvShape, conv_shape
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group

ROWS = 4  # of a tile: what is read serves up to this many, and their sums are enough chains
MOST_TAPS = 25  # of a window, which is written out for each row of a tile

Position = tuple[Expr, int]  # where a tile starts along a dim, and how many places it has


@dataclass(frozen=True, slots=True)
class PlanarTiling:
    """`rows` of the image by one vector of `lanes` places along them."""

    rows: int
    lanes: int


def choose_planar_tiling(shape: ConvShape, target: Target, bits: int) -> PlanarTiling | None:
    """The tiling, or None if this family does not take the convolution."""
    lanes = target.lanes(bits)
    if not shape.depthwise or len(shape.space) != 2 or 0 in (*shape.space, *shape.window):
        return None
    height, width = shape.space
    taps = shape.window[0] * shape.window[1]
    outermost = all(p == (0, 1, 2, 3) for p in (shape.positions[0], shape.positions[2]))
    if not outermost or shape.strides[1] != 1 or taps > MOST_TAPS or 2 * width < lanes:
        return None
    return PlanarTiling(min(ROWS, height), lanes)


def schedule_planar(group: Group, op: Op, tiling: PlanarTiling, target: Target) -> Kernel:
    """The kernel of a group whose hero `op` is a depthwise convolution of planes."""
    shape = conv_shape(op)
    assert shape is not None
    return _Planar(group, op, shape, tiling, target).build()


class _Planar:
    def __init__(
        self, group: Group, op: Op, shape: ConvShape, tiling: PlanarTiling, target: Target
    ) -> None:
        self.group, self.op, self.shape, self.tiling = group, op, shape, tiling
        self.fma = target.has_fma and op.result.dtype.is_float
        self.body: Body = group.body()
        self.padded = any(o.result is op.operands[0] for o in group.region.ops)
        self.plane: Index = ()
        self.taps: dict[tuple[int, int], Expr] = {}

    def build(self) -> Kernel:
        body, s, t = self.body, self.shape, self.tiling
        count = s.batch * s.groups
        parallel = self.group.work >= PARALLEL_WORK and count > 1
        with body.over(count, LoopKind.PARALLEL if parallel else LoopKind.SERIAL, "task") as task:
            self.plane = ix.unflatten(task, (s.batch, s.groups))
            channel = self.plane[1]
            for y in range(s.window[0]):
                for x in range(s.window[1]):
                    index = _placed(s.positions[1], (channel, ix.ZERO, ix.const(y), ix.const(x)))
                    self.taps[y, x] = body.read(self.op.operands[1], index)
            self._along(
                s.space[0],
                t.rows,
                lambda rows: self._along(
                    s.space[1], t.lanes, lambda strip: self._tile(rows, strip)
                ),
            )
        return self.group.kernel(body)

    def _along(self, extent: int, size: int, visit: Callable[[Position], None]) -> None:
        """Visits the tiles along a dim; where padding is read, the outer ones by themselves.

        A constant place lets the compiler drop the questions that have one answer there.
        """
        whole, rest = divmod(extent, size)
        inner = range(1, whole - 1 if not rest else whole) if self.padded else range(whole)
        if self.padded and whole:
            visit((ix.ZERO, size))
        if len(inner):
            with self.body.over(len(inner)) as number:
                visit((ix.mul(ix.add(number, ix.const(inner.start)), size), size))
        if self.padded and whole > 1 and not rest:
            visit((ix.const((whole - 1) * size), size))
        if rest:
            visit((ix.const(whole * size), rest))

    def _tile(self, rows: Position, strip: Position) -> None:
        body, s, (top, height), (left, width) = self.body, self.shape, rows, strip
        acc = body.local((height, self.tiling.lanes), self.op.result.dtype)
        with self._lanes(width) as lane, ExitStack() as stack:
            if 1 < width < self.tiling.lanes:
                exists = Binary("lt", lane, ix.const(width))
                stack.enter_context(body.guard(exists))
            sums: list[Expr] = [Const(0.0 if acc.dtype.is_float else 0, acc.dtype)] * height
            for down, uses in self._uses(height).items():
                y = ix.add(ix.mul(top, s.strides[0]), ix.const(down))
                for column in range(s.window[1]):
                    x = ix.add(ix.add(left, lane), ix.const(column * s.dilation[1]))
                    value = body.read(self.op.operands[0], (*self.plane, y, x))
                    for row, tap in uses:
                        sums[row] = self._added(sums[row], value, self.taps[tap, column])
            for row, total in enumerate(sums):
                body.store(acc, (ix.const(row), lane), total)
        with body.over(height, LoopKind.UNROLLED, "i") as i, self._lanes(width) as lane:
            self._store(acc, i, lane, ix.add(top, i), ix.add(left, lane), width)

    def _uses(self, height: int) -> dict[int, list[tuple[int, int]]]:
        """For each row of the image that a tile reads: the (row of the tile, tap) that use it."""
        found: dict[int, list[tuple[int, int]]] = {}
        for row in range(height):
            for tap in range(self.shape.window[0]):
                down = row * self.shape.strides[0] + tap * self.shape.dilation[0]
                found.setdefault(down, []).append((row, tap))
        return dict(sorted(found.items()))

    def _added(self, total: Expr, x: Expr, tap: Expr) -> Expr:
        product = Fma(x, tap, total) if self.fma else Binary("add", total, Binary("mul", x, tap))
        return self.body.let(product)

    def _store(self, acc: Buffer, i: Expr, lane: Expr, y: Expr, x: Expr, width: int) -> None:
        body = self.body
        with ExitStack() as stack:
            if 1 < width < self.tiling.lanes:
                stack.enter_context(body.when(Binary("lt", lane, ix.const(width))))
            index = (*self.plane, y, x)
            body.bound[self.op.result] = lambda _: body.let(Load(acc, (i, lane)))
            values = [body.read(v, index) for v in self.group.region.results]
            for output, value in zip(self.group.outputs, values, strict=True):
                body.store(output.buffer, output.index(index), value)

    def _lanes(self, count: int) -> AbstractContextManager[Var]:
        """A vector loop whose variable is known to stay below `count` where it matters."""
        if count == 1:  # a scalar: no mask needed
            return self.body.over(1, LoopKind.VECTOR, "l")
        return self.body.between(ix.ZERO, ix.const(self.tiling.lanes), count, LoopKind.VECTOR)


def _placed(positions: Sequence[int], index: Index) -> Index:
    places = dict(zip(positions, index, strict=True))
    return tuple(places[d] for d in range(len(places)))


__all__ = ["PlanarTiling", "choose_planar_tiling", "schedule_planar"]
