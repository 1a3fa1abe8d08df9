"""Non-maximum suppression of boxes, with a bound on how many are kept.

Greedy, as ONNX defines NonMaxSuppression and TensorFlow non_max_suppression: the box of the highest
score is kept and those that overlap it by too much are dropped, again and again.  Every batch and
class takes a step in each trip of one loop, so that its work is (boxes kept) x (scores).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tensorkiln.compiler.ir.dtypes import BOOL, I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.bounded import PADDING, true_places
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.shorthand import (
    arg_reduce,
    binary,
    broadcast_in_dim,
    broadcast_to,
    compare,
    concat,
    dynamic_update_slice,
    expand_dims,
    full,
    full_like,
    iota,
    reduce,
    reshape,
    scalar,
    select,
    slice_axis,
    stack,
    take,
    zeros_like,
)
from tensorkiln.compiler.ops.shorthand_control import while_loop

_LOWEST = float(np.finfo(np.float32).min)


@dataclass(frozen=True, slots=True)
class Suppression:
    """When boxes are dropped: scalars i64 `most`, f32 `overlap` and `score` (None: any score).

    `bound` is at least as large as `most` can be; of more boxes than that nobody hears.
    """

    most: Value
    overlap: Value
    score: Value | None
    bound: int


def non_max_suppression(
    builder: Builder, boxes: Value, scores: Value, rule: Suppression
) -> tuple[Value, Value]:
    """What is kept of boxes f32[batch, n, 4] with scores f32[batch, classes, n].

    A box is two opposite corners (y, x, y, x), in any order.  Kept are boxes whose score is above
    `rule.score`, at most `rule.most` a class; one is dropped where its intersection over union with
    a kept one of its class is above `rule.overlap`.  Gives rows (batch, class, box) as i64[batch *
    classes * bound, 3], by batch, class and falling score (of equal ones the first box first),
    padded with -1; and their number.
    """
    batches, classes, count = scores.shape
    rows = batches * classes * rule.bound
    if not rows or not count:
        return full(builder, (rows, 3), PADDING, I64), scalar(builder, 0, I64)
    picked = _picks(builder, boxes, scores, rule)
    flat = reshape(builder, picked, (rows,))
    places, number = true_places(
        builder, compare(builder, "GE", flat, zeros_like(builder, flat)), rows
    )
    is_padding = compare(builder, "LT", places, zeros_like(builder, places))
    group = binary(builder, "divide", places, scalar(builder, rule.bound, I64))
    columns = [
        binary(builder, "divide", group, scalar(builder, classes, I64)),
        binary(builder, "remainder", group, scalar(builder, classes, I64)),
        take(builder, flat, places),
    ]
    padding = full_like(builder, places, PADDING)
    kept = [select(builder, is_padding, padding, column) for column in columns]
    return stack(builder, kept, 1), number


def _picks(builder: Builder, boxes: Value, scores: Value, rule: Suppression) -> Value:
    """The kept boxes of each batch and class, i64[batch, classes, bound], padded with -1."""
    batches, classes, count = scores.shape
    live = full(builder, scores.shape, True, BOOL)
    if rule.score is not None:
        live = compare(builder, "GT", scores, broadcast_to(builder, rule.score, scores.shape))
    # A NaN counts as the lowest score, and every live score is above what stands for no box.
    lowest = full_like(builder, scores, _LOWEST)
    is_number = compare(builder, "EQ", scores, scores)
    ranked = select(builder, is_number, binary(builder, "maximum", scores, lowest), lowest)
    corners = _corners(builder, boxes)
    picked = full(builder, (batches, classes, rule.bound), PADDING, I64)
    state = (scalar(builder, 0, I64), _any(builder, live), live, picked)

    def goes_on(inner: Builder, values: Sequence[Value]) -> Value:
        step, some, most = values[0], values[1], values[-1]
        return inner.one("and", (compare(inner, "LT", step, most), some))

    def trip(inner: Builder, values: Sequence[Value]) -> Sequence[Value]:
        step, _, live, picked, ranked, corners, overlap, most = values
        nothing = full_like(inner, ranked, -np.inf)
        best, index = arg_reduce(inner, select(inner, live, ranked, nothing), "max", 2)
        found = compare(inner, "GT", best, full_like(inner, best, -np.inf))
        column = select(inner, found, index, full_like(inner, index, PADDING))
        zero = scalar(inner, 0, I64)
        column = expand_dims(inner, column, (2,))
        picked = dynamic_update_slice(inner, picked, column, (zero, zero, step))
        chosen = compare(
            inner, "EQ", iota(inner, ranked.shape, 2, I64), broadcast_to(inner, column, live.shape)
        )
        gone = inner.one("or", (chosen, _overlaps(inner, corners, index, overlap)))
        live = inner.one("and", (live, inner.one("not", (gone,))))
        step = inner.one("add", (step, scalar(inner, 1, I64)))
        return [step, _any(inner, live), live, picked, ranked, corners, overlap, most]

    limit = scalar(builder, min(rule.bound, count), I64)
    most = binary(builder, "minimum", rule.most, limit)
    constants = (ranked, corners, rule.overlap, most)
    return while_loop(builder, goes_on, trip, (*state, *constants), min(rule.bound, count))[3]


def _any(builder: Builder, mask: Value) -> Value:
    return reduce(builder, mask, "or")


def _corners(builder: Builder, boxes: Value) -> Value:
    """Rows low y, low x, high y, high x, area of the boxes: f32[5, batch, n]."""
    ends = [slice_axis(builder, boxes, 2, k, k + 1) for k in range(4)]
    y, x, other_y, other_x = (reshape(builder, v, boxes.shape[:2]) for v in ends)
    pairs = ((y, other_y), (x, other_x))
    low = [binary(builder, "minimum", *pair) for pair in pairs]
    high = [binary(builder, "maximum", *pair) for pair in pairs]
    sides = [binary(builder, "subtract", b, a) for a, b in zip(low, high, strict=True)]
    return stack(builder, [*low, *high, binary(builder, "multiply", *sides)])


def _overlaps(builder: Builder, corners: Value, index: Value, limit: Value) -> Value:
    """Which boxes overlap box `index` i64[batch, classes] by more than `limit`, as bool[batch,
    classes, n].  A box without area overlaps nothing."""
    _, batches, count = corners.shape
    shape = (*index.shape, count)
    first = binary(
        builder, "multiply", iota(builder, index.shape, 0, I64), scalar(builder, count, I64)
    )
    flat = reshape(builder, corners, (5, batches * count))
    own = take(builder, flat, binary(builder, "add", first, index), 1)

    def row(values: Value, k: int, dims: Sequence[int]) -> Value:
        part = slice_axis(builder, values, 0, k, k + 1)
        return broadcast_in_dim(builder, reshape(builder, part, part.shape[1:]), shape, dims)

    mine = [row(own, k, (0, 1)) for k in range(5)]
    others = [row(corners, k, (0, 2)) for k in range(5)]
    zero = full(builder, shape, 0, corners.dtype)
    sides = []
    for axis in range(2):
        low = builder.one("maximum", (mine[axis], others[axis]))
        high = builder.one("minimum", (mine[axis + 2], others[axis + 2]))
        sides.append(builder.one("maximum", (builder.one("subtract", (high, low)), zero)))
    common = builder.one("multiply", tuple(sides))
    areas = builder.one("add", (mine[4], others[4]))
    share = builder.one("divide", (common, builder.one("subtract", (areas, common))))
    above = compare(builder, "GT", share, broadcast_to(builder, limit, shape))
    return builder.one("and", (above, compare(builder, "GT", common, zero)))


def centered(builder: Builder, boxes: Value) -> Value:
    """Boxes (x center, y center, width, height) as corners (y, x, y, x); no side is below zero."""
    x, y, *sides = (slice_axis(builder, boxes, 2, k, k + 1) for k in range(4))
    half, zero = (scalar(builder, number, boxes.dtype) for number in (0.5, 0))
    width, height = (
        binary(builder, "multiply", binary(builder, "maximum", v, zero), half) for v in sides
    )
    ends = [
        binary(builder, op, middle, size)
        for op in ("subtract", "add")
        for middle, size in ((y, height), (x, width))
    ]
    return concat(builder, ends, 2)
