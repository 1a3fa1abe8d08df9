"""Open sizes through windows: convolutions and pooling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.dims import add_dims, divide_dim, scale_dim
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
    select,
)
from tensorkiln.compiler.ops.windows import WindowDim
from tensorkiln.compiler.sizes.bounder import Bounder, Open, Rule
from tensorkiln.compiler.sizes.factors import Dims, Factor, Factors, closed, is_open, normal
from tensorkiln.compiler.sizes.numbering import (
    all_elements,
    among_used,
    elements_at_capacity,
    elements_in_use,
)
from tensorkiln.compiler.sizes.samples import Sampled


def _convolution(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    x, kernel = operands
    op = sampled.op
    if is_open(x.dims[op.ints("lhs_spec")[1]]):
        return _folding_convolution(bounder, sampled, x, kernel)
    if kernel.is_open or not sampled.same("padding") or op.integer("batch_groups") > 1:
        raise sampled.unsupported("its kernel, padding or batch groups depend on the sizes")
    batch, _, *spatial = op.ints("lhs_spec")
    value = bounder.masked_with(x, spatial, 0)
    (made,) = bounder.builder.append(op, [value, kernel.value])
    out_batch, _, *out_spatial = op.ints("out_spec")
    dims: list[Factors] = [closed(size) for size in made.shape]
    dims[out_batch] = x.dims[batch]
    windows = spatial_windows(
        op.attributes, [kernel.value.shape[k] for k in op.ints("rhs_spec")[2:]]
    )
    for source, axis, window in zip(spatial, out_spatial, windows, strict=True):
        dims[axis] = _counted(sampled, x.dims[source], axis, window)
    return [Open(made, tuple(dims))]


def _folding_convolution(
    bounder: Bounder, sampled: Sampled, x: Open, kernel: Open
) -> Sequence[Open]:
    """A convolution that adds up over an open number of features, as filters' gradients do."""
    op = sampled.op
    feature, source = op.ints("lhs_spec")[1], op.ints("rhs_spec")[1]
    others = [d for k, d in enumerate(x.dims) if k != feature]
    others += [d for k, d in enumerate(kernel.dims) if k != source]
    grouped = op.integer("feature_groups") > 1 or op.integer("batch_groups") > 1
    if grouped or any(map(is_open, others)) or not sampled.same("padding"):
        raise sampled.unsupported("more of it is open than the number of its input features")
    # Both sides: what is not in use may be a NaN, which zero times is none.
    sides = [bounder.masked_with(x, (feature,), 0), bounder.masked_with(kernel, (source,), 0)]
    (made,) = bounder.builder.append(op, sides)
    return [Open(made, tuple(map(closed, made.shape)))]


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
    if not sampled.same("window", "padding"):
        raise sampled.unsupported("its window depends on the sizes")
    if op.name == "arg_reduce_window":
        fill = extreme(x.value.dtype, lowest=op.string("kind") == "max")
    else:
        fill = identity(op.string("reducer"), x.value.dtype)
    made = bounder.builder.append(op, [bounder.masked_with(x, sliding, fill)])
    undilated = {"base_dilations": (1,) * len(x.dims)}  # which not every kind of window tells
    windows = window_dims({**undilated, **op.attributes}, len(x.dims))
    dims = tuple(
        _counted(sampled, dim, k, window) if k in sliding else dim
        for k, (dim, window) in enumerate(zip(x.dims, windows, strict=True))
    )
    if op.name == "arg_reduce_window":
        made = (made[0], _numbers(bounder, op, made[1], x.dims))
    return [Open(v, dims) for v in made]


def _counted(sampled: Sampled, dim: Factors, axis: int, window: WindowDim) -> Factors:
    """The dim of the number of windows over a dim: floor((padded - span) / stride) + 1."""
    (factor, *inner) = normal(dim)
    if inner or not factor.is_open:
        return sampled.dim(axis)
    holes = scale_dim(add_dims(factor.extent, -1), window.base)  # and elements, but for the last
    more = 1 + window.low + window.high - window.span + window.stride
    count = divide_dim(add_dims(holes, more), window.stride)
    if count is None:
        return sampled.dim(axis)
    sampled.space.learn(count)
    return (Factor(sampled.op.results[0].shape[axis], count),)


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
