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
    for axis in out_spatial:
        dims[axis] = sampled.dim(axis)
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
    _check_numbers(sampled, indices)
    if op.ints("window")[0] != 1 or op.ints("strides")[0] != 1 or not sampled.same("padding"):
        raise sampled.unsupported("its windows slide along the open dim")
    (made,) = bounder.builder.append(op, [indices.value, source.value])
    kept = indices.dims[0] if is_open(indices.dims[0]) else source.dims[0]
    return [Open(made, (kept, *(closed(size) for size in made.shape[1:])))]


def _check_numbers(sampled: Sampled, x: Open) -> None:
    """Row-major numbers of elements are the same at capacity if the outermost dim alone is open."""
    if any(map(is_open, x.dims[1:])):
        raise sampled.unsupported("it numbers elements, and a dim that is not the first is open")


def _window(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    (x,) = operands
    op = sampled.op
    sliding = [axis for axis, size in enumerate(op.ints("window")) if size > 1]
    if not sampled.same("window", "padding"):
        raise sampled.unsupported("its window depends on the sizes")
    if op.name == "arg_reduce_window":
        _check_numbers(sampled, x)
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
    "scatter_windows": _scatter,
}
