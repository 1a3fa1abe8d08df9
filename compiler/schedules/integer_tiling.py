"""Layouts and tile sizes of products of bytes.

Where the target sums four products of bytes by one instruction, four channels that lie next to each
other are one step; other targets widen one channel at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tensorkiln.compiler.ir.dtypes import I8, U8
from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel.instructions import BYTES
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.layout import Layout
from tensorkiln.compiler.schedules.conv_tiling import (
    ConvShape,
    channel_layout,
    conv_shape,
    folded_rows,
    register_tile,
)
from tensorkiln.compiler.schedules.tiling import column_dim, row_dim

NOWHERE = -1  # the place of a dim that a tensor does not have
_FEW_TASKS = 16


@dataclass(frozen=True, slots=True)
class IntegerTiling:
    """How a product of bytes is cut up: `rows` places by `vectors` of output features in registers.

    A step sums `step` channels; `block` of them lie together in the left operand (0: all).  `flat`
    says that all space is walked as one dim.  `weights` and `bytes_` are the layouts that the
    operands need (None: as it is), `result` that of the result (None: row-major).
    """

    rows: int
    vectors: int
    lanes: int
    step: int
    block: int
    flat: bool
    row_blocks: int
    weights: Layout
    bytes_: Layout | None
    result: Layout | None

    @property
    def columns(self) -> int:
        """Output features of a register tile."""
        return self.vectors * self.lanes


def integer_shape(op: Op) -> ConvShape | None:
    """The sizes of a product of bytes; a matrix product is a convolution of one window over its
    rows, without batch.  None if it has to be made legal first."""
    if op.name == "integer_convolution":
        return conv_shape(op)
    (lhs, rhs), result = op.operands, op.result
    plain = len(op.ints("lhs_contracting")) == 1 and not op.ints("lhs_batch")
    if not plain or lhs.type.rank != 2 or rhs.type.rank != 2:
        return None
    (left,), (right,) = op.ints("lhs_contracting"), op.ints("rhs_contracting")
    positions = (
        (NOWHERE, left, row_dim(op)), (column_dim(op), right, NOWHERE), (NOWHERE, 1, 0)
    )  # fmt: skip
    rows, columns = result.shape
    return ConvShape(1, lhs.shape[left], columns, 1, (1,), (rows,), (1,), (1,), positions)


def choose_integer_tiling(
    op: Op, target: Target, constant: bool, present: Layout | None
) -> IntegerTiling | None:
    """The tiling of a product whose left operand lies in the layout `present` (None: row-major) and
    whose right one is a constant or not.  None if it is left to the general kernels of reductions.
    """
    shape = integer_shape(op)
    if shape is None or [v.dtype for v in op.operands] != [U8, I8]:
        return None
    if not shape.space or 0 in (shape.batch, shape.inputs, shape.outputs, *shape.space):
        return None
    step = BYTES if target.has_byte_dot else 1
    lanes = target.lanes(op.result.dtype.bits)
    grouped = shape.groups > 1 and (shape.inputs % step or shape.outputs % lanes)
    # Channels that are not there count nothing only where their weights are zeros.
    padded = shape.inputs % step and not constant
    if grouped or padded:
        return None
    left, right, out = shape.positions
    rank = op.operands[0].type.rank
    if step == 1 or _has_steps(present, left[1], rank, shape.inputs * shape.groups, step):
        block = dict(present.blocks).get(left[1], 0) if present is not None else 0
        bytes_ = None
    else:
        bytes_ = _in_steps(left, shape.inputs * shape.groups, lanes, step)
        block = bytes_.blocks[0][1]
    if block and shape.groups > 1 and shape.inputs % block:
        return None
    flat = shape.pointwise
    width = math.prod(shape.space) if flat else shape.space[-1]
    panels_of_one = -(-shape.outputs // lanes)
    rows, vectors = register_tile(width, panels_of_one, target)
    folded = folded_rows(shape, target)
    if not flat and folded > 1 and panels_of_one > 1:
        rows, vectors, flat = folded * width, 2, True
    tasks = shape.batch * shape.groups * -(-panels_of_one // vectors)
    steps = -(-width // rows) if flat else math.prod(shape.space[:-1])
    row_blocks = 1 if tasks % 2 == 0 or tasks >= _FEW_TASKS else min(steps, 4)
    columns = vectors * lanes
    weights = Layout(
        tuple(d for d in right if d != NOWHERE),
        ((right[0], columns), *(((right[1], step),) if step > 1 else ())),
    )
    blocked = out[0] != NOWHERE and out[1] != len(out) - 1
    result = channel_layout(out, shape.outputs * shape.groups, lanes) if blocked else None
    return IntegerTiling(
        rows, vectors, lanes, step, block, flat, row_blocks, weights, bytes_, result
    )


def _has_steps(present: Layout | None, channel: int, rank: int, channels: int, step: int) -> bool:
    """True if channels lie next to each other, `step` and `step` again."""
    if present is None or not present.blocks:
        last = rank - 1 if present is None else present.order[-1]
        return last == channel and channels % step == 0
    return len(present.blocks) == 1 and present.blocks[0][0] == channel and (
        present.blocks[0][1] % step == 0
    )  # fmt: skip


def _in_steps(left: tuple[int, ...], channels: int, lanes: int, step: int) -> Layout:
    batch, channel, *space = left
    if batch == NOWHERE:  # a matrix, in rows
        return Layout((*space, channel), ((channel, step),))
    size = lanes if channels % lanes == 0 else step
    return Layout((batch, channel, *space), ((channel, size),))
