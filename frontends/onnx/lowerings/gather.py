"""Reading elements at indices; negative indices count from the end."""

from __future__ import annotations

import math

import numpy as np

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import (
    axis_of,
    binary,
    broadcast_in_dim,
    broadcast_to,
    compare,
    convert,
    full,
    iota,
    reduce_sum,
    reshape,
    scalar,
    select,
    slice_axis,
    squeeze,
    take,
)  # fmt: skip
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.operand import Operand
from tensorkiln.frontends.onnx.table import Lowering


def wrapped(builder: Builder, indices: Operand, size: int, node: Node) -> Value:
    """Indices in [-size, size) as indices in [0, size)."""
    if indices.known is not None:
        known = indices.known.astype(np.int64)
        if known.size and (known.min() < -size or known.max() >= size):
            raise node.invalid(f"an index is not in [-{size}, {size})")
        return builder.constant(np.where(known < 0, known + size, known))
    return wrapped_value(builder, indices.value(builder), size)


def wrapped_value(builder: Builder, indices: Value, size: int) -> Value:
    """Run-time indices in [-size, size) as indices in [0, size)."""
    if not indices.dtype.is_signed:
        return indices
    negative = compare(builder, "LT", indices, scalar(builder, 0, indices.dtype))
    moved = binary(builder, "add", indices, scalar(builder, size, indices.dtype))
    return select(builder, negative, moved, indices)


def _gather(node: Node) -> Value:
    builder, x, indices = node.builder, node.value(), node.operand(1)
    axis = axis_of(node.integer("axis"), x.type.rank)
    places = wrapped(builder, indices, x.shape[axis], node)
    if indices.known is not None and indices.known.size == 1:
        place = int(indices.known.reshape(())) % max(x.shape[axis], 1)
        row = slice_axis(builder, x, axis, place, place + 1)
        shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
        return reshape(builder, row, shape)
    return take(builder, x, places, axis)


def positions_along(builder: Builder, indices: Value, shape: tuple[int, ...], axis: int) -> Value:
    """Row-major positions in a tensor of `shape` of the elements whose index is their own one in
    `indices`, except that along `axis` it is the element of `indices`."""
    total = full(builder, indices.shape, 0, I64)
    for k in range(len(shape)):
        step = math.prod(shape[k + 1 :])
        index = (
            convert(builder, indices, I64) if k == axis else iota(builder, indices.shape, k, I64)
        )
        total = binary(
            builder, "add", total, binary(builder, "multiply", index, scalar(builder, step, I64))
        )
    return total


def _gather_elements(node: Node) -> Value:
    builder, x = node.builder, node.value()
    axis = axis_of(node.integer("axis"), x.type.rank)
    indices = wrapped(builder, node.operand(1), x.shape[axis], node)
    if indices.type.rank != x.type.rank:
        raise node.invalid(f"indices have rank {indices.type.rank}, data {x.type.rank}")
    flat = reshape(builder, x, (x.type.elements,))
    return take(builder, flat, positions_along(builder, indices, x.shape, axis), 0)


def tuple_positions(builder: Builder, indices: Value, shape: tuple[int, ...]) -> Value:
    """Row-major positions in a tensor of `shape` of index tuples along the last dim."""
    many = indices.type.rank - 1
    wide = convert(builder, indices, I64)
    sizes = builder.constant(np.array(shape, np.int64))
    negative = compare(builder, "LT", wide, scalar(builder, 0, I64))
    moved = binary(builder, "add", wide, broadcast_in_dim(builder, sizes, wide.shape, (many,)))
    steps = [math.prod(shape[k + 1 :]) for k in range(len(shape))]
    weights = builder.constant(np.array(steps, np.int64))
    each = binary(builder, "multiply", select(builder, negative, moved, wide), weights)
    return reduce_sum(builder, each, (many,))


def _gather_nd(node: Node) -> Value:
    """Rows of data seen as [batch x indexed dims, rest]."""
    builder, x, indices = node.builder, node.value(), node.value(1)
    batch, depth = node.integer("batch_dims", 0), indices.shape[-1]
    if batch + depth > x.type.rank or batch >= indices.type.rank:
        raise node.invalid(f"index tuples of {depth} after {batch} batch dims do not fit {x.type}")
    indexed, rest = x.shape[batch : batch + depth], x.shape[batch + depth :]
    positions = tuple_positions(builder, indices, indexed)
    lead = x.shape[:batch]
    inner = math.prod(indexed)
    for k in range(batch):
        step = math.prod(lead[k + 1 :]) * inner
        index = iota(builder, positions.shape, k, I64)
        offset = binary(builder, "multiply", index, scalar(builder, step, I64))
        positions = binary(builder, "add", positions, offset)
    rows = reshape(builder, x, (math.prod(lead) * inner, *rest))
    return take(builder, rows, positions, 0)


def _one_hot(node: Node) -> Value:
    builder, indices = node.builder, node.operand(0)
    depth = int(node.known(1).reshape(()))
    values = node.value(2)
    rank = len(indices.shape) + 1
    axis = axis_of(node.integer("axis"), rank)
    whole = convert(builder, node.value(0), I64)
    places = wrapped_value(builder, whole, depth)
    shape = (*indices.shape[:axis], depth, *indices.shape[axis:])
    spread = broadcast_in_dim(builder, places, shape, [k for k in range(rank) if k != axis])
    hit = compare(builder, "EQ", spread, iota(builder, shape, axis, I64))
    off, on = (squeeze(builder, slice_axis(builder, values, 0, k, k + 1)) for k in (0, 1))
    return select(builder, hit, on, off)


def _reverse_sequence(node: Node) -> Value:
    """Element t of a sequence of n is its element n - 1 - t, and t stays where t >= n."""
    builder, x = node.builder, node.value()
    batch, time = node.integer("batch_axis"), node.integer("time_axis")
    lengths = convert(builder, node.value(1), I64)
    spread = broadcast_in_dim(builder, lengths, x.shape, (batch,))
    step = iota(builder, x.shape, time, I64)
    one = broadcast_to(builder, scalar(builder, 1, I64), x.shape)
    last = builder.one("subtract", (spread, one))
    back = builder.one("subtract", (last, step))
    place = select(builder, compare(builder, "LT", step, spread), back, step)
    flat = reshape(builder, x, (x.type.elements,))
    return take(builder, flat, positions_along(builder, place, x.shape, time), 0)


LOWERINGS = (
    Lowering("Gather", _gather),
    Lowering("GatherElements", _gather_elements, 11),
    Lowering("GatherND", _gather_nd, 11),
    Lowering("OneHot", _one_hot, 9),
    Lowering("ReverseSequence", _reverse_sequence, 10),
)
