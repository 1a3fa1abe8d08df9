"""How Winograd convolutions are cut up, and how their operands and results lie."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.layout import Layout
from tensorkiln.compiler.ops.winograd import tile_grid
from tensorkiln.compiler.ops.winograd_matrices import POINTS
from tensorkiln.compiler.schedules.conv_tiling import channel_layout
from tensorkiln.compiler.schedules.tiling import NEAR_BYTES, WAY_BYTES, most_rows

MATRICES = POINTS * POINTS
VECTORS = 2  # of channels, in a panel of weights
MOST_TASKS = 32  # that have scratch memory
NEAR_SCRATCH = 1 << 18  # bytes of a block whose weights stay in the second-level cache as well
FAR_SCRATCH = 3 << 18  # of one large enough to wait for weights from an outer cache


@dataclass(frozen=True, slots=True)
class BlockTiling:
    """Register tiles of `rows` image tiles by `columns` channels.

    `block` of them at a time, side by side along the image, are transformed, multiplied and
    transformed back; `tasks` is how many parts there may be, `tiles` how many tiles.
    """

    rows: int
    columns: int
    tiles: int
    tasks: int
    block: int

    @property
    def units(self) -> int:
        """Register tiles along the image."""
        return -(-self.tiles // self.rows)


def block_tiling(op: Op, target: Target) -> BlockTiling:
    """The tiling of a winograd_convolution."""
    batch, _, *space = (op.result.shape[d] for d in op.ints("out_spec"))
    tiles = batch * math.prod(tile_grid(space))
    lanes = target.lanes(op.result.dtype.bits)
    vectors = _panel_vectors(op, lanes)
    most = most_rows(target, vectors)
    rows = -(-tiles // -(-tiles // most))
    units = -(-tiles // rows)
    inputs = op.operands[0].shape[op.ints("spec")[1]]
    unit = MATRICES * rows * (inputs + vectors * lanes) * op.result.dtype.bytes
    near = op.operands[1].type.bytes <= NEAR_BYTES
    block = max(1, min(units, (NEAR_SCRATCH if near else FAR_SCRATCH) // unit))
    return BlockTiling(rows, vectors * lanes, tiles, min(units, MOST_TASKS), block)


def winograd_layouts(
    op: Op, lanes: int, is_placed: Callable[[Value], bool]
) -> tuple[dict[Value, Layout], Layout | None]:
    """How operands of a Winograd op must lie, and its result if that is not row-major.

    Images are in blocks of channels, but for one that comes in an order of its own (`is_placed`).
    """
    wanted: dict[Value, Layout] = {}
    spec, result = op.ints("spec"), op.ints("spec")
    if op.name != "winograd_output":
        source = op.operands[0]
        if spec[1] != len(spec) - 1 and not is_placed(source):
            wanted[source] = channel_layout(spec, source.shape[spec[1]], lanes)
    if op.name == "winograd_input":
        channels = op.result.shape[-1]
        if channels * op.result.dtype.bytes % WAY_BYTES:
            return wanted, None
        # Its rows are read side by side: a vector of padding puts them into other sets.
        return wanted, Layout((0, 1, 2), ((2, channels + lanes),))
    if op.name == "winograd_convolution":
        # Panel by panel of channels, and in each all of a matrix after the other's.
        wanted[op.operands[1]] = Layout((2, 0, 1), ((2, _panel_vectors(op, lanes) * lanes),))
        result = op.ints("out_spec")
    if result[1] == len(result) - 1:
        return wanted, None
    return wanted, channel_layout(result, op.result.shape[result[1]], lanes)


def _panel_vectors(op: Op, lanes: int) -> int:
    """Vectors of channels in a panel of weights."""
    return min(VECTORS, -(-op.operands[1].shape[-1] // lanes))
