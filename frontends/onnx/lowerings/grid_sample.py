"""GridSample: elements of an image at coordinates that another tensor holds.

Rows of the image seen as [batch * cells, channels] are gathered once a tap and summed by weight.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import (
    binary,
    compare,
    convert,
    expand_dims,
    iota,
    reshape,
    scalar,
    select,
    slice_axis,
    squeeze,
    take,
    transpose,
)  # fmt: skip
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering

_CUBIC = -0.75
_MODES = {"bilinear": "linear", "bicubic": "cubic"}


class _Arithmetic:
    """Elementwise arithmetic with numbers on tensors of one dtype."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder

    def number(self, value: float, like: Value) -> Value:
        return scalar(self.builder, value if like.dtype.is_float else int(value), like.dtype)

    def __call__(self, op: str, a: Value, b: Value | float) -> Value:
        other = b if isinstance(b, Value) else self.number(b, a)
        return binary(self.builder, op, a, other)

    def clamped(self, x: Value, low: float, high: float) -> Value:
        return self("minimum", self("maximum", x, low), high)

    def reflected(self, x: Value, low: float, high: float) -> Value:
        """Mirrored at both ends as often as it takes: a triangle wave of period 2 (high - low)."""
        span = high - low
        if span <= 0:
            return self("multiply", x, 0.0)
        away = self.builder.one("abs", (self("subtract", x, low),))
        rest = self("remainder", away, 2 * span)
        folded = self("subtract", self("multiply", rest, -1.0), -2 * span)
        return self("add", self("minimum", rest, folded), low)


def _grid_sample(node: Node) -> Value:
    builder, x, grid = node.builder, node.value(0), node.value(1)
    sizes = x.shape[2:]
    if grid.type.rank != x.type.rank or grid.shape[-1] != len(sizes) or grid.shape[0] != x.shape[0]:
        raise node.invalid(f"the grid {grid.type} does not fit {x.type}")
    if not math.prod(sizes):
        raise node.invalid(f"{x.type} has no elements to sample")
    mode = node.string("mode")
    mode, padding = _MODES.get(mode, mode), node.string("padding_mode")
    aligned = bool(node.integer("align_corners"))
    if mode not in ("linear", "nearest", "cubic"):
        raise node.invalid(f"mode is {mode!r}")
    if padding not in ("zeros", "border", "reflection"):
        raise node.invalid(f"padding_mode is {padding!r}")
    taps = []
    for axis, size in enumerate(sizes):
        last = grid.type.rank - 1
        place = len(sizes) - 1 - axis  # the grid holds x before y
        part = squeeze(builder, slice_axis(builder, grid, last, place, place + 1), (last,))
        taps.append(_taps(builder, part, size, mode, padding, aligned))
    return _sampled(builder, x, taps)


_Tap = tuple[Value, "Value | None"]


def _taps(
    builder: Builder, part: Value, size: int, mode: str, padding: str, aligned: bool
) -> list[_Tap]:
    """Index and weight (None: 1) of each element along one axis that a coordinate reads."""
    arithmetic = _Arithmetic(builder)
    low, high = (0.0, size - 1.0) if aligned else (-0.5, size - 0.5)
    scale = (size - 1) / 2 if aligned else size / 2
    where = arithmetic("add", arithmetic("multiply", arithmetic("add", part, 1.0), scale), low)
    if mode == "nearest":
        where = builder.one("round_nearest_even", (where,))
    if padding == "border":
        where = arithmetic.clamped(where, 0, size - 1)
    elif padding == "reflection":
        inside = arithmetic.reflected(where, low, high)
        where = inside if mode != "nearest" else builder.one("round_nearest_even", (inside,))
    if mode == "nearest":
        return [_tap(arithmetic, where, None, size, padding, low, high)]
    base = builder.one("floor", (where,))
    offset = arithmetic("subtract", where, base)
    reach = (0, 1) if mode == "linear" else (-1, 0, 1, 2)
    found = []
    for k in reach:
        distance = builder.one("abs", (arithmetic("subtract", offset, float(k)),))
        weight = _weight(arithmetic, distance, mode, near=k in (0, 1))
        found.append(
            _tap(arithmetic, arithmetic("add", base, float(k)), weight, size, padding, low, high)
        )
    return found


def _weight(arithmetic: _Arithmetic, d: Value, mode: str, near: bool) -> Value:
    """The linear kernel, or Keys' cubic one with its coefficient a = -0.75."""
    if mode == "linear":
        return arithmetic("add", arithmetic("multiply", d, -1.0), 1.0)
    a = _CUBIC
    factors = (a + 2, -(a + 3), 0.0, 1.0) if near else (a, -5 * a, 8 * a, -4 * a)
    total = arithmetic("multiply", d, factors[0])
    for factor in factors[1:-1]:
        total = arithmetic("multiply", arithmetic("add", total, factor), d)
    return arithmetic("add", total, factors[-1])


def _tap(
    arithmetic: _Arithmetic,
    place: Value,
    weight: Value | None,
    size: int,
    padding: str,
    low: float,
    high: float,
) -> _Tap:
    """A place as an index inside of the axis; weight 0 where it is outside and zeros are read."""
    builder = arithmetic.builder
    if padding == "zeros":
        above = compare(builder, "GE", place, arithmetic.number(0, place))
        below = compare(builder, "LE", place, arithmetic.number(size - 1, place))
        inside = convert(builder, builder.one("and", (above, below)), place.dtype)
        weight = inside if weight is None else arithmetic("multiply", weight, inside)
    elif padding == "reflection":
        place = arithmetic.reflected(place, low, high)
    index = convert(builder, arithmetic.clamped(place, 0, size - 1), I64)
    return index, weight


def _sampled(builder: Builder, x: Value, taps: Sequence[Sequence[_Tap]]) -> Value:
    sizes, rank = x.shape[2:], x.type.rank
    batch, channels = x.shape[:2]
    order = (0, *range(2, rank), 1)
    rows = reshape(builder, transpose(builder, x, order), (batch * math.prod(sizes), channels))
    parts = []
    for chosen in itertools.product(*taps):
        row = iota(builder, chosen[0][0].shape, 0, I64)
        for (index, _), size in zip(chosen, sizes, strict=True):
            scaled = binary(builder, "multiply", row, scalar(builder, size, I64))
            row = builder.one("add", (scaled, index))
        found = take(builder, rows, row, 0)
        weights = [weight for _, weight in chosen if weight is not None]
        if weights:
            weight = functools.reduce(lambda a, b: builder.one("multiply", (a, b)), weights)
            spread = expand_dims(builder, convert(builder, weight, x.dtype), (rank - 1,))
            counts = compare(builder, "NE", spread, scalar(builder, 0, x.dtype))
            product = binary(builder, "multiply", found, spread)
            # An element that does not count must not pass on its NaN or infinity.
            found = select(builder, counts, product, scalar(builder, 0, x.dtype))
        parts.append(found)
    total = functools.reduce(lambda a, b: builder.one("add", (a, b)), parts)
    return transpose(builder, total, (0, rank - 1, *range(1, rank - 1)))


LOWERINGS = (Lowering("GridSample", _grid_sample, 16),)
