"""Which part of each value a call needs, where sizes are open.

A fused function at capacity (compiler/sizes) computes every place of its arrays; a call asks for
the first ones of its results only.  Going backward, each op tells what of its operands the part
that is needed of its result needs, as factors of each dim.  Saying all is always right, so ops
without a rule say that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tensorkiln.compiler.ir.dims import Affine, Dim, add_dims, least_dim, scale_dim
from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.composite_attention import attention_operands
from tensorkiln.compiler.ops.dot import sides
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


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of values that tell sizes.

    `counts` are scalars (and what repeats them) that are sizes or integers; `places` are vectors
    of 0, 1, 2, ...; `masks` are true at the first so many places of a dim.
    """

    counts: dict[Value, Dim]
    places: dict[Value, None]
    masks: dict[Value, tuple[int, Dim]]


def needs(
    function: Function, results: Sequence[Dims], sizes: Mapping[Value, Dim]
) -> dict[Value, Need]:
    """What is needed of every value of a fused function whose results are used as `results` say.

    `sizes` are the parameters that tell the sizes of a call.
    """
    known = _Known(dict(sizes), {}, {})
    for op in function.ops:
        _learn(op, known)
    found: dict[Value, Need] = {}
    for value, dims in zip(function.results, results, strict=True):
        _ask(found, value, tuple(map(normal, dims)))
    for position in function.aliases:  # state is kept whole
        _ask(found, function.results[position], whole(function.results[position]))
    for op in reversed(function.ops):
        for operand, need in zip(op.operands, _of_op(op, found, known), strict=True):
            _ask(found, operand, need)
    return found


def whole(value: Value) -> Need:
    """All of a value."""
    return tuple(map(normal, closed_dims(value.shape)))


def _learn(op: Op, known: _Known) -> None:
    """Takes note of results that are sizes or masks."""
    counts, masks = known.counts, known.masks
    match op.name:
        case "fusion":
            (region,) = op.regions
            _rename(known, op.operands, region.parameters)
            for each in region.ops:
                _learn(each, known)
            _rename(known, region.results, op.results)
        case "broadcast_in_dim":
            (x,) = op.operands
            if x in counts:
                counts[op.result] = counts[x]
            elif x in masks:
                axis, dim = masks[x]
                masks[op.result] = (op.ints("dimensions")[axis], dim)
        case "compare" if op.string("direction") in ("LT", "GT") and op.result.type.rank == 1:
            place, number = op.operands if op.string("direction") == "LT" else op.operands[::-1]
            if number in counts and place in known.places:
                masks[op.result] = (0, counts[number])
        case "iota" if op.result.type.rank == 1:
            known.places[op.result] = None
        case "constant" if op.result.dtype is I32:
            array = op.array("value")
            if array.ndim == 0:
                counts[op.result] = int(array)
            elif array.ndim == 1 and bool((array == np.arange(array.size)).all()):
                known.places[op.result] = None
        case "add" | "multiply":
            a, b = (counts.get(v) for v in op.operands)
            if a is not None and b is not None:
                _combine(op, a, b, counts)
        case _:
            pass


def _combine(op: Op, a: Dim, b: Dim, counts: dict[Value, Dim]) -> None:
    if op.name == "add":
        counts[op.result] = add_dims(a, b)
    elif isinstance(b, int):
        counts[op.result] = scale_dim(a, b)
    elif isinstance(a, int):
        counts[op.result] = scale_dim(b, a)


def _rename(known: _Known, old: Sequence[Value], new: Sequence[Value]) -> None:
    for a, b in zip(old, new, strict=True):
        if a in known.counts:
            known.counts[b] = known.counts[a]
        if a in known.masks:
            known.masks[b] = known.masks[a]
        if a in known.places:
            known.places[b] = None


def _ask(found: dict[Value, Need], value: Value, need: Need) -> None:
    before = found.get(value)
    if before is not None:
        pairs = zip(before, need, value.shape, strict=True)
        need = tuple(_either(a, b, size) for a, b, size in pairs)
    found[value] = need


def _either(a: Factors, b: Factors, size: int) -> Factors:
    """What holds both parts of a dim."""
    if a == b:
        return a
    if len(a) == len(b) == 1:
        for more, less in ((a, b), (b, a)):
            rest = add_dims(more[0].extent, scale_dim(less[0].extent, -1))
            if least_dim(rest) >= 0:
                return more
    return closed(size)


def _of_op(op: Op, found: Mapping[Value, Need], known: _Known) -> list[Need]:
    every = [whole(v) for v in op.operands]
    asked = [found[v] for v in op.results if v in found]
    if not asked:
        return every
    if op.name == "fusion":
        return _of_region(op, found, known)
    if len(op.results) > 1:
        return every
    if op.name == "select":
        return _select(op, asked[0], known)
    if op.name == "attention":
        return _attention(op, asked[0], known)
    rule = _RULES.get(op.name)
    return list(rule(op, asked[0])) if rule is not None else every


def _of_region(op: Op, found: Mapping[Value, Need], known: _Known) -> list[Need]:
    (region,) = op.regions
    inner: dict[Value, Need] = {}
    for result, value in zip(op.results, region.results, strict=True):
        _ask(inner, value, found.get(result, whole(result)))
    for each in reversed(region.ops):
        for operand, need in zip(each.operands, _of_op(each, inner, known), strict=True):
            _ask(inner, operand, need)
    return [inner.get(p, whole(p)) for p in region.parameters]


def _elementwise(op: Op, need: Need) -> list[Need]:
    shape = op.result.shape
    return [need if v.shape == shape else whole(v) for v in op.operands]


def _select(op: Op, need: Need, known: _Known) -> list[Need]:
    """Behind a mask nothing is needed of what it keeps out."""
    condition, on_true, on_false = _elementwise(op, need)
    mask = known.masks.get(op.operands[0])
    if mask is not None and isinstance(mask[1], Affine):
        axis, dim = mask
        inside = (Factor(op.result.shape[axis], dim),)
        on_true = (*on_true[:axis], inside, *on_true[axis + 1 :])
    return [condition, on_true, on_false]


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


def _attention(op: Op, need: Need, known: _Known) -> list[Need]:
    """Batch and heads come first in all operands; rows of queries are those of the result."""
    given = attention_operands(op)
    query, *others = op.operands
    leading = query.type.rank - 2
    found: list[Need] = [(*need[: leading + 1], closed(query.shape[-1]))]
    count = known.counts.get(given.used) if given.used is not None else None
    for value in others:
        same = value.type.rank == query.type.rank
        own = [
            need[k] if same and k < leading and size == query.shape[k] else closed(size)
            for k, size in enumerate(value.shape)
        ]
        if isinstance(count, Affine) and value in (given.k, given.v):
            own[1] = (Factor(value.shape[1], count),)
        found.append(tuple(own))
    return found


def _gather(op: Op, need: Need) -> list[Need]:
    x, indices = op.operands
    vector = op.integer("index_vector_dim")
    offsets = op.ints("offset_dims")
    batch = iter(n for axis, n in enumerate(need) if axis not in offsets)
    own = tuple(
        closed(size) if axis == vector else next(batch) for axis, size in enumerate(indices.shape)
    )
    return [whole(x), own]


_ELSEWHERE = ("dynamic_slice", "dynamic_update_slice", "bitcast_convert", "reverse")

_RULES: Mapping[str, Callable[[Op, Need], Sequence[Need]]] = {
    **{
        record.name: _elementwise
        for record in REGISTRY
        if isinstance(record.lowering, Element) and record.name not in _ELSEWHERE
    },
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "pad": _pad,
    "concatenate": _concatenate,
    "gather": _gather,
    "reduce": _reduce,
    "dot_general": _dot,
    "convolution": _convolution,
    "reduce_window": _window,
    "winograd_input": _winograd_input,
    "winograd_output": _winograd_output,
}
