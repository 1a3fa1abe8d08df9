"""Which part of each value a call needs, where sizes are open.

A fused function at capacity (compiler/sizes) computes every place of its arrays; a call asks for
the first ones of its results only.  Going backward, each op tells what of its operands the part
that is needed of its result needs: the first so many places of each dim, or all.  Saying all is
always right, so ops without a rule say that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from tensorkiln.compiler.ir.dims import Affine, Dim, scale_dim
from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.dot import sides
from tensorkiln.compiler.ops.record import Element
from tensorkiln.compiler.sizes.factors import Dims, Factor, Factors, normal, regroup

Need: TypeAlias = tuple[Dim, ...]  # the first places of each dim that are needed


def prefix(dim: Factors) -> Dim:
    """The first places of a dim that hold everything in use."""
    outer, *inner = normal(dim)
    places = outer.extent
    for factor in inner:
        places = scale_dim(places, factor.size)
    return places


def needs(function: Function, results: Sequence[Dims]) -> dict[Value, Need]:
    """What is needed of every value of a fused function whose results are used as `results` say."""
    found: dict[Value, Need] = {}
    for value, dims in zip(function.results, results, strict=True):
        _ask(found, value, tuple(map(prefix, dims)))
    for position in function.aliases:  # state is kept whole
        _ask(found, function.results[position], function.results[position].shape)
    for op in reversed(function.ops):
        for operand, need in zip(op.operands, _of_op(op, found), strict=True):
            _ask(found, operand, need)
    return found


def _ask(found: dict[Value, Need], value: Value, need: Need) -> None:
    before = found.get(value)
    if before is not None:
        pairs = zip(before, need, value.shape, strict=True)
        need = tuple(a if a == b else size for a, b, size in pairs)
    found[value] = need


def _of_op(op: Op, found: Mapping[Value, Need]) -> list[Need]:
    wanted = [found.get(v) for v in op.results]
    whole = [v.shape for v in op.operands]
    asked = [w for w in wanted if w is not None]
    if not asked or all(_is_whole(w, v) for w, v in zip(wanted, op.results, strict=True)):
        return list(whole)
    if op.name == "fusion":
        return _of_region(op, found)
    if len(asked) > 1 or len(op.results) > 1:
        return list(whole)
    rule = _RULES.get(op.name)
    return list(rule(op, asked[0])) if rule is not None else list(whole)


def _is_whole(need: Need | None, value: Value) -> bool:
    return need is not None and need == value.shape


def _of_region(op: Op, found: Mapping[Value, Need]) -> list[Need]:
    (region,) = op.regions
    inner: dict[Value, Need] = {}
    for result, value in zip(op.results, region.results, strict=True):
        _ask(inner, value, found.get(result, result.shape))
    for each in reversed(region.ops):
        for operand, need in zip(each.operands, _of_op(each, inner), strict=True):
            _ask(inner, operand, need)
    return [inner.get(p, p.shape) for p in region.parameters]


def _elementwise(op: Op, need: Need) -> list[Need]:
    shape = op.result.shape
    return [need if v.shape == shape else v.shape for v in op.operands]


def _broadcast(op: Op, need: Need) -> list[Need]:
    (x,) = op.operands
    axes = op.ints("dimensions")
    return [
        tuple(
            need[axis] if size == op.result.shape[axis] else size
            for size, axis in zip(x.shape, axes, strict=True)
        )
    ]


def _reshape(op: Op, need: Need) -> list[Need]:
    (x,) = op.operands
    factors = tuple((Factor(size, n),) for size, n in zip(op.result.shape, need, strict=True))
    dims = regroup(factors, x.shape)
    return [x.shape if dims is None else tuple(map(prefix, dims))]


def _transpose(op: Op, need: Need) -> list[Need]:
    found = list(need)
    for axis, source in enumerate(op.ints("permutation")):
        found[source] = need[axis]
    return [tuple(found)]


def _slice(op: Op, need: Need) -> list[Need]:
    (x,) = op.operands
    whole = zip(op.ints("start"), op.ints("strides"), x.shape, need, strict=True)
    return [
        tuple(
            n if start == 0 and stride == 1 and isinstance(n, Affine) else size
            for start, stride, size, n in whole
        )
    ]


def _pad(op: Op, need: Need) -> list[Need]:
    x, fill = op.operands
    rows = zip(op.ints("low"), op.ints("interior"), x.shape, need, strict=True)
    kept = tuple(
        n if low == 0 and inner == 0 and isinstance(n, Affine) else size
        for low, inner, size, n in rows
    )
    return [kept, fill.shape]


def _concatenate(op: Op, need: Need) -> list[Need]:
    axis = op.integer("dimension")
    return [
        tuple(
            size if k == axis else n for k, (size, n) in enumerate(zip(v.shape, need, strict=True))
        )
        for v in op.operands
    ]


def _reduce(op: Op, need: Need) -> list[Need]:
    (x,) = op.operands
    folded = op.ints("dimensions")
    kept = iter(need)
    return [tuple(size if axis in folded else next(kept) for axis, size in enumerate(x.shape))]


def _dot(op: Op, need: Need) -> list[Need]:
    a, b = op.operands
    left, right = sides(op.attributes, (a.type.rank, b.type.rank))
    batch, rest = need[: len(left.batch)], iter(need[len(left.batch) :])
    found = []
    for value, side in ((a, left), (b, right)):
        own: list[Dim] = list(value.shape)
        for axis, n in zip(side.batch, batch, strict=True):
            own[axis] = n
        for axis in side.free:
            own[axis] = next(rest)
        found.append(tuple(own))
    return found


def _convolution(op: Op, need: Need) -> list[Need]:
    x, kernel = op.operands
    own: list[Dim] = list(x.shape)
    if op.integer("batch_groups") == 1:
        own[op.ints("lhs_spec")[0]] = need[op.ints("out_spec")[0]]
    return [tuple(own), kernel.shape]


def _window(op: Op, need: Need) -> list[Need]:
    (x,) = op.operands
    rows = zip(op.ints("window"), op.ints("strides"), x.shape, op.result.shape, need, strict=True)
    return [
        tuple(
            n if window == stride == 1 and size == made else size
            for window, stride, size, made, n in rows
        )
    ]


def _winograd_input(op: Op, need: Need) -> list[Need]:
    """Tiles lie in the order of batch, row, column."""
    (x,) = op.operands
    batch = op.ints("spec")[0]
    own: list[Dim] = list(x.shape)
    tiles = op.result.shape[1] // x.shape[batch]
    dims = regroup(((Factor(op.result.shape[1], need[1]),),), (x.shape[batch], tiles))
    if dims is not None:
        own[batch] = prefix(dims[0])
    return [tuple(own)]


def _winograd_output(op: Op, need: Need) -> list[Need]:
    x = op.operands[0]
    batch = op.ints("spec")[0]
    tiles = x.shape[1] // op.result.shape[batch]
    return [(x.shape[0], scale_dim(need[batch], tiles), x.shape[2])]


def _attention(op: Op, need: Need) -> list[Need]:
    """Batch and heads come first in all operands; rows of queries are those of the result."""
    query, *others = op.operands
    leading = query.type.rank - 2
    found: list[Need] = [(*need[: leading + 1], query.shape[-1])]
    for value in others:
        same = value.type.rank == query.type.rank
        found.append(
            tuple(
                need[k] if same and k < leading and size == query.shape[k] else size
                for k, size in enumerate(value.shape)
            )
        )
    return found


def _gather(op: Op, need: Need) -> list[Need]:
    x, indices = op.operands
    vector = op.integer("index_vector_dim")
    offsets = op.ints("offset_dims")
    batch = iter(n for axis, n in enumerate(need) if axis not in offsets)
    own = tuple(
        size if axis == vector else next(batch) for axis, size in enumerate(indices.shape)
    )  # fmt: skip
    return [x.shape, own]


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
    "attention": _attention,
    "winograd_input": _winograd_input,
    "winograd_output": _winograd_output,
}
