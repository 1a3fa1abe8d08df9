"""Resize and Upsample: axis by axis, each new element a weighted sum of old ones."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import (
    axis_of,
    binary,
    broadcast_in_dim,
    dot_general,
    reshape,
    scalar,
    select,
    take,
    transpose,
)  # fmt: skip
from tensorkiln.frontends.onnx.lowerings.interpolation import (
    Axis,
    Floats,
    Integers,
    coordinates,
    matrix,
    nearest,
    taps,
)  # fmt: skip
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering

_FEW_TAPS = 4


def _resize(
    node: Node, axes: Sequence[tuple[int, Axis]], mode: str, coordinate: str, nearest_mode: str
) -> Value:
    builder, x = node.builder, node.value()
    outside: list[tuple[int, np.ndarray]] = []
    for place, axis in axes:
        if axis.new == axis.old and axis.scale == 1 and coordinate != "tf_crop_and_resize":
            continue
        if not axis.old:
            raise node.invalid(f"axis {place} of {x.type} has no elements")
        node.limited(axis.new, "elements along an axis")
        where = coordinates(axis, coordinate)
        if where is None:
            raise node.invalid(f"coordinate_transformation_mode is {coordinate!r}")
        if coordinate == "tf_crop_and_resize":
            outside.append((place, (where < 0) | (where > axis.old - 1)))
        x = _along(node, x, place, axis, where, mode, nearest_mode)
    if not any(mask.any() for _, mask in outside):
        return x
    masks = [
        broadcast_in_dim(builder, builder.constant(mask), x.shape, (place,))
        for place, mask in outside
    ]
    filler = scalar(builder, node.number("extrapolation_value"), x.dtype)
    either = functools.reduce(lambda a, b: binary(builder, "or", a, b), masks)
    return select(builder, either, filler, x)


def _along(
    node: Node, x: Value, place: int, axis: Axis, where: Floats, mode: str, nearest_mode: str
) -> Value:
    builder = node.builder
    if mode == "nearest":
        rows = nearest(where, axis.old, nearest_mode)
        if rows is None:
            raise node.invalid(f"nearest_mode is {nearest_mode!r}")
        return _rows(builder, x, place, rows)
    if mode not in ("linear", "cubic"):
        raise node.invalid(f"mode is {mode!r}")
    cubic = node.number("cubic_coeff_a", -0.75) if mode == "cubic" else None
    places, weights = taps(
        where, axis, cubic, bool(node.integer("antialias", 0)),
        bool(node.integer("exclude_outside", 0)),
    )  # fmt: skip
    if not x.dtype.is_float:
        raise node.unsupported(f"{mode} interpolation of {x.dtype}")
    if places.shape[1] > _FEW_TAPS:
        return _product(builder, x, place, matrix(places, weights, axis.old))
    parts = []
    for tap in range(places.shape[1]):
        weight = builder.constant(weights[:, tap].astype(x.dtype.numpy))
        rows_ = take(builder, x, builder.constant(places[:, tap]), place)
        spread = broadcast_in_dim(builder, weight, rows_.shape, (place,))
        parts.append(builder.one("multiply", (rows_, spread)))
    return functools.reduce(lambda a, b: builder.one("add", (a, b)), parts)


def _rows(builder: Builder, x: Value, place: int, rows: Integers) -> Value:
    """Slices of x; each the same number of times is a broadcast, which costs no gather."""
    old = x.shape[place]
    times = len(rows) // old
    if times * old == len(rows) and (rows == np.repeat(np.arange(old), times)).all():
        split = (*x.shape[: place + 1], times, *x.shape[place + 1 :])
        kept = [k for k in range(len(split)) if k != place + 1]
        each = broadcast_in_dim(builder, x, split, kept)
        return reshape(builder, each, (*x.shape[:place], old * times, *x.shape[place + 1 :]))
    return take(builder, x, builder.constant(rows), place)


def _product(builder: Builder, x: Value, place: int, weights: Floats) -> Value:
    factors = builder.constant(weights.astype(x.dtype.numpy))
    found = dot_general(builder, x, factors, (), (), (place,), (1,))
    order = [*range(place), x.type.rank - 1, *range(place, x.type.rank - 1)]
    return transpose(builder, found, order)


def _scaled_axes(node: Node, scales: Sequence[float]) -> list[tuple[int, Axis]]:
    shape = node.value().shape
    if len(scales) != len(shape) or any(s <= 0 for s in scales):
        raise node.invalid(f"scales {list(scales)} do not fit {node.value().type}")
    return [
        (k, Axis(size, math.floor(size * scale), scale))
        for k, (size, scale) in enumerate(zip(shape, scales, strict=True))
    ]


def _known_numbers(node: Node, index: int) -> list[float]:
    return [float(v) for v in node.known(index).reshape(-1)]


def _simple(node: Node, scales: Sequence[float]) -> Value:
    """Upsample, and Resize of opset 10: corners aligned at 0, nearest rounds down."""
    mode = node.string("mode", "nearest")
    mode = "linear" if mode == "bilinear" else mode
    return _resize(node, _scaled_axes(node, scales), mode, "asymmetric", "floor")


def _upsample_first(node: Node) -> Value:
    return _simple(node, (1, 1, node.number("height_scale"), node.number("width_scale")))


def _upsample_attribute(node: Node) -> Value:
    return _simple(node, node.numbers("scales"))


def _by_scales(node: Node) -> Value:
    return _simple(node, _known_numbers(node, 1))


def _full(node: Node) -> Value:
    coordinate = node.string("coordinate_transformation_mode")
    axes = _axes(node, coordinate)
    return _resize(node, axes, node.string("mode"), coordinate, node.string("nearest_mode"))


def _axes(node: Node, coordinate: str) -> list[tuple[int, Axis]]:
    shape = node.value().shape
    rank = len(shape)
    given = node.integers("axes", range(rank))
    places = [axis_of(axis, rank) for axis in given]
    if node.has(3) and node.operand(3).shape != (0,):
        sizes, scales = _by_sizes(node, [shape[k] for k in places])
    else:
        scales = _known_numbers(node, 2)
        sizes = [math.floor(shape[k] * s) for k, s in zip(places, scales, strict=False)]
    if len(scales) != len(places) or any(s <= 0 for s in scales):
        raise node.invalid(f"{len(scales)} scales for {len(places)} axes, all above 0")
    region = [0.0] * len(places) + [1.0] * len(places)
    if coordinate == "tf_crop_and_resize":
        region = _known_numbers(node, 1)
    if len(region) != 2 * len(places):
        raise node.invalid(f"roi has {len(region)} numbers for {len(places)} axes")
    ends = region[len(places) :]
    return [
        (k, Axis(shape[k], size, scale, start, end))
        for k, size, scale, start, end in zip(places, sizes, scales, region, ends, strict=False)
    ]


def _by_sizes(node: Node, old: Sequence[int]) -> tuple[list[int], list[float]]:
    """New sizes, or with keep_aspect_ratio_policy the ones that one common scale gives."""
    sizes = list(node.known_ints(3))
    if len(sizes) != len(old) or min((*sizes, *old), default=1) < 1:
        raise node.invalid(f"sizes {sizes} do not fit {list(old)}")
    scales = [new / size for new, size in zip(sizes, old, strict=True)]
    policy = node.string("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return sizes, scales
    if policy not in ("not_larger", "not_smaller"):
        raise node.invalid(f"keep_aspect_ratio_policy is {policy!r}")
    scale = min(scales) if policy == "not_larger" else max(scales)
    return [math.floor(scale * size + 0.5) for size in old], [scale] * len(old)


LOWERINGS = (
    Lowering("Upsample", _upsample_first),
    Lowering("Upsample", _upsample_attribute, 7),
    Lowering("Upsample", _by_scales, 9),
    Lowering("Resize", _by_scales, 10),
    Lowering("Resize", _full, 11),
)
