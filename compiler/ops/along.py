"""Picking and placing along one axis, where every line along the axis has indices of its own.

gather and scatter index by positions that are common to slices, so both see a flat operand here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.shorthand import (
    axis_of,
    binary,
    convert,
    full,
    index_dtype,
    iota,
    reshape,
    scalar,
    slice_,
    take,
)


def take_along(builder: Builder, x: Value, indices: Value, axis: int) -> Value:
    """numpy's take_along_axis; the indices, of the rank of `x`, lie in range.

    Along the other axes the indices have the sizes of `x`.
    """
    size = math.prod(x.shape)
    if not size or not math.prod(indices.shape):
        return slice_(builder, x, (0,) * x.type.rank, indices.shape)
    flat = _flat_places(builder, indices, x.shape, axis_of(axis, x.type.rank))
    return take(builder, reshape(builder, x, (size,)), flat)


def put_along(
    builder: Builder, shape: Sequence[int], indices: Value, updates: Value, axis: int
) -> Value:
    """Zeros of `shape` with `updates` at places along `axis` that no two of them share."""
    flat = _flat_places(builder, indices, shape, axis_of(axis, len(shape)))
    many = math.prod(updates.shape)
    placed = builder.one(
        "scatter",
        (
            full(builder, (math.prod(shape),), 0, updates.dtype),
            reshape(builder, flat, (many,)),
            reshape(builder, updates, (many,)),
        ),
        update_window_dims=(),
        inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0,),
        index_vector_dim=1,
        reducer="set",
    )
    return reshape(builder, placed, tuple(shape))


def _flat_places(builder: Builder, indices: Value, shape: Sequence[int], axis: int) -> Value:
    """The row-major number, in `shape`, of each place along `axis`."""
    dtype = index_dtype(math.prod(shape))
    total = convert(builder, indices, dtype)
    step = math.prod(shape[axis + 1 :])
    if step != 1:
        total = binary(builder, "multiply", total, scalar(builder, step, dtype))
    for other, size in enumerate(shape):
        if other == axis or size == 1:
            continue
        places = iota(builder, indices.shape, other, dtype)
        stride = scalar(builder, math.prod(shape[other + 1 :]), dtype)
        total = builder.one("add", (total, binary(builder, "multiply", places, stride)))
    return total
