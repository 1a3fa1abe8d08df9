"""The op scatter: updates combined one after the other into slices of an operand.

Rule and name are StableHLO's, batching dims may be left out, and the update computation is given
by name: add set multiply maximum minimum.  An update element whose place lies outside of the
operand is skipped; starts are not clamped.  Index vectors are taken in row-major order, each with
its whole slice, so the last `set` wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Expr, Index
from tensorkiln.compiler.kernel.index import ZERO, add
from tensorkiln.compiler.ops.checks import (
    accumulator,
    all_of,
    are_axes,
    at_most,
    between,
    expect,
    ints,
    require,
    widened,
)
from tensorkiln.compiler.ops.gather import index_vectors, read_start
from tensorkiln.compiler.ops.gather_dims import (
    batch_shape,
    check_map,
    place_dims,
    scatter_map,
    window_sizes,
)
from tensorkiln.compiler.ops.record import Cost, LoopContext, Loops, OpRecord, Types
from tensorkiln.compiler.ops.reducers import REDUCERS, combine_state, state_dtype
from tensorkiln.compiler.ops.scatter_gradient import scatter_gradient

NAMES = ("add", "set", "multiply", "maximum", "minimum")


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1 to C3, C5 to C7, C9: see check_places.  C4: the updates have the operand's dtype; it is a
    number unless the reducer is set.  C8: the reducer is one of NAMES."""
    x, indices, updates = expect(types, 3)
    reducer = attributes["reducer"]
    require(reducer in NAMES, f"C8: the reducer is one of {', '.join(NAMES)}, not {reducer!r}")
    fits = updates.dtype == x.dtype and (reducer == "set" or x.dtype.is_number)
    fits = fits and (not x.dtype.is_complex or reducer in ("set", "add"))
    require(fits, f"C4: updates {updates} for operand {x} and reducer {reducer}")
    check_places(x, indices, updates, attributes)
    return (x,)


def check_places(
    x: TensorType, indices: TensorType, updates: TensorType, attributes: Attributes
) -> None:
    """C1 to C3, C9: see check_map.  C5: update_window_dims are ascending dims of the updates;
    inserted_window_dims and input_batching_dims are different dims of the operand, as many as the
    window lacks.  C6: the window fits in the operand.  C7: the other dims of the updates are those
    of the indices."""
    index_map = scatter_map(attributes)
    check_map(x, indices, index_map)
    window = ints(attributes, "update_window_dims")
    inserted = (*ints(attributes, "inserted_window_dims"), *index_map.batching)
    fits = are_axes(window, updates.rank) and list(window) == sorted(window)
    fits = fits and are_axes(inserted, x.rank) and len(window) + len(inserted) == x.rank
    require(fits, f"C5: window dims {window} and inserted dims {inserted} for {x} and {updates}")
    kept = iter(updates.shape[k] for k in window)
    sizes = [1 if axis in inserted else next(kept) for axis in range(x.rank)]
    rest = [axis for axis in range(x.rank) if axis not in index_map.batching]
    fits = all(at_most(sizes[axis], x.shape[axis]) for axis in rest)
    require(fits, f"C6: a window ({', '.join(map(str, sizes))}) does not fit in {x}")
    batch = tuple(dim for k, dim in enumerate(updates.shape) if k not in window)
    require(
        batch == batch_shape(indices, index_map.vector),
        f"C7: updates {updates} for indices {indices}",
    )


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    (x, indices, updates), window = arrays, window_sizes(op)
    starts, mapped = index_vectors(indices, scatter_map(op.attributes))
    batch = starts.ndim - 1
    # Whole dims stay slices; the others are picked, each by an index array of its own dims.
    picked = [axis for axis in range(x.ndim) if axis in mapped or window[axis] != x.shape[axis]]
    whole = [axis for axis in range(x.ndim) if axis not in picked]
    shape = (*starts.shape[:-1], *(window[axis] for axis in picked))
    inside = np.ones(shape, np.bool_)
    places = []
    for number, axis in enumerate(picked):
        along = [1] * len(shape)
        along[batch + number] = window[axis]
        place = np.arange(window[axis]).reshape(along)
        if axis in mapped:
            first = starts[..., mapped.index(axis)]
            place = place + first.reshape(first.shape + (1,) * len(picked))
        inside &= (place >= 0) & (place < x.shape[axis])
        places.append(np.broadcast_to(place, shape))
    # Updates with dims batch, picked, whole; inserted dims have size 1 there.
    window_dims = op.ints("update_window_dims")
    outer = [k for k in range(updates.ndim) if k not in window_dims]
    moved = updates.transpose(*outer, *window_dims).reshape(*starts.shape[:-1], *window)
    moved = moved.transpose(*range(batch), *(batch + axis for axis in (*picked, *whole)))
    wide = x.dtype if op.string("reducer") == "set" else accumulator(op.result.dtype).numpy
    order = (*picked, *whole)
    result = x.transpose(order).astype(wide)
    target = tuple(place[inside] for place in places) if picked else (np.newaxis,)
    values = moved.astype(wide)[inside] if picked else moved.astype(wide)
    _apply(op.string("reducer"), result, target, values, picked)
    back = result.transpose([order.index(axis) for axis in range(x.ndim)])
    return [back.astype(x.dtype, order="C")]


def _apply(
    reducer: str, result: Array, target: tuple[Any, ...], values: Array, picked: Sequence[int]
) -> None:
    if not picked:  # every update covers the whole operand
        for value in values.reshape(-1, *result.shape):
            result[...] = value if reducer == "set" else REDUCERS[reducer].function(result, value)
    elif reducer == "set":
        result[target] = values
    else:
        REDUCERS[reducer].function.at(result, target, values)


@contextmanager
def places_of(
    context: LoopContext, x: Value, indices: Value, updates: Value, attributes: Attributes
) -> Iterator[tuple[Index, Index]]:
    """Loops over all update elements, index vectors in row-major order: the index of each in the
    updates and in the operand.  What is made inside happens only for places in the operand."""
    window_dims = ints(attributes, "update_window_dims")
    index_map, inserted = scatter_map(attributes), ints(attributes, "inserted_window_dims")
    mapped, vector = index_map.mapped, index_map.vector
    with ExitStack() as loops:
        # Different updates may meet in one place: these loops stay serial.
        outer: Index = tuple(
            loops.enter_context(context.loop(size))
            for k, size in enumerate(updates.shape)
            if k not in window_dims
        )
        starts = [
            read_start(context, indices, outer, vector, entry) for entry in range(len(mapped))
        ]
        inner: Index = tuple(
            loops.enter_context(context.loop(updates.shape[k])) for k in window_dims
        )
        kept, place, conditions = iter(inner), [], list[Expr]()
        for axis, size in enumerate(x.shape):
            if axis in index_map.batching:
                place.append(outer[index_map.batch_position(axis)])
                continue
            local = ZERO if axis in inserted else next(kept)
            if axis in mapped:
                local = add(local, starts[mapped.index(axis)])
                conditions += between(local, 0, size)
            place.append(local)
        inside = all_of(conditions)
        if inside is not None:
            loops.enter_context(context.when(inside))
        yield place_dims(outer, inner, window_dims), tuple(place)


def _build(context: LoopContext, op: Op) -> None:
    (x, indices, updates), reducer = op.operands, op.string("reducer")
    with places_of(context, x, indices, updates, op.attributes) as (source, place):
        update = context.read(updates, source)
        if reducer != "set":
            state = state_dtype(reducer, x.dtype)
            held = widened(context.read_result(0, place), state)
            joined = combine_state(reducer, held, widened(update, state))
            update = widened(joined, x.dtype)
        context.write(0, place, update)


def _cost(op: Op) -> Cost:
    """An operation an update; the operand is copied, the updates are read, combined and written."""
    x, indices, updates = (value.type for value in op.operands)
    moved = 2 * x.bytes + indices.bytes + 3 * updates.bytes
    return Cost(0 if op.string("reducer") == "set" else updates.elements, moved)


RECORDS = (
    OpRecord(
        "scatter",
        {
            "update_window_dims": "ints",
            "inserted_window_dims": "ints",
            "scatter_dims_to_operand_dims": "ints",
            "input_batching_dims": "ints?",
            "scatter_indices_batching_dims": "ints?",
            "index_vector_dim": "int",
            "reducer": "str",
        },
        _types,
        _evaluate,
        scatter_gradient,
        Loops(_build, over=0),
        _cost,
    ),
)
