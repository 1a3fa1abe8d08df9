"""Col2Im: blocks of an image, one a column, added together where they overlap."""

from __future__ import annotations

import math

import numpy as np

from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops.shorthand import full, reshape
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def _places(node: Node, image: tuple[int, ...], block: tuple[int, ...]) -> Array:
    """The row-major place in the image of each element of each block, outside of it -1."""
    rank = len(image)
    ones = (1,) * rank
    strides, dilations = node.integers("strides", ones), node.integers("dilations", ones)
    pads = node.integers("pads", (0,) * (2 * rank))
    if min(*strides, *dilations, *block, 1) < 1 or len(pads) != 2 * rank:
        raise node.invalid(f"strides {strides}, dilations {dilations}, pads {pads}, block {block}")
    along = []
    for axis, size in enumerate(image):
        reach = dilations[axis] * (block[axis] - 1) + 1
        count = (size + pads[axis] + pads[rank + axis] - reach) // strides[axis] + 1
        node.limited(count * block[axis], "columns")
        inside = np.arange(block[axis]) * dilations[axis] - pads[axis]
        place = inside[:, None] + np.arange(max(count, 0)) * strides[axis]
        along.append(np.where((place >= 0) & (place < size), place, -1))
    total = np.zeros((1, 1), np.int64)
    for axis, place in enumerate(along):
        stride = math.prod(image[axis + 1 :])
        moved = np.where(place < 0, -(1 << 40), place * stride)
        total = (total[:, None, :, None] + moved[None, :, None, :]).reshape(
            total.shape[0] * moved.shape[0], total.shape[1] * moved.shape[1]
        )
    return np.maximum(total.reshape(-1), -1)


def _col2im(node: Node) -> Value:
    builder, x = node.builder, node.value()
    image, block = node.known_ints(1), node.known_ints(2)
    if x.type.rank != 3 or len(image) != len(block) or min((*image, *block), default=0) < 1:
        raise node.invalid(f"columns {x.type} of blocks {block} for an image {image}")
    places = _places(node, image, block)
    batch, rows, columns = x.shape
    channels = rows // math.prod(block)
    if rows % math.prod(block) or math.prod(block) * columns != places.size:
        raise node.invalid(f"columns {x.type} of blocks {block} do not make an image {image}")
    lines = batch * channels
    summed = builder.one(
        "scatter",
        (
            full(builder, (lines, math.prod(image)), 0, x.dtype),
            builder.constant(places),
            reshape(builder, x, (lines, places.size)),
        ),
        update_window_dims=(0,),
        inserted_window_dims=(1,),
        scatter_dims_to_operand_dims=(1,),
        index_vector_dim=1,
        reducer="add",
    )
    return reshape(builder, summed, (batch, channels, *image))


LOWERINGS = (Lowering("Col2Im", _col2im, 18),)
