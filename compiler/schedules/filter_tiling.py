"""Tile sizes of convolutions whose window is large and whose result is small: filter gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.layout import Layout
from tensorkiln.compiler.schedules.conv_tiling import ConvShape

BLOCK_BYTES = 3 << 14  # of both operands, read again for every tile of a task: near the first cache
PARTIAL_BYTES = 1 << 16  # partial sums of one task, on the stack
MOST_TASKS = 8
LEAST_DEPTH = 64  # products of one sum below which loads and stores of sums would weigh


@dataclass(frozen=True, slots=True)
class FilterTiling:
    """How such a convolution is cut up.

    A register tile is a box of `places` along the spatial dims by `rows` of the batch by
    `vectors` of output channels.  `images` input channels by `lines` of the window's first dim
    are one block of the depth; a task takes `items` tiles through all blocks.  `image` is where
    the input has more than padding along its first spatial dim, if that is known.
    """

    places: tuple[int, ...]
    rows: int
    vectors: int
    lanes: int
    images: int
    lines: int
    items: int
    image: tuple[int, int] | None = None

    @property
    def columns(self) -> int:
        """Output channels of a register tile."""
        return self.vectors * self.lanes


def choose_filter_tiling(shape: ConvShape, target: Target, bits: int) -> FilterTiling | None:
    """The tiling, or None where another family serves better."""
    window, space = math.prod(shape.window), math.prod(shape.space)
    if (
        not shape.space
        or shape.groups > 1
        or 0 in (shape.batch, shape.inputs, shape.outputs, window)
    ):
        return None
    if window <= space or window * shape.inputs < LEAST_DEPTH or shape.batch * space < 4:
        return None
    lanes = target.lanes(bits)
    places, rows, vectors = _register_tile(shape, lanes, target)
    size = math.prod(places)
    tiles = space // size * -(-shape.batch // rows) * -(-shape.outputs // (vectors * lanes))
    held = PARTIAL_BYTES // (size * rows * vectors * lanes * bits // 8)
    items = max(1, min(held, -(-tiles // _tasks(shape, bits // 8))))
    # Only tiles of one task can share a block.
    images, lines = _block(shape, bits // 8) if items > 1 else (shape.inputs, shape.window[0])
    return FilterTiling(places, rows, vectors, lanes, images, lines, items)


def _register_tile(
    shape: ConvShape, lanes: int, target: Target
) -> tuple[tuple[int, ...], int, int]:
    """The (places, rows, vectors) that take least time a multiply-add, waste included."""
    spare = 1 if target.has_fma else 2
    wanted = -(-shape.outputs // lanes)
    best: tuple[float, tuple[int, ...], int, int] = (math.inf, (), 1, 1)
    for vectors in range(1, min(4, wanted) + 1):
        most = (target.registers - vectors - spare) // vectors
        for places in _boxes(shape.space, most):
            rows = min(shape.batch, most // math.prod(places))
            rows = -(-shape.batch // -(-shape.batch // rows))
            lost = -(-shape.batch // rows) * rows / shape.batch
            lost *= -(-wanted // vectors) * vectors / wanted
            size = math.prod(places) * rows
            best = min(best, (lost * _cycles(size, rows, vectors), places, rows, vectors))
    return best[1:]


def _tasks(shape: ConvShape, size: int) -> int:
    """Tasks such that reading both operands from memory takes each a part of its time only."""
    depth = shape.inputs * math.prod(shape.window)
    products = depth * shape.batch * math.prod(shape.space) * shape.outputs
    moved = size * depth * (shape.batch * math.prod(shape.strides) + shape.outputs)
    # Some 50 products a nanosecond, 10 bytes a nanosecond, a quarter of the time.
    return max(2, min(MOST_TASKS, products // (20 * moved)))


def _boxes(space: tuple[int, ...], most: int) -> list[tuple[int, ...]]:
    """Boxes of at most `most` places that tile the result: whole in the inner dims, then a part."""
    found: list[tuple[int, ...]] = []
    inner: tuple[int, ...] = ()
    for axis in reversed(range(len(space))):
        for part in range(1, space[axis] + 1):
            box = (*(1,) * axis, part, *inner)
            if space[axis] % part == 0 and math.prod(box) <= most:
                found.append(box)
        inner = (space[axis], *inner)
    return found


def _cycles(size: int, rows: int, vectors: int) -> float:
    """Cycles a multiply-add of one vector, of a tile of `size` places and rows by `vectors`.

    Two of them and two loads a cycle, four cycles from one to the next of the same sum, and
    2.4 cycles a line from the second-level cache: the kernel's vectors and one line of the input.
    """
    count = size * vectors
    loads = size + vectors
    lines = vectors + -(-rows // 16)
    return max(count / 2, loads / 2, 2.4 * lines, 4.0) / count + 0.02 * loads / count


def _block(shape: ConvShape, size: int) -> tuple[int, int]:
    """Input channels, and lines of the window, whose operands stay in the cache together."""
    line = (
        size
        * math.prod(shape.window[1:])
        * (shape.batch * math.prod(shape.strides) + shape.outputs)
    )
    lines = shape.window[0]
    images = BLOCK_BYTES // (line * lines)
    if images >= 1:
        return min(images, shape.inputs), lines
    return 1, max(1, min(lines, BLOCK_BYTES // line))


def channels_last(positions: tuple[int, ...]) -> Layout:
    """The layout in which the output channels of a kernel (or any first position) lie innermost."""
    channels, *others = positions
    return Layout((*others, channels))


def has_lanes(layout: Layout | None, rank: int, dim: int, lanes: int) -> bool:
    """True if `lanes` neighbours along `dim` are neighbours in memory."""
    if layout is None:
        return dim == rank - 1
    if not layout.blocks:
        return layout.order[-1] == dim
    last, size = layout.blocks[-1]
    return last == dim and size % lanes == 0
