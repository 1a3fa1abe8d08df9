"""Reshaping, transposing, joining and splitting."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.shorthand import (
    axes_of,
    axis_of,
    broadcast_in_dim,
    broadcast_shapes,
    broadcast_to,
    concat,
    expand_dims,
    reshape,
    slice_axis,
    squeeze,
    transpose,
)  # fmt: skip
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.operand import Entry
from tensorkiln.frontends.onnx.table import Lowering


def _identity(node: Node) -> Entry:
    return node.entry(0)


def _reshape(node: Node, wanted: Sequence[int]) -> Value:
    """0 copies a dim (unless allowzero), one -1 takes what is left."""
    x = node.value()
    keep_zero = node.integer("allowzero", 0)
    if any(dim < -1 for dim in wanted) or list(wanted).count(-1) > 1:
        raise node.invalid(f"its shape is {list(wanted)}; one -1 is allowed, and no other negative")
    shape = list(wanted)
    for axis, dim in enumerate(wanted):
        if dim == 0 and not keep_zero:
            if axis >= x.type.rank:
                raise node.invalid(f"dim {axis} of {list(wanted)} copies a dim that is not there")
            shape[axis] = x.shape[axis]
    if -1 in shape:
        rest = math.prod(dim for dim in shape if dim != -1)
        if not rest or x.type.elements % rest:
            raise node.invalid(f"{x.type} cannot take the shape {list(wanted)}")
        shape[shape.index(-1)] = x.type.elements // rest
    if math.prod(shape) != x.type.elements:
        raise node.invalid(f"{x.type} cannot take the shape {list(wanted)}")
    return reshape(node.builder, x, shape)


def _reshape_attribute(node: Node) -> Value:
    return _reshape(node, node.integers("shape"))


def _reshape_input(node: Node) -> Value:
    return _reshape(node, node.known_ints(1))


def _flatten(node: Node) -> Value:
    x, axis = node.value(), node.integer("axis")
    if not -x.type.rank <= axis <= x.type.rank:
        raise node.invalid(f"axis {axis} does not exist in rank {x.type.rank}")
    axis = axis + x.type.rank if axis < 0 else axis
    shape = (math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))
    return reshape(node.builder, x, shape)


def axes_input(node: Node, index: int) -> tuple[int, ...] | None:
    """Axes by an optional input."""
    return node.known_ints(index) if node.has(index) else None


def axes_attribute(node: Node) -> tuple[int, ...] | None:
    """Axes by an optional attribute."""
    return node.integers("axes") if node.given("axes") else None


def _squeezed(node: Node, axes: Sequence[int] | None) -> Value:
    x = node.value()
    for axis in axes_of(axes, x.type.rank) if axes is not None else ():
        if x.shape[axis] != 1:
            raise node.invalid(f"dim {axis} of {x.type} is not 1")
    return squeeze(node.builder, x, axes)


def _squeeze_attribute(node: Node) -> Value:
    return _squeezed(node, axes_attribute(node))


def _squeeze_input(node: Node) -> Value:
    return _squeezed(node, axes_input(node, 1))


def _unsqueezed(node: Node, axes: Sequence[int]) -> Value:
    rank = node.value().type.rank + len(axes)
    if len(set(axes_of(axes, rank))) != len(axes):
        raise node.invalid(f"axes {list(axes)} name one axis twice")
    return expand_dims(node.builder, node.value(), axes)


def _unsqueeze_attribute(node: Node) -> Value:
    return _unsqueezed(node, node.integers("axes"))


def _unsqueeze_input(node: Node) -> Value:
    return _unsqueezed(node, node.known_ints(1))


def _transpose(node: Node) -> Value:
    x = node.value()
    order = node.integers("perm", tuple(range(x.type.rank))[::-1])
    if sorted(order) != list(range(x.type.rank)):
        raise node.invalid(f"perm {list(order)} is no permutation of the {x.type.rank} axes")
    return transpose(node.builder, x, order)


def _expand(node: Node) -> Value:
    x = node.value()
    shape = broadcast_shapes(x.type.shape, node.known_ints(1))
    return broadcast_to(node.builder, x, shape)


def _tile(node: Node) -> Value:
    """[a, b] -> [r, a, s, b] by broadcasting -> [r a, s b]."""
    builder, x, repeats = node.builder, node.value(), node.known_ints(1)
    if len(repeats) != x.type.rank or any(r < 0 for r in repeats):
        raise node.invalid(f"repeats {list(repeats)} do not fit {x.type}")
    pairs = [dim for pair in zip(repeats, x.shape, strict=True) for dim in pair]
    spread = broadcast_in_dim(builder, x, pairs, range(1, 2 * x.type.rank, 2))
    return reshape(builder, spread, [r * d for r, d in zip(repeats, x.shape, strict=True)])


def _tile_axis(node: Node) -> Value:
    """Opset 1: a count and an axis as inputs."""
    axis = axis_of(node.known_ints(2)[0], node.value().type.rank)
    times = node.limited(node.known_ints(1)[0], "repetitions")
    return concat(node.builder, [node.value()] * times, axis)


def _concat_default(node: Node) -> Value:
    return concat(node.builder, node.values(), node.integer("axis", 1))


def _concat(node: Node) -> Value:
    return concat(node.builder, node.values(), node.integer("axis"))


def _split(node: Node, sizes: Sequence[int] | None) -> list[Value]:
    x = node.value()
    axis = axis_of(node.integer("axis"), x.type.rank)
    size = x.shape[axis]
    if sizes is None:
        parts = node.integer("num_outputs", len(node.proto.output))
        if parts != len(node.proto.output):
            raise node.invalid(f"num_outputs is {parts}, with {len(node.proto.output)} outputs")
        each = -(-size // parts)
        sizes = [max(0, min(each, size - k * each)) for k in range(parts)]
    if sum(sizes) != size or any(part < 0 for part in sizes):
        raise node.invalid(f"parts {list(sizes)} do not add up to the {size} of {x.type}")
    if len(sizes) != len(node.proto.output):
        raise node.invalid(f"{len(sizes)} parts for {len(node.proto.output)} outputs")
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    return [
        slice_axis(node.builder, x, axis, start, start + part)
        for start, part in zip(starts, sizes, strict=True)
    ]


def _split_attribute(node: Node) -> list[Value]:
    if node.has(1):
        return _split(node, node.known_ints(1))
    return _split(node, node.integers("split") if node.given("split") else None)


def _split_input(node: Node) -> list[Value]:
    return _split(node, axes_input(node, 1))


def _depth_to_space(node: Node) -> Value:
    builder, x, block = node.builder, node.value(), node.integer("blocksize")
    n, c, h, w = _image(node, x)
    if block < 1 or c % (block * block):
        raise node.invalid(f"{c} channels do not divide into blocks of {block} x {block}")
    deep = c // (block * block)
    if node.string("mode", "DCR") == "DCR":
        split = reshape(builder, x, (n, block, block, deep, h, w))
        moved = transpose(builder, split, (0, 3, 4, 1, 5, 2))
    else:
        split = reshape(builder, x, (n, deep, block, block, h, w))
        moved = transpose(builder, split, (0, 1, 4, 2, 5, 3))
    return reshape(builder, moved, (n, deep, h * block, w * block))


def _space_to_depth(node: Node) -> Value:
    builder, x, block = node.builder, node.value(), node.integer("blocksize")
    n, c, h, w = _image(node, x)
    if block < 1 or h % block or w % block:
        raise node.invalid(f"an image of {h} x {w} does not divide into blocks of {block}")
    split = reshape(builder, x, (n, c, h // block, block, w // block, block))
    order = (0, 3, 5, 1, 2, 4) if node.string("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    moved = transpose(builder, split, order)
    return reshape(builder, moved, (n, c * block * block, h // block, w // block))


def _image(node: Node, x: Value) -> tuple[int, ...]:
    if x.type.rank != 4:
        raise node.invalid(f"its input has rank {x.type.rank}, not 4")
    return x.shape


LOWERINGS = (
    Lowering("Identity", _identity),
    Lowering("Reshape", _reshape_attribute),
    Lowering("Reshape", _reshape_input, 5),
    Lowering("Flatten", _flatten),
    Lowering("Squeeze", _squeeze_attribute),
    Lowering("Squeeze", _squeeze_input, 13),
    Lowering("Unsqueeze", _unsqueeze_attribute),
    Lowering("Unsqueeze", _unsqueeze_input, 13),
    Lowering("Transpose", _transpose),
    Lowering("Expand", _expand, 8),
    Lowering("Tile", _tile_axis),
    Lowering("Tile", _tile, 6),
    Lowering("Concat", _concat_default),
    Lowering("Concat", _concat, 4),
    Lowering("Split", _split_attribute),
    Lowering("Split", _split_input, 13),
    Lowering("DepthToSpace", _depth_to_space),
    Lowering("SpaceToDepth", _space_to_depth),
)
