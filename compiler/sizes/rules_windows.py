"""Open sizes through windows: convolutions and pooling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ops.reducers import extreme, identity
from tensorkiln.compiler.sizes.bounder import Bounder, Open, Rule
from tensorkiln.compiler.sizes.factors import Factors, closed, is_open
from tensorkiln.compiler.sizes.samples import Sampled


def _convolution(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    x, kernel = operands
    op = sampled.op
    if kernel.is_open or not sampled.same("padding") or op.integer("batch_groups") > 1:
        raise sampled.unsupported("its kernel, padding or batch groups depend on the sizes")
    batch, feature, *spatial = op.ints("lhs_spec")
    if is_open(x.dims[feature]):
        raise sampled.unsupported("the number of its input features is open")
    value = bounder.masked_with(x, spatial, 0)
    (made,) = bounder.builder.append(op, [value, kernel.value])
    out_batch, _, *out_spatial = op.ints("out_spec")
    dims: list[Factors] = [closed(size) for size in made.shape]
    dims[out_batch] = x.dims[batch]
    for axis in out_spatial:
        dims[axis] = sampled.dim(axis)
    return [Open(made, tuple(dims))]


def _window(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    (x,) = operands
    op = sampled.op
    sliding = [axis for axis, size in enumerate(op.ints("window")) if size > 1]
    if not sampled.same("window", "padding"):
        raise sampled.unsupported("its window depends on the sizes")
    if op.name == "arg_reduce_window":
        fill = extreme(x.value.dtype, lowest=op.string("kind") == "max")
    else:
        fill = identity(op.string("reducer"), x.value.dtype)
    made = bounder.builder.append(op, [bounder.masked_with(x, sliding, fill)])
    strides = op.ints("strides")
    return [
        Open(
            v,
            tuple(
                sampled.dim(axis, i) if axis in sliding or strides[axis] > 1 else dim
                for axis, dim in enumerate(x.dims)
            ),
        )
        for i, v in enumerate(made)
    ]


WINDOW_RULES: Mapping[str, Rule] = {
    "convolution": _convolution,
    "integer_convolution": _convolution,
    "reduce_window": _window,
    "arg_reduce_window": _window,
}
