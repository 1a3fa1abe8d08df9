"""The op gather: slices of an operand at starts that a tensor of indices holds.

Rule and name are StableHLO's; starts are clamped so that the slices fit.  Batching dims, which
may be left out, pair a dim of the operand with one of the indices: an index vector reads the part
of the operand that has its own index there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.function import Array, Attribute, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Expr, Index
from tensorkiln.compiler.kernel.index import ZERO, add, const
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import (
    are_axes,
    as_index,
    at_most,
    clamped,
    dims,
    expect,
    ints,
    require,
)
from tensorkiln.compiler.ops.gather_dims import (
    IndexMap,
    batch_shape,
    check_map,
    gather_map,
    place_dims,
)
from tensorkiln.compiler.ops.record import Cost, Element, ElementContext, OpRecord, Types
from tensorkiln.compiler.ops.shorthand import binary, broadcast_in_dim, zeros_like

Cotangents = Sequence[Value | None]


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1 to C3, C9: see check_map.  C4: slice_sizes has a size for each dim, at most the dim.
    C5: collapsed dims are different dims of the operand with slice size 1; batching dims are none
    of them and have slice size 1 or 0.  C6: offset_dims are ascending dims of the result, one for
    each dim of a slice that is neither collapsed nor batching."""
    x, indices = expect(types, 2)
    index_map = gather_map(attributes)
    check_map(x, indices, index_map)
    batching = index_map.batching
    sizes, collapsed = dims(attributes, "slice_sizes"), ints(attributes, "collapsed_slice_dims")
    fits = len(sizes) == x.rank
    fits = fits and all(
        at_most(0, n) and at_most(n, d) for n, d in zip(sizes, x.shape, strict=True)
    )
    require(fits, f"C4: slices of sizes ({', '.join(map(str, sizes))}) do not fit in {x}")
    single = are_axes((*collapsed, *batching), x.rank)
    single = single and all(sizes[axis] == 1 for axis in collapsed)
    single = single and all(sizes[axis] in (0, 1) for axis in batching)
    require(single, f"C5: collapsed dims {collapsed} of slices ({', '.join(map(str, sizes))})")
    kept = [dim for axis, dim in enumerate(sizes) if axis not in (*collapsed, *batching)]
    offsets, batch = ints(attributes, "offset_dims"), batch_shape(indices, index_map.vector)
    ascending = are_axes(offsets, len(batch) + len(kept)) and list(offsets) == sorted(offsets)
    require(
        ascending and len(offsets) == len(kept),
        f"C6: offset_dims {offsets} for {len(kept)} slice dims and {len(batch)} batch dims",
    )
    return (x.with_shape(place_dims(batch, kept, offsets)),)


def index_vectors(indices: Array, index_map: IndexMap) -> tuple[NDArray[np.int64], tuple[int, ...]]:
    """The starts in operand dims, vectors along the last dim, and the dims they are for.

    Behind the mapped dims come the batching dims, where each vector starts at its own index.
    """
    vector = index_map.vector
    starts = indices[..., None] if vector == indices.ndim else np.moveaxis(indices, vector, -1)
    starts = starts.astype(np.int64)
    own = np.indices(starts.shape[:-1])
    extra = [own[index_map.batch_position(axis)][..., None] for axis in index_map.batching]
    return np.concatenate([starts, *extra], -1), (*index_map.mapped, *index_map.batching)


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    (x, indices), index_map = arrays, gather_map(op.attributes)
    given = enumerate(op.ints("slice_sizes"))
    sizes = [1 if axis in index_map.batching else size for axis, size in given]
    starts, mapped = index_vectors(indices, index_map)
    batch = starts.ndim - 1
    # Whole dims stay slices; the others are picked, each by an index array of its own dims.
    picked = [axis for axis in range(x.ndim) if axis in mapped or sizes[axis] != x.shape[axis]]
    whole = [axis for axis in range(x.ndim) if axis not in picked]
    shape = (*starts.shape[:-1], *(sizes[axis] for axis in picked))
    places = []
    for number, axis in enumerate(picked):
        along = [1] * len(shape)
        along[batch + number] = sizes[axis]
        place = np.arange(sizes[axis]).reshape(along)
        if axis in mapped:
            first = np.clip(starts[..., mapped.index(axis)], 0, x.shape[axis] - sizes[axis])
            place = place + first.reshape(first.shape + (1,) * len(picked))
        places.append(np.broadcast_to(place, shape))
    if picked:
        found = x.transpose(*picked, *whole)[tuple(places)]
    else:
        found = np.broadcast_to(x, (*shape, *x.shape))
    collapsed = (*op.ints("collapsed_slice_dims"), *index_map.batching)
    order = (*picked, *whole)
    dropped = tuple(batch + k for k, axis in enumerate(order) if axis in collapsed)
    found = found.squeeze(dropped)
    kept = [axis for axis in order if axis not in collapsed]
    window = [batch + kept.index(axis) for axis in sorted(kept)]
    final = place_dims(range(batch), window, op.ints("offset_dims"))
    return [found.transpose(final).copy()]


def read_start(
    context: ElementContext, indices: Value, batch: Index, vector: int, entry: int
) -> Expr:
    """Entry number `entry` of the index vector of a batch index."""
    if vector == indices.type.rank:
        return as_index(context, context.read(indices, batch))
    at = (*batch[:vector], const(entry), *batch[vector:])
    return as_index(context, context.read(indices, at))


def _element(context: ElementContext, op: Op, index: Index) -> Expr:
    x, indices = op.operands
    offsets, collapsed = op.ints("offset_dims"), op.ints("collapsed_slice_dims")
    sizes, index_map = op.ints("slice_sizes"), gather_map(op.attributes)
    mapped, vector = index_map.mapped, index_map.vector
    batch = tuple(i for k, i in enumerate(index) if k not in offsets)
    window = iter(index[k] for k in offsets)
    source: list[Expr] = []
    for axis, (dim, size) in enumerate(zip(x.shape, sizes, strict=True)):
        if axis in index_map.batching:
            source.append(batch[index_map.batch_position(axis)])
            continue
        place = ZERO if axis in collapsed else next(window)
        if axis in mapped and size < dim:
            start = read_start(context, indices, batch, vector, mapped.index(axis))
            place = add(place, clamped(start, 0, dim - size))
        source.append(place)
    return context.read(x, tuple(source))


def clamp_starts(
    builder: Builder, indices: Value, low: Sequence[int], high: Sequence[int], vector: int
) -> Value:
    """Index vectors with every entry clamped to its own range."""
    if not low:
        return indices
    for name, limits in (("maximum", low), ("minimum", high)):
        indices = binary(builder, name, indices, per_entry(builder, indices, limits, vector))
    return indices


def per_entry(builder: Builder, indices: Value, numbers: Sequence[int], vector: int) -> Value:
    """A number for each entry of an index vector, in the indices' shape."""
    if vector == indices.type.rank:
        (number,) = numbers
        return builder.constant(number, indices.dtype)
    row = builder.constant(np.array(numbers, indices.dtype.numpy))
    return broadcast_in_dim(builder, row, indices.type.shape, (vector,))


def _gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (x, indices), (g,) = op.operands, cotangents
    if g is None:
        return [None, None]
    index_map, sizes = gather_map(op.attributes), op.ints("slice_sizes")
    mapped, vector = index_map.mapped, index_map.vector
    room = [x.shape[axis] - sizes[axis] for axis in mapped]
    starts = clamp_starts(builder, indices, [0] * len(mapped), room, vector)
    pairs: dict[str, Attribute] = {}
    if index_map.batching:
        pairs["input_batching_dims"] = index_map.batching
        pairs["scatter_indices_batching_dims"] = index_map.partners
    scattered = builder.one(
        "scatter",
        (zeros_like(builder, x), starts, g),
        update_window_dims=op.ints("offset_dims"),
        inserted_window_dims=op.ints("collapsed_slice_dims"),
        scatter_dims_to_operand_dims=mapped,
        index_vector_dim=vector,
        reducer="add",
        **pairs,
    )
    return [scattered, None]


def _cost(op: Op) -> Cost:
    """The result is read from the operand and written; the indices are read."""
    return Cost(0, 2 * op.result.type.bytes + op.operands[1].type.bytes)


RECORDS = (
    OpRecord(
        "gather",
        {
            "offset_dims": "ints",
            "collapsed_slice_dims": "ints",
            "start_index_map": "ints",
            "operand_batching_dims": "ints?",
            "start_indices_batching_dims": "ints?",
            "index_vector_dim": "int",
            "slice_sizes": "dims",
        },
        _types,
        _evaluate,
        _gradient,
        Element(_element),
        _cost,
    ),
)
