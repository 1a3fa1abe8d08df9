"""What of its operands an op needs, where part of its result is needed: one rule an op.

A rule is given the op and how much of each dim of its result is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.dot import sides
from tensorkiln.compiler.ops.gather_dims import gather_map
from tensorkiln.compiler.ops.record import Element
from tensorkiln.compiler.sizes.factors import (
    Dims,
    Factor,
    Factors,
    capacity,
    closed,
    closed_dims,
    normal,
    regroup,
)

Need: TypeAlias = Dims  # how much of each dim is needed


def whole(value: Value) -> Need:
    """All of a value."""
    return tuple(map(normal, closed_dims(value.shape)))


def elementwise(op: Op, need: Need) -> list[Need]:
    """An element of the result needs the operands' elements at its place."""
    shape = op.result.shape
    return [need if v.shape == shape else whole(v) for v in op.operands]


def _broadcast(op: Op, need: Need) -> list[Need]:
    (x,) = op.operands
    axes = op.ints("dimensions")
    return [
        tuple(
            need[axis] if size == op.result.shape[axis] else closed(size)
            for size, axis in zip(x.shape, axes, strict=True)
        )
    ]


def _reshape(op: Op, need: Need) -> list[Need]:
    (x,) = op.operands
    dims = regroup(need, x.shape)
    return [whole(x) if dims is None else tuple(map(normal, dims))]


def _transpose(op: Op, need: Need) -> list[Need]:
    found = list(need)
    for axis, source in enumerate(op.ints("permutation")):
        found[source] = need[axis]
    return [tuple(found)]


def _slice(op: Op, need: Need) -> list[Need]:
    (x,) = op.operands
    rows = zip(op.ints("start"), op.ints("strides"), x.shape, need, strict=True)
    return [
        tuple(
            _resized(n, size) if start == 0 and stride == 1 else closed(size)
            for start, stride, size, n in rows
        )
    ]


def _pad(op: Op, need: Need) -> list[Need]:
    x, fill = op.operands
    rows = zip(op.ints("low"), op.ints("interior"), x.shape, need, strict=True)
    kept = tuple(
        _resized(n, size) if low == 0 and inner == 0 else closed(size)
        for low, inner, size, n in rows
    )
    return [kept, whole(fill)]


def _resized(dim: Factors, size: int) -> Factors:
    """The same first places of a dim of another size."""
    if len(dim) > 1:
        return dim if capacity(dim) == size else closed(size)
    return (Factor(size, dim[0].extent),)


def _concatenate(op: Op, need: Need) -> list[Need]:
    axis = op.integer("dimension")
    return [
        tuple(
            closed(size) if k == axis else n
            for k, (size, n) in enumerate(zip(v.shape, need, strict=True))
        )
        for v in op.operands
    ]


def _reduce(op: Op, need: Need) -> list[Need]:
    (x,) = op.operands
    folded = op.ints("dimensions")
    kept = iter(need)
    return [
        tuple(closed(size) if axis in folded else next(kept) for axis, size in enumerate(x.shape))
    ]


def _dot(op: Op, need: Need) -> list[Need]:
    a, b = op.operands
    left, right = sides(op.attributes, (a.type.rank, b.type.rank))
    batch, rest = need[: len(left.batch)], iter(need[len(left.batch) :])
    found = []
    for value, side in ((a, left), (b, right)):
        own = list(whole(value))
        for axis, n in zip(side.batch, batch, strict=True):
            own[axis] = n
        for axis in side.free:
            own[axis] = next(rest)
        found.append(tuple(own))
    return found


def _convolution(op: Op, need: Need) -> list[Need]:
    x, kernel = op.operands
    own = list(whole(x))
    if op.integer("batch_groups") == 1:
        own[op.ints("lhs_spec")[0]] = need[op.ints("out_spec")[0]]
    return [tuple(own), whole(kernel)]


def _window(op: Op, need: Need) -> list[Need]:
    (x,) = op.operands
    rows = zip(op.ints("window"), op.ints("strides"), x.shape, op.result.shape, need, strict=True)
    return [
        tuple(
            n if window == stride == 1 and size == made else closed(size)
            for window, stride, size, made, n in rows
        )
    ]


def _winograd_input(op: Op, need: Need) -> list[Need]:
    """Tiles lie in the order of batch, row, column."""
    (x,) = op.operands
    batch = op.ints("spec")[0]
    own = list(whole(x))
    tiles = op.result.shape[1] // x.shape[batch]
    dims = regroup((need[1],), (x.shape[batch], tiles))
    if dims is not None:
        own[batch] = normal(dims[0])
    return [tuple(own)]


def _winograd_output(op: Op, need: Need) -> list[Need]:
    x = op.operands[0]
    batch = op.ints("spec")[0]
    tiles = x.shape[1] // op.result.shape[batch]
    return [(closed(x.shape[0]), normal((*need[batch], Factor(tiles, tiles))), closed(x.shape[2]))]


def _gather(op: Op, need: Need) -> list[Need]:
    """Slices that have all of a dim need of it what the result does."""
    x, indices = op.operands
    vector = op.integer("index_vector_dim")
    offsets = op.ints("offset_dims")
    gone = {*op.ints("collapsed_slice_dims"), *gather_map(op.attributes).batching}
    kept = [axis for axis in range(x.type.rank) if axis not in gone]
    source = list(whole(x))
    for axis, place in zip(kept, offsets, strict=True):
        if op.ints("slice_sizes")[axis] == x.shape[axis]:
            source[axis] = need[place]
    batch = iter(n for axis, n in enumerate(need) if axis not in offsets)
    own = tuple(
        closed(size) if axis == vector else next(batch) for axis, size in enumerate(indices.shape)
    )
    return [tuple(source), own]


def _dynamic_slice(op: Op, need: Need) -> list[Need]:
    """A box as large as its operand along a dim begins at its start there."""
    x, *starts = op.operands
    rows = zip(x.shape, op.result.shape, need, strict=True)
    own = tuple(n if size == made else closed(size) for size, made, n in rows)
    return [own, *map(whole, starts)]


def _dynamic_update(op: Op, need: Need) -> list[Need]:
    x, update, *starts = op.operands
    rows = zip(x.shape, update.shape, need, strict=True)
    own = tuple(n if size == box else closed(box) for size, box, n in rows)
    return [need, own, *map(whole, starts)]


_ELSEWHERE = ("dynamic_slice", "dynamic_update_slice", "bitcast_convert", "reverse")

RULES: Mapping[str, Callable[[Op, Need], Sequence[Need]]] = {
    **{
        record.name: elementwise
        for record in REGISTRY
        if isinstance(record.lowering, Element) and record.name not in _ELSEWHERE
    },
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "pad": _pad,
    "concatenate": _concatenate,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update,
    "gather": _gather,
    "reduce": _reduce,
    "dot_general": _dot,
    "convolution": _convolution,
    "reduce_window": _window,
    "winograd_input": _winograd_input,
    "winograd_output": _winograd_output,
}
