"""The op scatter_by: updates joined one after the other with slices of operands by a region.

Rule and name are StableHLO's scatter in full: several inputs take updates at the same places, and
the region, which gets what the places hold and then the updates, gives what they hold next.  The op
scatter is the case of one input and a named reducer, which is faster.  Index vectors are taken in
row-major order, each with its whole slice; what lies outside of the inputs is skipped.  The
gradient is that of a while loop over the elements of the updates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Array, Attributes, Function, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.index import unflatten
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import require
from tensorkiln.compiler.ops.gather import index_vectors
from tensorkiln.compiler.ops.gather_dims import IndexMap, scatter_map
from tensorkiln.compiler.ops.record import (
    ByRegions,
    Cost,
    FromBody,
    LoopContext,
    Loops,
    OpRecord,
    RegionRule,
    Run,
    Types,
    bytes_moved,
)
from tensorkiln.compiler.ops.scalar_bodies import join_at
from tensorkiln.compiler.ops.scalar_regions import check_region, region_flops
from tensorkiln.compiler.ops.scatter import check_places, places_of
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    compare,
    convert,
    full,
    iota,
    reshape,
    scalar,
    slice_axis,
    squeeze,
    transpose,
    zeros_like,
)


def _types(
    types: Types, attributes: Attributes, regions: Sequence[Function]
) -> tuple[TensorType, ...]:
    """C4: the operands are inputs of one shape, indices, and updates of one shape for each input,
    of its dtype.  C1 to C3, C5 to C7, C9: see scatter's check_places.  C8: one region takes what is
    held and an update of each input and gives what is held next."""
    count = len(types) // 2
    require(count > 0 and len(types) == 2 * count + 1, f"C4: {len(types)} operands are no scatter")
    inputs, indices, updates = types[:count], types[count], types[count + 1 :]
    for x, update in zip(inputs, updates, strict=True):
        fits = x.shape == inputs[0].shape and update.shape == updates[0].shape
        require(fits and update.dtype == x.dtype, f"C4: updates {update} for {x}")
    check_places(inputs[0], indices, updates[0], attributes)
    require(len(regions) == 1, f"C8: takes one region, not {len(regions)}")
    dtypes = [t.dtype for t in inputs]
    check_region(regions[0], [*dtypes, *dtypes], dtypes, "C8")
    return tuple(inputs)


def _parts(op: Op) -> tuple[tuple[Value, ...], Value, tuple[Value, ...]]:
    count = len(op.results)
    return op.operands[:count], op.operands[count], op.operands[count + 1 :]


def _run(op: Op, arrays: Sequence[Array], run: Run) -> Sequence[Array]:
    count, (region,) = len(op.results), op.regions
    updates, window_dims = arrays[count + 1 :], op.ints("update_window_dims")
    results = [x.copy() for x in arrays[:count]]
    index_map = scatter_map(op.attributes)
    starts, mapped = index_vectors(arrays[count], index_map)
    hidden = (*op.ints("inserted_window_dims"), *index_map.batching)
    shape = updates[0].shape
    window = [shape[k] for k in window_dims]
    batch_dims = [k for k in range(len(shape)) if k not in window_dims]
    for batch in np.ndindex(*(shape[k] for k in batch_dims)):
        for inner in np.ndindex(*window):
            source = [0] * len(shape)
            for k, n in (
                *zip(batch_dims, batch, strict=True),
                *zip(window_dims, inner, strict=True),
            ):
                source[k] = n
            kept = iter(inner)
            place = [0 if axis in hidden else next(kept) for axis in range(results[0].ndim)]
            for entry, axis in enumerate(mapped):
                place[axis] += int(starts[batch][entry])
            if not all(0 <= n < size for n, size in zip(place, results[0].shape, strict=True)):
                continue
            at = tuple(place)
            held = [np.asarray(x[at]) for x in results]
            joined = run(region, [*held, *(np.asarray(u[tuple(source)]) for u in updates)])
            for x, value in zip(results, joined, strict=True):
                x[at] = value
    return results


def _build(context: LoopContext, op: Op) -> None:
    inputs, indices, updates = _parts(op)
    shape = inputs[0].shape
    for number, x in enumerate(inputs):
        with context.loop(math.prod(shape)) as flat:
            index = unflatten(flat, shape)
            context.write(number, index, context.read(x, index))
    with places_of(context, inputs[0], indices, updates[0], op.attributes) as (source, place):
        held = [context.read_result(number, place) for number in range(len(inputs))]
        given = [context.read(update, source) for update in updates]
        for number, value in enumerate(context.apply(op.regions[0], [*held, *given])):
            context.write(number, place, value)


def _body(builder: Builder, op: Op) -> Sequence[Value]:
    inputs, indices, updates = _parts(op)
    window_dims, rank = op.ints("update_window_dims"), updates[0].type.rank
    if not updates[0].type.elements or not inputs[0].type.elements:
        return list(inputs)
    places, inside = _places(builder, op, indices)
    order = [*(k for k in range(rank) if k not in window_dims), *window_dims]
    count = updates[0].type.elements
    places, inside, *values = (
        reshape(builder, transpose(builder, v, order), (count,)) for v in (places, inside, *updates)
    )
    flat = [reshape(builder, x, (x.type.elements,)) for x in inputs]
    found = join_at(builder, op.regions[0], flat, places, inside, values)
    return [reshape(builder, x, inputs[0].shape) for x in found]


def _places(builder: Builder, op: Op, indices: Value) -> tuple[Value, Value]:
    """For each element of the updates the row-major place that it goes to, and whether that is in
    the operand."""
    x, updates = op.operands[0], op.operands[-1]
    index_map: IndexMap = scatter_map(op.attributes)
    window_dims, shape = op.ints("update_window_dims"), updates.shape
    batch_dims = [k for k in range(len(shape)) if k not in window_dims]
    kept = iter(window_dims)
    total = full(builder, shape, 0, I64)
    inside = compare(builder, "EQ", total, total)
    for axis, size in enumerate(x.shape):
        place = zeros_like(builder, total)
        if axis in index_map.batching:
            dim = batch_dims[index_map.batch_position(axis)]
            place = iota(builder, shape, dim, I64)
        elif axis not in op.ints("inserted_window_dims"):
            place = iota(builder, shape, next(kept), I64)
        if axis in index_map.mapped:
            entry = index_map.mapped.index(axis)
            start = _entries(builder, indices, index_map, entry)
            start = broadcast_in_dim(builder, convert(builder, start, I64), shape, batch_dims)
            place = builder.one("add", (place, start))
        low = compare(builder, "GE", place, zeros_like(builder, place))
        high = compare(builder, "LT", place, full(builder, shape, size, I64))
        inside = builder.one("and", (inside, builder.one("and", (low, high))))
        total = builder.one(
            "add", (binary(builder, "multiply", total, scalar(builder, size, I64)), place)
        )
    return total, inside


def _entries(builder: Builder, indices: Value, index_map: IndexMap, entry: int) -> Value:
    """One entry of all index vectors."""
    vector = index_map.vector
    if vector == indices.type.rank:
        return indices
    return squeeze(builder, slice_axis(builder, indices, vector, entry, entry + 1), (vector,))


def _cost(op: Op) -> Cost:
    """One application of the region an element of the updates."""
    return Cost(op.operands[-1].type.elements * region_flops(op.regions[0]), bytes_moved(op))


RECORDS = (
    OpRecord(
        "scatter_by",
        {
            "update_window_dims": "ints", "inserted_window_dims": "ints",
            "scatter_dims_to_operand_dims": "ints", "input_batching_dims": "ints?",
            "scatter_indices_batching_dims": "ints?", "index_vector_dim": "int",
        },
        RegionRule(_types), ByRegions(_run), FromBody(_body), Loops(_build), _cost,
    ),
)  # fmt: skip
