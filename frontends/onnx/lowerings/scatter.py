"""Writing elements at indices; negative indices count from the end."""

from __future__ import annotations

import math

import numpy as np

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.shorthand import (
    axis_of,
    binary,
    convert,
    expand_dims,
    full,
    iota,
    reshape,
    scalar,
)  # fmt: skip
from tensorkiln.frontends.onnx.lowerings.gather import positions_along, tuple_positions, wrapped
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering

_REDUCERS = {"none": "set", "add": "add", "mul": "multiply", "max": "maximum", "min": "minimum"}


def scatter_rows(node: Node, x: Value, rows: Value, updates: Value, reducer: str) -> Value:
    """`x` with `updates` combined into its rows (along the first dim) numbered by `rows`."""
    lead = rows.type.rank
    return node.builder.one(
        "scatter",
        (x, rows, updates),
        update_window_dims=tuple(range(lead, updates.type.rank)),
        inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0,),
        index_vector_dim=lead,
        reducer=reducer,
    )


def _reducer(node: Node) -> str:
    reduction = node.string("reduction", "none")
    if reduction not in _REDUCERS:
        raise node.invalid(f"reduction is {reduction!r}, not one of {', '.join(_REDUCERS)}")
    return _REDUCERS[reduction]


def _scatter_elements(node: Node) -> Value:
    builder, x, updates = node.builder, node.value(0), node.value(2)
    axis = axis_of(node.integer("axis"), x.type.rank)
    indices = wrapped(builder, node.operand(1), x.shape[axis], node)
    if indices.shape != updates.shape or indices.type.rank != x.type.rank:
        raise node.invalid(f"indices {indices.type} and updates {updates.type} for {x.type}")
    positions = positions_along(builder, indices, x.shape, axis)
    count = updates.type.elements
    found = scatter_rows(
        node, reshape(builder, x, (x.type.elements,)), reshape(builder, positions, (count,)),
        reshape(builder, updates, (count,)), _reducer(node),
    )  # fmt: skip
    return reshape(builder, found, x.shape)


def _scatter_nd(node: Node) -> Value:
    """Rows of data seen as [indexed dims, rest]."""
    builder, x, indices, updates = node.builder, node.value(0), node.value(1), node.value(2)
    depth = indices.shape[-1]
    if depth > x.type.rank or updates.shape != (*indices.shape[:-1], *x.shape[depth:]):
        raise node.invalid(f"indices {indices.type} and updates {updates.type} for {x.type}")
    positions = tuple_positions(builder, indices, x.shape[:depth])
    rows = reshape(builder, x, (math.prod(x.shape[:depth]), *x.shape[depth:]))
    return reshape(builder, scatter_rows(node, rows, positions, updates, _reducer(node)), x.shape)


def _tensor_scatter(node: Node) -> Value:
    """Rows of a cache written from a place on that each sample has of its own."""
    builder, cache, update = node.builder, node.value(0), node.value(1)
    rank, axis = cache.type.rank, axis_of(node.integer("axis"), cache.type.rank)
    if axis == 0 or update.type.rank != rank:
        raise node.invalid(f"axis {axis} of cache {cache.type} and update {update.type}")
    batch, count, length = cache.shape[0], update.shape[axis], cache.shape[axis]
    zeros = full(builder, (batch,), 0, I64)
    first = convert(builder, node.value(2), I64) if node.has(2) else zeros
    mode = node.string("mode", "linear")
    if mode not in ("linear", "circular"):
        raise node.invalid(f"mode is {mode!r}, not linear or circular")
    # Whole windows in a row, or each place of its own where they go round.
    circular = mode == "circular"
    if circular:
        steps = iota(builder, (batch, count), 1, I64)
        places = binary(builder, "add", expand_dims(builder, first, (1,)), steps)
        first = binary(builder, "remainder", places, scalar(builder, length, I64))
    return builder.one(
        "scatter",
        (cache, first, update),
        update_window_dims=tuple(k for k in range(1, rank) if not (circular and k == axis)),
        inserted_window_dims=(axis,) if circular else (),
        scatter_dims_to_operand_dims=(axis,),
        input_batching_dims=(0,),
        scatter_indices_batching_dims=(0,),
        index_vector_dim=2 if circular else 1,
        reducer="set",
    )


def _max_unpool(node: Node) -> Value:
    """Zeros of the shape before pooling, with each value at its index in that shape."""
    builder, x, indices = node.builder, node.value(0), node.value(1)
    before = _unpooled(node, x.shape)
    shape = node.known_ints(2) if node.has(2) else before
    count = x.type.elements
    places = convert(builder, reshape(builder, indices, (count,)), I64)
    zeros = builder.constant(np.zeros((), x.dtype.numpy))
    flat = builder.one("broadcast_in_dim", (zeros,), shape=(math.prod(before),), dimensions=())
    found = reshape(
        builder, scatter_rows(node, flat, places, reshape(builder, x, (count,)), "set"), before
    )
    grow = [new - old for new, old in zip(shape, before, strict=True)]
    if not any(grow):
        return found
    # The indices are those of the smallest shape that pools to x; a larger one grows at the end.
    zero = (0,) * x.type.rank
    return builder.one("pad", (found, zeros), low=zero, high=tuple(grow), interior=zero)


def _unpooled(node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
    kernel = node.integers("kernel_shape")
    strides = node.integers("strides", (1,) * len(kernel))
    pads = node.integers("pads", (0,) * (2 * len(kernel)))
    sizes = zip(shape[2:], strides, kernel, pads, pads[len(kernel) :], strict=False)
    spatial = [(n - 1) * s + k - low - high for n, s, k, low, high in sizes]
    return (*shape[:2], *spatial)


LOWERINGS = (
    Lowering("Scatter", _scatter_elements, 9),
    Lowering("ScatterElements", _scatter_elements, 11),
    Lowering("ScatterND", _scatter_nd, 11),
    Lowering("TensorScatter", _tensor_scatter, 24),
    Lowering("MaxUnpool", _max_unpool, 9),
)
