"""DeformConv: a convolution that reads the image at places another tensor moves (Zhu et al.,
Deformable ConvNets v2, 2019)."""

from __future__ import annotations

import functools

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    dot_general,
    full,
    iota,
    reshape,
    slice_axis,
    transpose,
)  # fmt: skip
from tensorkiln.frontends.onnx.lowerings.bilinear import (
    corners,
    number,
    taps_with_zeros_around,
)
from tensorkiln.frontends.onnx.lowerings.geometry import Windows, windows_of
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def _deform_conv(node: Node) -> Value:
    builder, x, weight, offset = node.builder, node.value(0), node.value(1), node.value(2)
    if x.type.rank != 4 or weight.type.rank != 4:
        raise node.unsupported(f"{x.type} is not a batch of two-dimensional images")
    batch, channels, height, width = x.shape
    outer, inner, *kernel = weight.shape
    groups, parts = node.integer("group"), node.integer("offset_group")
    if groups < 1 or parts < 1 or channels != inner * groups or outer % groups or channels % parts:
        raise node.invalid(f"{weight.type}, {groups} groups, {parts} offset groups for {x.type}")
    windows = windows_of(node, x.shape[2:], tuple(kernel))
    output = windows.counts((height, width))
    taps = kernel[0] * kernel[1]
    if offset.shape != (batch, parts * taps * 2, *output):
        raise node.invalid(f"offsets {offset.type} do not fit an output of {list(output)}")
    if not x.type.elements or not weight.type.elements or not offset.type.elements:
        return full(builder, (batch, outer, *output), 0, x.dtype)
    shape = (batch, parts, *kernel, *output)
    sides = []
    for axis, size in enumerate((height, width)):
        moved = reshape(builder, offset, (batch, parts, *kernel, 2, *output))
        moved = reshape(builder, slice_axis(builder, moved, 4, axis, axis + 1), shape)
        where = binary(builder, "add", moved, _still(node, windows, moved, axis))
        sides.append(taps_with_zeros_around(builder, where, size))
    each = channels // parts
    split = reshape(builder, x, (batch, parts, each, height, width))
    rows = reshape(
        builder, transpose(builder, split, (0, 1, 3, 4, 2)), (x.type.elements // each, each)
    )
    first = number(builder, "multiply", iota(builder, shape, 0, I64), parts * height * width)
    second = number(builder, "multiply", iota(builder, shape, 1, I64), height * width)
    found = corners(builder, rows, builder.one("add", (first, second)), sides, width)
    columns = functools.reduce(lambda a, b: builder.one("add", (a, b)), found)
    if node.has(4):
        mask = reshape(builder, node.value(4), shape)
        spread = broadcast_in_dim(builder, mask, columns.shape, range(6))
        columns = builder.one("multiply", (columns, spread))
    return _multiplied(node, columns, weight, groups)


def _still(node: Node, windows: Windows, like: Value, axis: int) -> Value:
    """Where the kernel's elements would read were they not moved."""
    builder = node.builder
    tap = iota(builder, like.shape, 2 + axis, like.dtype)
    place = iota(builder, like.shape, 4 + axis, like.dtype)
    moved = number(builder, "multiply", tap, windows.dilations[axis])
    start = number(builder, "multiply", place, windows.strides[axis])
    return number(builder, "subtract", builder.one("add", (start, moved)), windows.padding[axis][0])


def _multiplied(node: Node, columns: Value, weight: Value, groups: int) -> Value:
    """[batch, parts, kernel, output, channels of a part] times the weights of each group."""
    builder = node.builder
    batch, _, kh, kw, oh, ow, _ = columns.shape
    outer, inner = weight.shape[:2]
    turned = transpose(builder, columns, (0, 1, 6, 2, 3, 4, 5))
    split = reshape(builder, turned, (batch, groups, inner * kh * kw, oh * ow))
    matrices = reshape(builder, weight, (groups, outer // groups, inner * kh * kw))
    found = dot_general(builder, matrices, split, (0,), (1,), (2,), (2,))
    found = transpose(builder, found, (2, 0, 1, 3))
    result = reshape(builder, found, (batch, outer, oh, ow))
    if not node.has(3):
        return result
    bias = broadcast_in_dim(builder, node.value(3), result.shape, (1,))
    return builder.one("add", (result, bias))


LOWERINGS = (Lowering("DeformConv", _deform_conv, 19),)
