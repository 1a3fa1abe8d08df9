"""Tile sizes of convolutions whose window is large and whose result is small: filter gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.layout import Layout
from tensorkiln.compiler.schedules.conv_tiling import ConvShape

BLOCK_BYTES = 1 << 18  # of both operands, read again for every tile: a part of the second-level cache
PARTIAL_BYTES = 1 << 16  # partial sums of one task, on the stack
LEAST_TASKS = 8
LEAST_DEPTH = 64  # products of one sum below which loads and stores of sums would weigh


@dataclass(frozen=True, slots=True)
class FilterTiling:
    """How such a convolution is cut up.

    A register tile is `places` positions along the last spatial dim by `rows` of the batch by
    `vectors` of output channels.  `images` input channels by `lines` of the window's first dim
    are one block of the depth; a task takes `items` tiles through all blocks.
    """

    places: int
    rows: int
    vectors: int
    lanes: int
    images: int
    lines: int
    items: int

    @property
    def columns(self) -> int:
        """Output channels of a register tile."""
        return self.vectors * self.lanes


def choose_filter_tiling(shape: ConvShape, target: Target, bits: int) -> FilterTiling | None:
    """The tiling, or None where another family serves better."""
    window, space = math.prod(shape.window), math.prod(shape.space)
    if not shape.space or shape.groups > 1 or 0 in (shape.batch, shape.inputs, shape.outputs, window):
        return None
    if window <= space or window * shape.inputs < LEAST_DEPTH or shape.batch * space < 4:
        return None
    lanes = target.lanes(bits)
    places, rows, vectors = _register_tile(shape, lanes, target)
    images, lines = _block(shape, bits // 8)
    tiles = math.prod(shape.space) // places * -(-shape.batch // rows)
    tiles *= -(-shape.outputs // (vectors * lanes))
    held = PARTIAL_BYTES // (places * rows * vectors * lanes * bits // 8)
    items = max(1, min(held, tiles // LEAST_TASKS))
    return FilterTiling(places, rows, vectors, lanes, images, lines, items)


def _register_tile(shape: ConvShape, lanes: int, target: Target) -> tuple[int, int, int]:
    """The (places, rows, vectors) that spend fewest loads a multiply-add with the least waste."""
    spare = 1 if target.has_fma else 2
    wanted = -(-shape.outputs // lanes)
    width = shape.space[-1]
    best: tuple[float, int, int, int] = (math.inf, 1, 1, 1)
    for vectors in range(1, min(4, wanted) + 1):
        most = (target.registers - vectors - spare) // vectors
        for places in (p for p in range(1, width + 1) if width % p == 0 and p <= most):
            rows = min(shape.batch, most // places)
            rows = -(-shape.batch // -(-shape.batch // rows))
            lost = -(-shape.batch // rows) * rows / shape.batch
            lost *= -(-wanted // vectors) * vectors / wanted
            size = places * rows
            loads = (size + vectors) / (size * vectors)
            latency = max(1.0, 8 / (size * vectors))  # two units, four cycles: eight chains
            best = min(best, (lost * latency * (1 + 0.5 * loads), places, rows, vectors))
    return best[1:]


def _block(shape: ConvShape, size: int) -> tuple[int, int]:
    """Input channels, and lines of the window, whose operands stay in the cache together."""
    line = size * math.prod(shape.window[1:]) * (shape.batch * math.prod(shape.strides) + shape.outputs)
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
