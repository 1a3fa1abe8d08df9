"""Reading images between their pixels: rows of channels, gathered at four corners and weighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    compare,
    convert,
    full,
    full_like,
    scalar,
    select,
    take,
)


@dataclass(frozen=True, slots=True)
class Tap:
    """The index of one element along an axis, and the weight with which it counts."""

    index: Value
    weight: Value


def number(builder: Builder, op: str, x: Value, value: float) -> Value:
    """Elementwise `op` of `x` and a number."""
    return binary(builder, op, x, scalar(builder, value, x.dtype))


def taps_with_zeros_around(builder: Builder, where: Value, size: int) -> list[Tap]:
    """The two elements around each coordinate; what is outside counts nothing."""
    base = builder.one("floor", (where,))
    offset = builder.one("subtract", (where, base))
    found = []
    for k in (0, 1):
        place = number(builder, "add", base, k)
        weight = offset if k else number(builder, "add", number(builder, "multiply", offset, -1), 1)
        above = compare(builder, "GE", place, full_like(builder, place, 0))
        below = compare(builder, "LE", place, full_like(builder, place, size - 1))
        inside = builder.one("and", (above, below))
        found.append(Tap(_index(builder, place, size), _where(builder, inside, weight)))
    return found


def taps_at_the_border(builder: Builder, where: Value, size: int) -> list[Tap]:
    """The two elements around each coordinate, which is moved inside first; one that was farther
    than 1 outside counts nothing."""
    above = compare(builder, "GE", where, full_like(builder, where, -1))
    below = compare(builder, "LE", where, full_like(builder, where, size))
    near = builder.one("and", (above, below))
    inside = number(builder, "minimum", number(builder, "maximum", where, 0), size - 1)
    base = builder.one("floor", (inside,))
    offset = builder.one("subtract", (inside, base))
    rest = number(builder, "add", number(builder, "multiply", offset, -1), 1)
    after = number(builder, "add", base, 1)
    return [
        Tap(_index(builder, base, size), _where(builder, near, rest)),
        Tap(_index(builder, after, size), _where(builder, near, offset)),
    ]


def _where(builder: Builder, condition: Value, weight: Value) -> Value:
    return select(builder, condition, weight, full_like(builder, weight, 0))


def _index(builder: Builder, place: Value, size: int) -> Value:
    low = number(builder, "maximum", place, 0)
    return convert(builder, number(builder, "minimum", low, size - 1), I64)


def corners(
    builder: Builder, rows: Value, first: Value, taps: Sequence[Sequence[Tap]], width: int
) -> list[Value]:
    """The weighted rows [*places, channels] of the four pairs of taps.

    `rows` are the pixels of images one after the other, `first` the place of each image's first
    pixel; `first`, indices and weights have the shape of the places.
    """
    found = []
    for y in taps[0]:
        for x in taps[1]:
            row = number(builder, "multiply", y.index, width)
            row = builder.one("add", (builder.one("add", (row, x.index)), first))
            values = take(builder, rows, row)
            weight = convert(builder, builder.one("multiply", (y.weight, x.weight)), rows.dtype)
            spread = broadcast_in_dim(builder, weight, values.shape, range(weight.type.rank))
            counts = compare(builder, "NE", spread, full_like(builder, spread, 0))
            product = builder.one("multiply", (values, spread))
            # An element that does not count must not pass on its NaN or infinity.
            zero = full(builder, values.shape, 0, values.dtype)
            found.append(select(builder, counts, product, zero))
    return found


def spread_tap(builder: Builder, tap: Tap, shape: Sequence[int], dims: Sequence[int]) -> Tap:
    """The tap with dim k as dim `dims[k]` of `shape`."""
    index = broadcast_in_dim(builder, tap.index, shape, dims)
    return Tap(index, broadcast_in_dim(builder, tap.weight, shape, dims))
