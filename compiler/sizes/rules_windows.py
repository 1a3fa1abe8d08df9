"""Open sizes through windows: convolutions and pooling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ops.checks import pairs
from tensorkiln.compiler.ops.convolution import spatial_windows
from tensorkiln.compiler.ops.reduce_window import window_dims
from tensorkiln.compiler.ops.reducers import extreme, identity
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    compare,
    full,
    iota,
    scalar,
    select,
)
from tensorkiln.compiler.ops.windows import WindowDim
from tensorkiln.compiler.sizes.bounder import Bounder, Open, Rule
from tensorkiln.compiler.sizes.factors import Dims, Factors, closed, is_open
from tensorkiln.compiler.sizes.numbering import (
    all_elements,
    among_used,
    elements_at_capacity,
    elements_in_use,
)
from tensorkiln.compiler.sizes.samples import Sampled
from tensorkiln.compiler.sizes.sliding import begun, counted


def _convolution(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    x, kernel = operands
    op = sampled.op
    taps = [kernel.dims[k] for k in op.ints("rhs_spec")[2:]]
    if is_open(x.dims[op.ints("lhs_spec")[1]]) or any(map(is_open, taps)):
        return _folding_convolution(bounder, sampled, x, kernel)
    if kernel.is_open or op.integer("batch_groups") > 1:
        raise sampled.unsupported("its kernel or batch groups depend on the sizes")
    batch, _, *spatial = op.ints("lhs_spec")
    out_batch, _, *out_spatial = op.ints("out_spec")
    value = bounder.masked_with(x, spatial, 0)
    dims: list[Factors] = [closed(size) for size in op.result.shape]
    dims[out_batch] = x.dims[batch]
    windows = _windows(sampled)
    fill = scalar(bounder.builder, 0, value.dtype)
    padding = []
    for k, (source, axis) in enumerate(zip(spatial, out_spatial, strict=True)):
        own = [each[k] for each in windows]
        dims[axis] = counted(sampled, x.dims[source], axis, own)
        value, window = begun(
            bounder, sampled, value, fill, source, x.dims[source], dims[axis], own
        )
        padding.append((window.low, window.high))
    attributes = {**op.attributes, "padding": tuple(padding)}
    made = bounder.builder.op(op.name, [value, kernel.value], attributes)
    return [Open(v, tuple(dims)) for v in made]


def _folding_convolution(
    bounder: Bounder, sampled: Sampled, x: Open, kernel: Open
) -> Sequence[Open]:
    """A convolution that adds up over an open number of features or taps, as filters' gradients do.

    These have the images of a batch as features, and a tap for each place of the result.  Where the
    first window begins at the same place for all sizes, what is behind the sizes adds zeros.
    """
    op = sampled.op
    feature, source = op.ints("lhs_spec")[1], op.ints("rhs_spec")[1]
    grouped = op.integer("feature_groups") > 1 or op.integer("batch_groups") > 1
    if grouped and is_open(x.dims[feature]):
        raise sampled.unsupported("an open number of its input features is in groups")
    if is_open(x.dims[op.ints("lhs_spec")[0]]) or is_open(kernel.dims[op.ints("rhs_spec")[0]]):
        raise sampled.unsupported("its kernel and its batch or output features depend on the sizes")
    if any(o.results[0].shape != op.result.shape for o in sampled.ops):
        raise sampled.unsupported("both its kernel and its result depend on the sizes")
    begins = [[window.low for window in each] for each in _windows(sampled)]
    if begins.count(begins[0]) < len(begins):
        raise sampled.unsupported("where its first window begins depends on the sizes")
    # Both sides: what is not in use may be a NaN, which zero times is none.
    sides = [
        bounder.masked_with(x, (feature, *op.ints("lhs_spec")[2:]), 0),
        bounder.masked_with(kernel, (source, *op.ints("rhs_spec")[2:]), 0),
    ]
    (made,) = bounder.builder.append(op, sides)
    return [Open(made, tuple(map(closed, made.shape)))]


def _windows(sampled: Sampled) -> list[tuple[WindowDim, ...]]:
    """The windows of a convolution at each point."""
    axes = sampled.op.ints("rhs_spec")[2:]
    taps = [[op.operands[1].shape[k] for k in axes] for op in sampled.ops]
    return [spatial_windows(op.attributes, own) for op, own in zip(sampled.ops, taps, strict=True)]


def _scatter(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    indices, source = operands
    op = sampled.op
    attributes = {**op.attributes, "shape": op.result.shape}
    if not sampled.same("window", "strides", "padding"):
        raise sampled.unsupported("its window depends on the sizes")
    dims = tuple(sampled.dim(axis) for axis in range(op.result.type.rank))
    kept = [
        next((x.dims[axis] for x in operands if is_open(x.dims[axis])), dim)
        if axis not in _sliding(op)
        else dim
        for axis, dim in enumerate(dims)
    ]
    # Windows that are not in use may lie over elements that are: they go nowhere.
    number = elements_at_capacity(bounder, indices.value, all_elements(tuple(kept)), -1)
    number = bounder.masked_with(Open(number, indices.dims), _sliding(op), -1)
    made = bounder.builder.op("scatter_windows", [number, source.value], attributes)
    return [Open(v, tuple(kept)) for v in made]


def _window(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    (x,) = operands
    op = sampled.op
    sliding = _sliding(op)
    if not sampled.same("window"):
        raise sampled.unsupported("its window depends on the sizes")
    if op.name == "arg_reduce_window":
        fill = extreme(x.value.dtype, lowest=op.string("kind") == "max")
    else:
        fill = identity(op.string("reducer"), x.value.dtype)
    rank = len(x.dims)
    undilated = {"base_dilations": (1,) * rank}  # which not every kind of window tells
    windows = [window_dims({**undilated, **o.attributes}, rank) for o in sampled.ops]
    value, dims, padding = bounder.masked_with(x, sliding, fill), list(x.dims), []
    number = scalar(bounder.builder, fill, value.dtype)
    for axis in range(rank):
        own = [each[axis] for each in windows]
        window = own[0]
        if axis in sliding:
            dims[axis] = counted(sampled, x.dims[axis], axis, own)
            before = value
            value, window = begun(
                bounder, sampled, value, number, axis, x.dims[axis], dims[axis], own
            )
            if value is not before and op.name == "arg_reduce_window":
                raise sampled.unsupported("where its first window begins depends on the sizes")
        padding.append((window.low, window.high))
    attributes = {**op.attributes, "padding": tuple(padding)}
    made = bounder.builder.op(op.name, [value], attributes)
    if op.name == "arg_reduce_window":
        made = (made[0], _numbers(bounder, op, made[1], x.dims))
    return [Open(v, tuple(dims)) for v in made]


def _sliding(op: Op) -> list[int]:
    """The dims of which a window has more than its own place."""
    both = zip(op.ints("window"), op.ints("strides"), strict=True)
    return [axis for axis, (size, stride) in enumerate(both) if size > 1 or stride > 1]


def _numbers(bounder: Bounder, op: Op, numbers: Value, dims: Dims) -> Value:
    """The numbers of elements as they are without capacities."""
    every = all_elements(dims)
    if len(every) == 1 and not any(is_open(dims[axis]) for axis in _sliding(op)):
        return numbers
    builder, shape, dtype = bounder.builder, numbers.shape, numbers.dtype
    none = full(builder, shape, extreme(dtype, lowest=False), dtype)
    exists = compare(builder, "NE", numbers, none)
    for axis in _sliding(op):
        if not is_open(dims[axis]):
            continue
        # a window beyond what is in use has no element
        stride, low = op.ints("strides")[axis], pairs(op.attributes, "padding")[axis][0]
        begin = iota(builder, (shape[axis],), 0, I32)
        begin = binary(builder, "multiply", begin, full(builder, begin.shape, stride, I32))
        begin = binary(builder, "subtract", begin, full(builder, begin.shape, low, I32))
        count = broadcast_in_dim(builder, elements_in_use(bounder, dims[axis]), begin.shape, ())
        within = compare(builder, "LT", begin, count)
        within = broadcast_in_dim(builder, within, shape, (axis,))
        exists = binary(builder, "and", exists, within)
    return select(builder, exists, among_used(bounder, numbers, every), none)


WINDOW_RULES: Mapping[str, Rule] = {
    "convolution": _convolution,
    "integer_convolution": _convolution,
    "reduce_window": _window,
    "arg_reduce_window": _window,
    "scatter_windows": _scatter,
}
