"""RoiAlign: regions of images resampled to one size (He et al., Mask R-CNN, 2017)."""

from __future__ import annotations

import functools

import numpy as np

from tensorkiln.compiler.ir.dtypes import F32, F64, I64, DType
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    compare,
    convert,
    full,
    full_like,
    iota,
    reduce,
    reshape,
    scalar,
    select,
    slice_axis,
    transpose,
)  # fmt: skip
from tensorkiln.frontends.onnx.lowerings.bilinear import (
    corners,
    number,
    spread_tap,
    taps_at_the_border,
)
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering

_MOST_SAMPLES = 64  # of one bin, along one axis


def _roi_align(node: Node) -> Value:
    """Each bin is the mean (or the greatest weighted corner) of points that lie evenly in it."""
    builder, x, rois, images = node.builder, node.value(0), node.value(1), node.value(2)
    if x.type.rank != 4 or rois.type.rank != 2 or rois.shape[1] != 4:
        raise node.invalid(f"{x.type} is no batch of images, or {rois.type} no regions")
    mode, count = node.string("mode"), rois.shape[0]
    if mode not in ("avg", "max"):
        raise node.invalid(f"mode is {mode!r}, not avg or max")
    if images.shape != (count,):
        raise node.invalid(f"there are {count} regions, and image numbers {images.type}")
    batch, channels, height, width = x.shape
    bins = (node.integer("output_height"), node.integer("output_width"))
    if min(bins) < 1:
        raise node.invalid(f"its output is {bins[0]} x {bins[1]}")
    if not count or not x.type.elements:
        return full(builder, (count, channels, *bins), 0, x.dtype)
    samples = _samples(node, bins)
    shape = (count, bins[0], samples[0], bins[1], samples[1])
    half = node.version >= 16 and node.string("coordinate_transformation_mode") == "half_pixel"
    sides = []
    for axis, size in enumerate((height, width)):
        start, length = _region(node, rois, axis, half)
        where, inside = _points(node, start, length, bins[axis], samples[axis])
        taps = taps_at_the_border(builder, where, size)
        dims = (0, 1 + 2 * axis, 2 + 2 * axis)
        sides.append(([spread_tap(builder, tap, shape, dims) for tap in taps], inside, dims))
    first = number(builder, "multiply", convert(builder, images, I64), height * width)
    rows = reshape(builder, transpose(builder, x, (0, 2, 3, 1)), (batch * height * width, channels))
    found = corners(
        builder, rows, broadcast_in_dim(builder, first, shape, (0,)), [s[0] for s in sides], width
    )
    pooled = _pooled(builder, mode, found, [(inside, dims) for _, inside, dims in sides])
    return transpose(builder, pooled, (0, 3, 1, 2))


def _region(node: Node, rois: Value, axis: int, half: bool) -> tuple[Value, Value]:
    """Start and length f32[regions] in pixels of the image; rows of `rois` are x, y, x, y."""
    builder, scale = node.builder, node.number("spatial_scale")
    ends = []
    for k in (1 - axis, 3 - axis):
        column = reshape(builder, slice_axis(builder, rois, 1, k, k + 1), (rois.shape[0],))
        moved = number(builder, "multiply", convert(builder, column, _wide(rois)), scale)
        ends.append(number(builder, "subtract", moved, 0.5) if half else moved)
    length = builder.one("subtract", (ends[1], ends[0]))
    return ends[0], length if half else number(builder, "maximum", length, 1)


def _wide(x: Value) -> DType:
    """The dtype of coordinates."""
    return F64 if x.dtype == F64 else F32


def _samples(node: Node, bins: tuple[int, int]) -> tuple[int, int]:
    """The points of a bin along each axis, or the most there are where regions have their own."""
    ratio = node.integer("sampling_ratio")
    if ratio > _MOST_SAMPLES:
        raise node.unsupported(f"sampling_ratio is {ratio}, more than {_MOST_SAMPLES}")
    if ratio > 0:
        return (ratio, ratio)
    rois = node.known(1).astype(np.float64) * node.number("spatial_scale")
    sizes = [float((rois[:, 3 - axis] - rois[:, 1 - axis]).max()) for axis in (0, 1)]
    found = [max(int(np.ceil(size / n)), 1) for size, n in zip(sizes, bins, strict=True)]
    if max(found) > _MOST_SAMPLES:
        raise node.unsupported(f"{max(found)} points in a bin; set sampling_ratio")
    return found[0], found[1]


def _points(
    node: Node, start: Value, length: Value, bins: int, samples: int
) -> tuple[Value, Value | None]:
    """Coordinates f32[regions, bins, samples]; bool[regions, samples] where not all count."""
    builder, shape = node.builder, (start.shape[0], bins, samples)
    step = number(builder, "divide", length, bins)
    inside, points = None, full_like(builder, step, samples)
    if node.integer("sampling_ratio") <= 0:
        points = number(builder, "maximum", builder.one("ceil", (step,)), 0)
        places = iota(builder, (start.shape[0], samples), 1, start.dtype)
        inside = compare(
            builder, "LT", places, broadcast_in_dim(builder, points, places.shape, (0,))
        )
    place = number(builder, "add", iota(builder, shape, 2, start.dtype), 0.5)
    wide = [broadcast_in_dim(builder, v, shape, (0,)) for v in (start, step, points)]
    within = binary(builder, "divide", binary(builder, "multiply", place, wide[1]), wide[2])
    begin = binary(builder, "multiply", iota(builder, shape, 1, start.dtype), wide[1])
    begin = binary(builder, "add", wide[0], begin)
    return binary(builder, "add", begin, within), inside


def _pooled(
    builder: Builder,
    mode: str,
    found: list[Value],
    sides: list[tuple[Value | None, tuple[int, int, int]]],
) -> Value:
    op, reducer = ("add", "add") if mode == "avg" else ("maximum", "maximum")
    total = functools.reduce(lambda a, b: builder.one(op, (a, b)), found)
    shape = total.shape
    count = full(builder, (shape[0],), 1, F32)
    for inside, dims in sides:
        if inside is None:
            count = number(builder, "multiply", count, shape[dims[2]])
            continue
        keep = broadcast_in_dim(builder, inside, shape, (dims[0], dims[2]))
        filler = 0 if mode == "avg" else -np.inf
        total = select(builder, keep, total, full_like(builder, total, filler))
        points = reduce(builder, convert(builder, inside, F32), "add", (1,))
        count = builder.one("multiply", (count, points))
    total = reduce(builder, total, reducer, (2, 4))
    if mode == "max":
        empty = compare(builder, "EQ", count, full_like(builder, count, 0))
        zero = broadcast_in_dim(builder, empty, total.shape, (0,))
        return select(builder, zero, full_like(builder, total, 0), total)
    count = binary(builder, "maximum", count, scalar(builder, 1, F32))
    divisor = broadcast_in_dim(builder, convert(builder, count, total.dtype), total.shape, (0,))
    return builder.one("divide", (total, divisor))


LOWERINGS = (Lowering("RoiAlign", _roi_align, 10),)
