"""What depends on values in its size, with a bound: results padded to it, and the number found.

Each function appends primitives and gives tensors with `bound` rows, of which the first are
meant, and their number as an i64 scalar.  The number is that of all there are: if it is above
the bound, the rest was left out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.scan_gradient import cumulative
from tensorkiln.compiler.ops.shorthand import (
    axis_of,
    binary,
    broadcast_in_dim,
    compare,
    concat,
    convert,
    expand_dims,
    full,
    full_like,
    iota,
    reduce_sum,
    reshape,
    scalar,
    select,
    slice_axis,
    take,
    zeros_like,
)
from tensorkiln.compiler.ops.sort import argsort

PADDING = -1  # an index that is none: a scatter skips it, a gather reads the first element


class Unique(NamedTuple):
    """Different elements of a vector in ascending order, and what belongs to each.

    `values` are padded with zeros, `first` (the place of the first occurrence) with -1, `counts`
    with zeros; `inverse` has for each element of the vector the place of its value.
    """

    values: Value
    first: Value
    inverse: Value
    counts: Value
    number: Value


def true_places(builder: Builder, mask: Value, bound: int) -> tuple[Value, Value]:
    """The row-major places i64[bound] of the elements that are true, padded with -1."""
    size = math.prod(mask.shape)
    if not size:
        return full(builder, (bound,), PADDING, I64), scalar(builder, 0, I64)
    flat = reshape(builder, mask, (size,))
    marks = convert(builder, flat, I64)
    rank = cumulative(builder, marks, "add", 0, exclusive=True)
    target = select(builder, flat, rank, full_like(builder, rank, bound))
    places = _put(
        builder, full(builder, (bound,), PADDING, I64), target, iota(builder, (size,), 0, I64)
    )
    return places, reduce_sum(builder, marks, (0,))


def nonzero(builder: Builder, x: Value, bound: int) -> tuple[Value, Value]:
    """The index tuples i64[bound, rank] of the elements that are not zero, padded with -1."""
    zero = scalar(builder, False if x.dtype.kind == "bool" else 0, x.dtype)
    places, number = true_places(builder, compare(builder, "NE", x, zero), bound)
    if not x.type.rank:
        return reshape(builder, places, (bound, 1)), number
    is_padding = compare(builder, "LT", places, zeros_like(builder, places))
    columns = []
    for axis, size in enumerate(x.shape):
        stride = math.prod(x.shape[axis + 1 :])
        index = binary(builder, "divide", places, scalar(builder, max(stride, 1), I64))
        index = binary(builder, "remainder", index, scalar(builder, max(size, 1), I64))
        index = select(builder, is_padding, full_like(builder, index, PADDING), index)
        columns.append(expand_dims(builder, index, (1,)))
    return concat(builder, columns, 1), number


def compress(
    builder: Builder, x: Value, mask: Value, bound: int, axis: int = 0
) -> tuple[Value, Value]:
    """The slices of `x` along `axis` at which the vector `mask` is true, padded with zeros."""
    axis = axis_of(axis, x.type.rank)
    places, number = true_places(builder, mask, bound)
    shape = (*x.shape[:axis], bound, *x.shape[axis + 1 :])
    if 0 in (*x.shape, *shape):
        return full(builder, shape, False if x.dtype.kind == "bool" else 0, x.dtype), number
    found = take(builder, x, places, axis)
    kept = compare(builder, "GE", places, zeros_like(builder, places))
    spread = broadcast_in_dim(builder, kept, shape, (axis,))
    return select(builder, spread, found, zeros_like(builder, found)), number


def unique(builder: Builder, x: Value, bound: int) -> Unique:
    """The different elements of a vector, ascending; every NaN is one of its own."""
    (size,) = x.shape
    values = full(builder, (bound,), False if x.dtype.kind == "bool" else 0, x.dtype)
    first = full(builder, (bound,), PADDING, I64)
    counts = full(builder, (bound,), 0, I64)
    if not size:
        return Unique(values, first, full(builder, (0,), 0, I64), counts, scalar(builder, 0, I64))
    order = convert(builder, argsort(builder, x), I64)
    ordered = take(builder, x, order)
    fresh = full(builder, (1,), True, compare(builder, "EQ", x, x).dtype)
    if size > 1:
        after, before = (slice_axis(builder, ordered, 0, k, size - 1 + k) for k in (1, 0))
        fresh = concat(builder, [fresh, compare(builder, "NE", after, before)], 0)
    group = cumulative(builder, convert(builder, fresh, I64), "add", 0)
    group = builder.one("subtract", (group, full_like(builder, group, 1)))
    target = select(builder, fresh, group, full_like(builder, group, bound))
    ones = full_like(builder, group, 1)
    return Unique(
        _put(builder, values, target, ordered),
        _put(builder, first, target, order),
        _put(builder, zeros_like(builder, order), order, group),
        _put(builder, counts, group, ones, "add"),
        reduce_sum(builder, convert(builder, fresh, I64), (0,)),
    )


def _put(builder: Builder, x: Value, places: Value, values: Value, reducer: str = "set") -> Value:
    """The vector `x` with values at places; those out of range are left out."""
    if not x.type.elements:
        return x
    return builder.one(
        "scatter",
        (x, places, values),
        update_window_dims=(),
        inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0,),
        index_vector_dim=1,
        reducer=reducer,
    )
