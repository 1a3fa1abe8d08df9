"""Open sizes through ops that read and write at places that indices tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.dtypes import I32, I64, DType
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.gather_dims import IndexMap, gather_map, scatter_map
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    concat,
    convert,
    reshape,
    scalar,
)
from tensorkiln.compiler.sizes.bounder import Bounder, Open, Rule
from tensorkiln.compiler.sizes.factors import Factors, capacity, is_open, normal
from tensorkiln.compiler.sizes.numbering import (
    at_capacity,
    elements_at_capacity,
    elements_in_use,
)
from tensorkiln.compiler.sizes.samples import Sampled

_NOWHERE = -(1 << 30)  # an index so far before the first place that no window reaches that


def _gather(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    x, indices = operands
    op = sampled.op
    places = gather_map(op.attributes)
    value = _starts(bounder, sampled, x, indices.value, places)
    (made,) = bounder.builder.append(op, [x.value, value])
    offsets = op.ints("offset_dims")
    gone = {*op.ints("collapsed_slice_dims"), *places.batching}
    kept = iter(axis for axis in range(len(x.dims)) if axis not in gone)
    batch = iter(dim for axis, dim in enumerate(indices.dims) if axis != places.vector)
    dims: list[Factors] = []
    for axis in range(made.type.rank):
        if axis not in offsets:
            dims.append(next(batch))
            continue
        source = next(kept)
        dims.append(x.dims[source] if _is_whole(sampled, source) else sampled.dim(axis))
    return [Open(made, tuple(dims))]


def _is_whole(sampled: Sampled, axis: int) -> bool:
    """True if slices have all of a dim at every size."""
    return all(o.ints("slice_sizes")[axis] == o.operands[0].shape[axis] for o in sampled.ops)


def _starts(bounder: Bounder, sampled: Sampled, x: Open, indices: Value, places: IndexMap) -> Value:
    """Where slices begin: so that they fit into what is in use, as they would without capacities,
    and counted as at capacity."""
    if not any(is_open(x.dims[axis]) for axis in places.mapped):
        return indices
    builder = bounder.builder
    indices = _wide(bounder, indices)
    zero = scalar(builder, 0, indices.dtype)
    lasts = [
        zero if _is_whole(sampled, axis) else _last(bounder, sampled, x, axis, indices.dtype)
        for axis in places.mapped
    ]
    shape = indices.shape
    if len(lasts) == 1:
        last = broadcast_in_dim(builder, lasts[0], shape, ())
    else:
        vector = concat(builder, [reshape(builder, value, (1,)) for value in lasts], 0)
        last = broadcast_in_dim(builder, vector, shape, (places.vector,))
    fitting = binary(builder, "minimum", indices, last)
    fitting = binary(builder, "maximum", fitting, broadcast_in_dim(builder, zero, shape, ()))
    numbered = [axis for axis in places.mapped if len(normal(x.dims[axis])) > 1]
    if not numbered or all(_is_whole(sampled, axis) for axis in numbered):
        return fitting
    if len(lasts) > 1 or any(o.ints("slice_sizes")[numbered[0]] != 1 for o in sampled.ops):
        raise sampled.unsupported(f"it takes parts of dim {numbered[0]}, a product of open sizes")
    return at_capacity(bounder, fitting, x.dims[numbered[0]])


def _last(bounder: Bounder, sampled: Sampled, x: Open, axis: int, dtype: DType) -> Value:
    """Where a slice can begin at most."""
    size = sampled.op.ints("slice_sizes")[axis]
    builder = bounder.builder
    if not is_open(x.dims[axis]):
        return scalar(builder, capacity(x.dims[axis]) - size, dtype)
    if any(o.ints("slice_sizes")[axis] != size for o in sampled.ops):
        raise sampled.unsupported(f"the slices that it takes are of open size in dim {axis}")
    count = convert(builder, elements_in_use(bounder, x.dims[axis]), dtype)
    return binary(builder, "subtract", count, scalar(builder, size, dtype))


def _wide(bounder: Bounder, indices: Value) -> Value:
    """Indices in a dtype that has all sizes."""
    if indices.dtype.bits >= 32:
        return indices
    return convert(bounder.builder, indices, I32)


def _scatter(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    """Updates that are not in use go to places that do not exist."""
    op = sampled.op
    count = len(operands) // 2
    inputs, indices, updates = operands[:count], operands[count], operands[count + 1 :]
    _check_windows(sampled, inputs[0], updates)
    value = _targets(bounder, sampled, inputs[0], indices)
    arguments = [*(x.value for x in inputs), value, *(u.value for u in updates)]
    made = bounder.builder.append(op, arguments)
    return [Open(v, x.dims) for v, x in zip(made, inputs, strict=True)]


def _check_windows(sampled: Sampled, x: Open, updates: Sequence[Open]) -> None:
    """Windows may be open where they are all of a dim: there, what is not in use meets its like."""
    op = sampled.op
    places = scatter_map(op.attributes)
    gone = {*op.ints("inserted_window_dims"), *places.batching}
    kept = [axis for axis in range(len(x.dims)) if axis not in gone]
    for window, axis in zip(op.ints("update_window_dims"), kept, strict=True):
        for update in updates:
            same = normal(update.dims[window]) == normal(x.dims[axis])
            if is_open(update.dims[window]) and (axis in places.mapped or not same):
                raise sampled.unsupported(
                    f"the windows that it writes are of open size in dim {window}"
                )


def _targets(bounder: Bounder, sampled: Sampled, x: Open, indices: Open) -> Value:
    """Where windows are written, counted as at capacity."""
    builder, op = bounder.builder, sampled.op
    places = scatter_map(op.attributes)
    value = _wide(bounder, indices.value)
    if not value.dtype.is_signed:
        value = convert(builder, value, I64)
    numbered = [axis for axis in places.mapped if len(normal(x.dims[axis])) > 1]
    if numbered:
        if len(places.mapped) > 1 or numbered[0] not in op.ints("inserted_window_dims"):
            raise sampled.unsupported(
                f"it writes parts of dim {numbered[0]}, a product of open sizes"
            )
        value = elements_at_capacity(bounder, value, x.dims[numbered[0]], _NOWHERE)
    return bounder.masked_with(Open(value, indices.dims), range(len(indices.dims)), _NOWHERE)


PLACE_RULES: Mapping[str, Rule] = {"gather": _gather, "scatter": _scatter, "scatter_by": _scatter}
