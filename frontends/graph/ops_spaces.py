"""Blocks of space moved into the batch or into the channels, and back.

The orders of elements are those of TensorFlow's public documentation of the ops.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dimension import Size
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base, with_rank
from tensorkiln.frontends.graph.shapes import ShapeError
from tensorkiln.frontends.graph.statics import static_array, static_integers
from tensorkiln.frontends.graph.tensor import Tensor


def space_to_batch_nd(
    input: object, block_shape: object, paddings: object, name: str | None = None
) -> Tensor:
    """Zero-pads the dims after the first, then moves the cells of each block into the batch."""
    return make("SpaceToBatchND", (input, block_shape, paddings), name)


def batch_to_space_nd(
    input: object, block_shape: object, crops: object, name: str | None = None
) -> Tensor:
    """Undoes `space_to_batch_nd`: parts of the batch become cells of blocks, then it crops."""
    return make("BatchToSpaceND", (input, block_shape, crops), name)


def space_to_batch(
    input: object, paddings: object, block_size: int | None = None, name: str | None = None,
    block_shape: object = None,
) -> Tensor:  # fmt: skip
    """`space_to_batch_nd` of images with square blocks."""
    shape = block_shape if block_size is None else np.array([block_size, block_size], np.int64)
    result = space_to_batch_nd(input, shape, paddings, name)
    result.set_shape(result.shape.with_rank(4))
    return result


def batch_to_space(
    input: object, crops: object, block_size: int, name: str | None = None,
    block_shape: object = None,
) -> Tensor:  # fmt: skip
    """`batch_to_space_nd` of images with square blocks."""
    shape = block_shape if block_shape is not None else np.array([block_size] * 2, np.int64)
    result = batch_to_space_nd(input, shape, crops, name)
    result.set_shape(result.shape.with_rank(4))
    return result


def _blocks_infer(op: Operation) -> Sequence[Result]:
    tensor, blocks, margins = (
        op.inputs[0],
        static_integers(op.inputs[1]),
        static_array(op.inputs[2]),
    )
    if tensor.sizes is None or blocks is None:
        return [(base(tensor), None)]
    count = len(blocks)
    if len(tensor.sizes) < count + 1:
        raise ShapeError(f"Shape must be at least rank {count + 1} but is rank {len(tensor.sizes)}")
    sizes: list[Size] = list(tensor.sizes)
    area = int(np.prod(blocks))
    to_batch = op.type == "SpaceToBatchND"
    sizes[0] = _scaled(sizes[0], area, to_batch)
    for k, block in enumerate(blocks, 1):
        margin = None if margins is None else int(margins.reshape(-1, 2)[k - 1].sum())
        size = sizes[k]
        if size is None or margin is None:
            sizes[k] = None
        elif to_batch:
            sizes[k] = _scaled(size + margin, block, False)
        else:
            sizes[k] = size * block - margin
    return [(base(tensor), tuple(sizes))]


def _scaled(size: Size, factor: int, up: bool) -> Size:
    if size is None:
        return None
    if up:
        return size * factor
    if size % factor:
        raise ShapeError(f"Dimension size must be evenly divisible by {factor} but is {size}")
    return size // factor


def _to_batch(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, x = lowering.builder, values[0]
    blocks, margins = lowering.integers(op, 1, values), lowering.integers(op, 2, values)
    count, rest = len(blocks), x.shape[len(blocks) + 1 :]
    low = [0, *margins[::2], *([0] * len(rest))]
    high = [0, *margins[1::2], *([0] * len(rest))]
    x = shorthand.pad(builder, x, low, high)
    split = [x.shape[0]]
    for k, block in enumerate(blocks, 1):
        split += [x.shape[k] // block, block]
    x = shorthand.reshape(builder, x, (*split, *rest))
    cells = [2 * k + 2 for k in range(count)]
    outer = [2 * k + 1 for k in range(count)]
    tail = range(2 * count + 1, 2 * count + 1 + len(rest))
    x = shorthand.transpose(builder, x, (*cells, 0, *outer, *tail))
    sizes = [x.shape[count + 1 + k] for k in range(count)]
    batch = int(np.prod(x.shape[: count + 1], dtype=np.int64))
    return [shorthand.reshape(builder, x, (batch, *sizes, *rest))]


def _from_batch(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, x = lowering.builder, values[0]
    blocks, crops = lowering.integers(op, 1, values), lowering.integers(op, 2, values)
    count, rest = len(blocks), x.shape[len(blocks) + 1 :]
    batch = x.shape[0] // int(np.prod(blocks))
    sizes = x.shape[1 : count + 1]
    x = shorthand.reshape(builder, x, (*blocks, batch, *sizes, *rest))
    order = [count]
    for k in range(count):
        order += [count + 1 + k, k]
    x = shorthand.transpose(builder, x, (*order, *range(2 * count + 1, 2 * count + 1 + len(rest))))
    whole = [size * block for size, block in zip(sizes, blocks, strict=True)]
    x = shorthand.reshape(builder, x, (batch, *whole, *rest))
    start = [0, *crops[::2], *([0] * len(rest))]
    ends = [size - crop for size, crop in zip(whole, crops[1::2], strict=True)]
    return [shorthand.slice_(builder, x, start, (batch, *ends, *rest))]


def required_space_to_batch_paddings(
    input_shape: object, block_shape: object, base_paddings: object = None, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Paddings (at least `base_paddings`) that make sizes multiples of blocks, and the crops that
    undo what was added."""
    with graph_of([input_shape, block_shape]).name_scope(
        name or "required_space_to_batch_paddings"
    ):
        shape, blocks = (convert_to_tensor(v, name="x") for v in (input_shape, block_shape))
        count = blocks.shape.num_elements()
        if count is None:
            raise ValueError("block_shape must have a known number of elements")
        given = np.zeros((count, 2), np.int32) if base_paddings is None else base_paddings
        margins = convert_to_tensor(given, base(blocks), "base_paddings")
        starts, ends = margins[:, 0], margins[:, 1]
        extra = (blocks - (shape + starts + ends) % blocks) % blocks
        paddings = make("Pack", ([starts, ends + extra],), "paddings", axis=1)
        crops = make("Pack", ([extra * 0, extra],), "crops", axis=1)
        return paddings, crops


def space_to_depth(
    input: object, block_size: int, name: str | None = None, data_format: str = "NHWC"
) -> Tensor:
    """The cells of each square block of an image as channels."""
    return _depth("SpaceToDepth", input, block_size, name, data_format)


def depth_to_space(
    input: object, block_size: int, name: str | None = None, data_format: str = "NHWC"
) -> Tensor:
    """Channels as the cells of square blocks of an image."""
    return _depth("DepthToSpace", input, block_size, name, data_format)


def _depth(kind: str, value: object, block: int, name: str | None, layout: str) -> Tensor:
    if block < 2:
        raise ValueError(f"block_size must be at least 2, got {block}")
    if layout not in ("NHWC", "NCHW"):
        raise ValueError(f"data_format must be NHWC or NCHW, got {layout!r}")
    return make(kind, (value,), name, block_size=int(block), data_format=layout)


def _depth_infer(op: Operation) -> Sequence[Result]:
    sizes, block = list(with_rank(op.inputs[0].sizes, 4)), op.integer("block_size")
    channel = 3 if op.text("data_format") == "NHWC" else 1
    to_depth = op.type == "SpaceToDepth"
    for axis in (1, 2, 3):
        factor = block * block if axis == channel else block
        sizes[axis] = _scaled(sizes[axis], factor, to_depth == (axis == channel))
    return [(base(op.inputs[0]), tuple(sizes))]


def _depth_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x,), block = lowering.builder, values, op.integer("block_size")
    last = op.text("data_format") == "NHWC"
    x = x if last else shorthand.transpose(builder, x, (0, 2, 3, 1))
    n, h, w, c = x.shape
    if op.type == "SpaceToDepth":
        x = shorthand.reshape(builder, x, (n, h // block, block, w // block, block, c))
        x = shorthand.transpose(builder, x, (0, 1, 3, 2, 4, 5))
        x = shorthand.reshape(builder, x, (n, h // block, w // block, block * block * c))
    else:
        part = c // (block * block)
        x = shorthand.reshape(builder, x, (n, h, w, block, block, part))
        x = shorthand.transpose(builder, x, (0, 1, 3, 2, 4, 5))
        x = shorthand.reshape(builder, x, (n, h * block, w * block, part))
    return [x if last else shorthand.transpose(builder, x, (0, 3, 1, 2))]


register(
    OpKind("SpaceToBatchND", "input:T block_shape:index paddings:index", _blocks_infer, _to_batch),
    OpKind("BatchToSpaceND", "input:T block_shape:index crops:index", _blocks_infer, _from_batch),
    OpKind("SpaceToDepth", "input:T", _depth_infer, _depth_lower),
    OpKind("DepthToSpace", "input:T", _depth_infer, _depth_lower),
)
