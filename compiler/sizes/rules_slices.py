"""Open sizes through ops that take and join boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.dims import Dim, add_dims, divide_dim, scale_dim, substitute
from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.shorthand import binary, convert, dynamic_slice, pad, scalar, slice_
from tensorkiln.compiler.sizes.bounder import Bounder, Open, Rule
from tensorkiln.compiler.sizes.factors import Factor, Factors, is_open, normal
from tensorkiln.compiler.sizes.samples import Sampled


def _slice(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    (x,) = operands
    op, builder = sampled.op, bounder.builder
    if not sampled.same("strides"):
        raise sampled.unsupported("its steps depend on the sizes")
    strides = op.ints("strides")
    starts: list[Dim] = []
    dims: list[Factors] = []
    for axis, dim in enumerate(x.dims):
        start = sampled.space.affine([o.ints("start")[axis] for o in sampled.ops])
        if start is None:
            raise sampled.unsupported(f"where it starts in dim {axis} is no affine of a size")
        starts.append(start)
        dims.append(dim if _is_whole(sampled, axis) else _stepped(sampled, axis, start))
    if all(isinstance(start, int) for start in starts):
        (made,) = builder.append(op, [x.value])
        return [Open(made, tuple(dims))]
    # Where it starts depends on the sizes: the box at capacity must fit in from there.
    value = x.value
    size = [(n - 1) * s + 1 if n else 0 for n, s in zip(op.result.shape, strides, strict=True)]
    more = [
        0 if isinstance(start, int) or not is_open(dim) else n
        for start, dim, n in zip(starts, dims, size, strict=True)
    ]
    if any(more):
        zero = scalar(builder, 0, value.dtype)
        value = pad(builder, value, [0] * len(more), more, value=zero)
    made = dynamic_slice(builder, value, [bounder.extent(s) for s in starts], size)
    if any(step > 1 for step in strides):
        made = slice_(builder, made, [0] * len(size), size, strides)
    return [Open(made, tuple(dims))]


def _stepped(sampled: Sampled, axis: int, start: Dim) -> Factors:
    """The dim of a slice: as many elements as steps fit in, rounded up."""
    step = sampled.op.ints("strides")[axis]
    limit = sampled.space.affine([o.ints("limit")[axis] for o in sampled.ops])
    if step == 1 or limit is None:
        return sampled.dim(axis)
    count = divide_dim(add_dims(add_dims(limit, scale_dim(start, -1)), step - 1), step)
    sizes = [o.results[0].shape[axis] for o in sampled.ops]
    points = zip(sampled.space.points, sizes, strict=True)
    if count is None or any(substitute(count, point) != size for point, size in points):
        return sampled.dim(axis)
    sampled.space.learn(count, step)
    return (Factor(sizes[0], count),)


def _pad(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    x, fill = operands
    op = sampled.op
    padded = [
        axis
        for axis in range(len(x.dims))
        if any(
            (o.ints("low")[axis], o.ints("high")[axis], o.ints("interior")[axis]) != (0, 0, 0)
            for o in sampled.ops
        )
    ]
    if not sampled.same("low", "interior"):
        raise sampled.unsupported("what it puts before or between elements depends on the sizes")
    for axis in padded:
        if is_open(x.dims[axis]) and len(normal(x.dims[axis])) > 1:
            raise sampled.unsupported(f"it pads dim {axis}, a product of open sizes")
    value = bounder.masked(x, padded, fill.value)
    (made,) = bounder.builder.append(op, [value, fill.value])
    dims = tuple(
        sampled.dim(axis) if axis in padded else dim for axis, dim in enumerate(x.dims)
    )  # fmt: skip
    return [Open(made, dims)]


def _concatenate(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    op, builder = sampled.op, bounder.builder
    axis = op.integer("dimension")
    rank = len(operands[0].dims)
    dims: list[Factors] = []
    for k in range(rank):
        opened = [x.dims[k] for x in operands if is_open(x.dims[k])]
        dims.append(opened[0] if opened and k != axis else sampled.dim(k))
    if not any(is_open(x.dims[axis]) for x in operands[:-1]):
        (made,) = builder.append(op, [x.value for x in operands])
        return [Open(made, tuple(dims))]
    # Each operand is written where the ones before it end; the next one covers what it does not
    # use, and the last one's rest lies beyond the result's own size.
    (total,) = builder.append(op, [x.value for x in operands])
    place: Dim = 0
    zero = scalar(builder, 0, I32)
    for x in operands:
        at: list[Value] = [zero] * rank
        at[axis] = bounder.extent(place)
        total = builder.one("dynamic_update_slice", (total, x.value, *at))
        (factor,) = normal(x.dims[axis])
        place = add_dims(place, factor.extent)
    return [Open(total, tuple(dims))]


def _dynamic_slice(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    x, *starts = operands
    clamped = _clamped(bounder, sampled, x, starts)
    (made,) = bounder.builder.append(sampled.op, [x.value, *clamped])
    dims = [
        dim if _is_whole(sampled, axis) else sampled.dim(axis) for axis, dim in enumerate(x.dims)
    ]
    return [Open(made, tuple(dims))]


def _update(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    x, part, *starts = operands
    for axis, own in enumerate(part.dims):
        if is_open(own) and not _is_whole(sampled, axis):
            raise sampled.unsupported(f"the box that it writes is of open size in dim {axis}")
    clamped = _clamped(bounder, sampled, x, starts)
    (made,) = bounder.builder.append(sampled.op, [x.value, part.value, *clamped])
    return [Open(made, x.dims)]


def _is_whole(sampled: Sampled, axis: int) -> bool:
    """True if the box is as large as what it is taken from or written to, at every size."""
    box = 1 if sampled.op.name == "dynamic_update_slice" else None
    return all(
        (o.result if box is None else o.operands[box]).shape[axis] == o.operands[0].shape[axis]
        for o in sampled.ops
    )


def _clamped(
    bounder: Bounder, sampled: Sampled, x: Open, starts: Sequence[Open]
) -> Sequence[Value]:
    """Where the box begins: so that it fits into what is in use, as it would without capacities."""
    builder, op = bounder.builder, sampled.op
    box = op.operands[1].shape if op.name == "dynamic_update_slice" else op.result.shape
    found = []
    for axis, (dim, start) in enumerate(zip(x.dims, starts, strict=True)):
        if not is_open(dim) or _is_whole(sampled, axis):
            found.append(start.value)
            continue
        if len(normal(dim)) > 1:
            raise sampled.unsupported(f"its box lies in dim {axis}, a product of open sizes")
        if len({o.results[0].shape[axis] for o in sampled.ops}) > 1 and op.name == "dynamic_slice":
            raise sampled.unsupported(f"the box that it takes is of open size in dim {axis}")
        kind = start.value.dtype
        extent = convert(builder, bounder.extent(normal(dim)[0].extent), kind)
        last = binary(builder, "subtract", extent, scalar(builder, box[axis], kind))
        found.append(binary(builder, "minimum", start.value, last))
    return found


SLICE_RULES: Mapping[str, Rule] = {
    "slice": _slice,
    "pad": _pad,
    "concatenate": _concatenate,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _update,
}
