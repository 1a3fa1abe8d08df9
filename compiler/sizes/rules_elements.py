"""Open sizes through ops that compute or move single elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Element
from tensorkiln.compiler.ops.shorthand import (
    binary,
    dynamic_slice,
    pad,
    reverse,
    scalar,
)
from tensorkiln.compiler.sizes.bounder import Bounder, Open, Rule
from tensorkiln.compiler.sizes.factors import Dims, Factors, closed, is_open, normal, regroup
from tensorkiln.compiler.sizes.reshaping import cut, fits
from tensorkiln.compiler.sizes.samples import Sampled


def same_dims(sampled: Sampled, operands: Sequence[Open], rank: int) -> Dims:
    """The dims of operands of one shape; those of rank 0 have no say."""
    found: list[Factors] = []
    for axis in range(rank):
        whole = [x for x in operands if len(x.dims) == rank]
        telling = [x for x in whole if axis not in x.uniform] or whole[:1]
        dims = [x.dims[axis] for x in telling]
        opened = list(dict.fromkeys(normal(d) for d in dims if is_open(d)))
        if len(opened) > 1:
            raise sampled.unsupported("its operands' dims are made of open sizes in other orders")
        found.append(opened[0] if opened else sampled.dim(axis))
    return tuple(found)


def elementwise(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    """Each element depends on the operands' elements at its place."""
    op = sampled.op
    made = bounder.builder.append(op, [x.value for x in operands])
    made_dims = same_dims(sampled, operands, op.results[0].type.rank)
    uniform = frozenset(
        axis
        for axis in range(len(made_dims))
        if all(axis in x.uniform for x in operands if len(x.dims) == len(made_dims))
    )
    return [Open(v, made_dims, uniform) for v in made]


def _identity(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    made = bounder.builder.append(sampled.op, [operands[0].value])
    return [Open(made[0], operands[0].dims)]


def _broadcast(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    (x,) = operands
    op = sampled.op
    if not sampled.same("dimensions"):
        raise sampled.unsupported("the dims it broadcasts along depend on the sizes")
    (made,) = bounder.builder.append(op, [x.value])
    source = {axis: k for k, axis in enumerate(op.ints("dimensions"))}
    dims = []
    uniform: set[int] = set()
    for axis in range(made.type.rank):
        own = x.dims[source[axis]] if axis in source else closed(1)
        dims.append(own if is_open(own) else sampled.merged(axis))
        if axis not in source or (x.value.shape[source[axis]] == 1 and not is_open(own)):
            uniform.add(axis)
    return [Open(made, tuple(dims), frozenset(uniform))]


def _reshape(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    (x,) = operands
    (made,) = bounder.builder.append(sampled.op, [x.value])
    dims = regroup(x.dims, made.shape)
    if dims is None or not fits(sampled, dims):
        return [cut(bounder, sampled, x)]
    return [Open(made, dims)]


def _transpose(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    (x,) = operands
    (made,) = bounder.builder.append(sampled.op, [x.value])
    return [Open(made, tuple(x.dims[axis] for axis in sampled.op.ints("permutation")))]


def _reverse(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    """Reversed at capacity, what is in use lies at the end of open dims: it is moved to the start."""
    return [turned_around(bounder, sampled, operands[0], sampled.op.ints("dimensions"))]


def turned_around(bounder: Bounder, sampled: Sampled, x: Open, axes: Sequence[int]) -> Open:
    """What is in use of a value in reverse order along `axes`."""
    builder = bounder.builder
    value = reverse(builder, x.value, axes)
    opened = [axis for axis in axes if is_open(x.dims[axis])]
    if not opened:
        return Open(value, x.dims)
    shape = value.shape
    starts: list[Value] = [scalar(builder, 0, I32)] * len(shape)
    for axis in opened:
        if len(normal(x.dims[axis])) > 1:
            raise sampled.unsupported(f"it reverses dim {axis}, a product of open sizes")
        extent = bounder.extent(normal(x.dims[axis])[0].extent)
        starts[axis] = binary(builder, "subtract", scalar(builder, shape[axis], I32), extent)
    more = [shape[axis] if axis in opened else 0 for axis in range(len(shape))]
    longer = pad(builder, value, [0] * len(more), more, value=scalar(builder, 0, value.dtype))
    return Open(dynamic_slice(builder, longer, starts, shape), x.dims)


def _bitcast(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    """Elements of another width add or take the innermost dim."""
    (x,) = operands
    (made,) = bounder.builder.append(sampled.op, [x.value])
    rank = made.type.rank
    if rank < len(x.dims) and is_open(x.dims[-1]):
        raise sampled.unsupported("it joins elements along a dim of open size")
    return [Open(made, (*x.dims, *map(closed, made.shape[len(x.dims) :]))[:rank])]


_OWN: Mapping[str, Rule] = {
    "broadcast_in_dim": _broadcast,
    "bitcast_convert": _bitcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "reverse": _reverse,
}
# Elements of these look at other places than their own.
_ELSEWHERE = (
    "slice", "concatenate", "pad", "dynamic_slice", "dynamic_update_slice", "gather",
    "bitcast_convert",
)  # fmt: skip

ELEMENT_RULES: Mapping[str, Rule] = {
    **{
        record.name: elementwise
        for record in REGISTRY
        if isinstance(record.lowering, Element) and record.name not in _ELSEWHERE
    },
    **_OWN,
}
