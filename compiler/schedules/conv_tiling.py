"""Shapes and tile sizes of direct convolutions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.layout import Layout
from tensorkiln.compiler.schedules.tiling import WIDE

FEWEST_TASKS, MOST_TASKS = 4, 32
TASK_WORK = 1 << 16  # multiply-adds that are worth a task of their own
DEPTHWISE_WORK = 1 << 14  # the same for a depthwise convolution, which mostly moves data


@dataclass(frozen=True, slots=True)
class ConvShape:
    """The sizes of a legal convolution: no padding, no input dilation, one batch group.

    `positions` holds, for each of input, kernel and output, the places of (batch, feature,
    spatial...) or, for the kernel, (output feature, input feature, spatial...).
    """

    batch: int
    inputs: int  # channels of one group
    outputs: int  # channels of one group
    groups: int
    window: tuple[int, ...]
    space: tuple[int, ...]  # of the output
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    positions: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    @property
    def multiplies(self) -> int:
        """Multiply-adds of the whole convolution."""
        channels = self.inputs * self.outputs * self.groups
        return self.batch * channels * math.prod((*self.window, *self.space))

    @property
    def depthwise(self) -> bool:
        """True if every output channel reads one input channel, its own."""
        return self.inputs == 1 and self.outputs == 1 and self.groups > 1

    @property
    def pointwise(self) -> bool:
        """True for a 1x1 window with stride 1, where space is one long dim."""
        return math.prod(self.window) == 1 and set(self.strides) <= {1}


@dataclass(frozen=True, slots=True)
class ConvTiling:
    """How a convolution is cut up: `rows` output places by `vectors` of channels in registers.

    `block` is the channel block of the input's layout (1: channels are not blocked); `flat` says
    that all spatial dims are walked as one (in whole rows, unless the window is 1x1). Tasks are
    `row_blocks` of the output's places by panels of channels; `rows_first` says that all panels of
    a block follow each other, so that a thread keeps a part of the image to itself. `image` is
    where the input has more than padding along its first spatial dim, if that is known.
    """

    rows: int
    vectors: int
    lanes: int
    block: int
    flat: bool
    row_blocks: int
    rows_first: bool = False
    image: tuple[int, int] | None = None


def conv_shape(op: Op) -> ConvShape | None:
    """The sizes of a convolution, or None if it has to be made legal first."""
    if op.name not in ("convolution", "integer_convolution") or op.result.dtype not in WIDE:
        return None
    if (
        any(sum(map(abs, pair)) for pair in _pairs(op, "padding"))
        or op.integer("batch_groups") != 1
    ):
        return None
    if set(op.ints("lhs_dilation")) - {1} or any(op.ints("reversal")):
        return None
    lhs, rhs = op.operands
    left, kernel, out = (op.ints(f"{side}_spec") for side in ("lhs", "rhs", "out"))
    groups = op.integer("feature_groups")
    return ConvShape(
        lhs.shape[left[0]],
        rhs.shape[kernel[1]],
        rhs.shape[kernel[0]] // groups,
        groups,
        tuple(rhs.shape[d] for d in kernel[2:]),
        tuple(op.result.shape[d] for d in out[2:]),
        op.ints("strides"),
        op.ints("rhs_dilation"),
        (left, kernel, out),
    )


def _pairs(op: Op, name: str) -> tuple[tuple[int, int], ...]:
    value = op.attributes[name]
    return value if isinstance(value, tuple) else ()  # type: ignore[return-value]


def choose_conv_tiling(
    shape: ConvShape, target: Target, bits: int, blocked: bool
) -> ConvTiling | None:
    """The tiling, or None if the direct family does not take this convolution."""
    lanes = target.lanes(bits)
    if 0 in (shape.batch, shape.inputs, shape.outputs, *shape.window, *shape.space):
        return None
    if not shape.space:
        return None
    if shape.depthwise:
        rows = _balanced(shape.space[-1], max(1, (target.registers - 4) // 2))
        steps, panels = math.prod(shape.space[:-1]), -(-shape.groups // lanes)
        most = min(
            max(FEWEST_TASKS, MOST_TASKS // panels), shape.multiplies // (panels * DEPTHWISE_WORK)
        )
        row_blocks = balanced_blocks(steps, panels, most // shape.batch)
        first = row_blocks > 1
        return ConvTiling(rows, 1, lanes, lanes if blocked else 1, False, row_blocks, first)
    if shape.groups > 1 and (shape.outputs % lanes or (blocked and shape.inputs % lanes)):
        return None
    flat = shape.pointwise and len(shape.space) > 0
    width = math.prod(shape.space) if flat else shape.space[-1]
    channel_vectors = -(-shape.outputs // lanes)
    rows, vectors = register_tile(width, channel_vectors, target)
    if flat and target.has_broadcasting_operands and 8 * width <= shape.outputs:
        # Many weights and few places: higher tiles, which two vectors leave room for, read weights
        # half as often from where they come from.
        vectors = min(2, channel_vectors)
        rows = _balanced(width, (target.registers - vectors - 1) // vectors)
    folded = folded_rows(shape, target)
    if not flat and folded > 1 and channel_vectors > 1:
        # Short rows: a tile of several reads the weights fewer times.
        rows, vectors, flat = folded * width, 2, True
        width = math.prod(shape.space)
    panels = -(-channel_vectors // vectors)
    tasks = shape.batch * shape.groups * panels
    steps = -(-width // rows) if flat else math.prod(shape.space[:-1])
    block = lanes if blocked else 1
    image = math.prod(shape.space) * math.prod(shape.strides)
    if image > shape.outputs * math.prod(shape.window):
        most = min(MOST_TASKS, max(FEWEST_TASKS, shape.multiplies // TASK_WORK)) // tasks
        row_blocks = balanced_blocks(steps, panels, most)
        return ConvTiling(rows, vectors, lanes, block, flat, row_blocks, True)
    if tasks == 1 and channel_vectors == 2 and flat and folded > 1:
        # Two threads read half of the weights each, which outer caches hold, rather than all.
        rows = folded_rows(shape, target, 1) * shape.space[-1]
        return ConvTiling(rows, 1, lanes, block, flat, 1)
    row_blocks = 1 if tasks % 2 == 0 or tasks >= 16 else min(steps, 4)
    return ConvTiling(rows, vectors, lanes, block, flat, row_blocks)


def balanced_blocks(steps: int, panels: int, most: int) -> int:
    """How many blocks to cut `steps` into, at most `most`, if each has `panels` tasks.

    As many as leave two threads the same to do; the more, the better for other numbers of threads.
    """
    counts = range(1, max(1, min(steps, most)) + 1)
    return min(counts, key=lambda blocks: (_imbalance(steps, blocks, panels), -blocks))


def _imbalance(steps: int, blocks: int, panels: int) -> float:
    size = -(-steps // blocks)
    tasks = [min(size, steps - at) for at in range(0, steps, size) for _ in range(panels)]
    half = sum(tasks[: (len(tasks) + 1) // 2])
    return round(max(half, sum(tasks) - half) / max(1, sum(tasks)), 2)


def folded_rows(shape: ConvShape, target: Target, vectors: int = 2) -> int:
    """Whole rows of the output that fit a register tile of so many vectors."""
    spare = 1 if target.has_fma else 2
    if len(shape.space) != 2:
        return 1
    places = (target.registers - vectors - spare) // vectors
    return min(shape.space[0], places // shape.space[1])


def register_tile(width: int, channel_vectors: int, target: Target) -> tuple[int, int]:
    """The (rows, vectors) that spend fewest loads a multiply-add with the least waste."""
    spare = 1 if target.has_fma else 2
    best: tuple[float, int, int] = (math.inf, 1, 1)
    for vectors in (1, 2, 3, 4):
        most = (target.registers - vectors - spare) // vectors
        if most < 1 or vectors > channel_vectors:
            continue
        rows = _balanced(width, most)
        lost = (-(-width // rows) * rows / width) * (
            -(-channel_vectors // vectors) * vectors / channel_vectors
        )
        loads = (rows + vectors) / (rows * vectors)
        latency = max(1.0, 8 / (rows * vectors))  # two units, four cycles: eight chains
        best = min(best, (lost * latency * (1 + 0.5 * loads), rows, vectors))
    return best[1], best[2]


def _balanced(extent: int, most: int) -> int:
    tiles = -(-extent // max(most, 1))
    return -(-extent // tiles)


def kernel_layout(shape: ConvShape, tiling: ConvTiling) -> Layout:
    """Panels of the kernel: output channels, input blocks, window, channels in the block, panel."""
    out, into, *space = shape.positions[1]
    columns = tiling.vectors * tiling.lanes
    if shape.depthwise:
        return Layout((out, into, *space), ((out, columns),))
    if tiling.block > 1:
        return Layout((out, into, *space), ((into, tiling.block), (out, columns)))
    return Layout((out, *space, into), ((out, columns),))


def channel_layout(positions: tuple[int, ...], channels: int, lanes: int) -> Layout:
    """Channels in blocks of a vector behind space, or whole behind space if they do not divide."""
    batch, feature, *space = positions
    if channels % lanes == 0:
        return Layout((batch, feature, *space), ((feature, lanes),))
    return Layout((batch, *space, feature))
