"""Dims that merge several open sizes, brought into another order.

    n = 2 of 3 rows, m = 2 of 4 columns      0 1 . .  4 5 . .  . . . .     as factors
                                             0 1 4 5  . . . .  . . . .     densely

Reshapes and broadcasts leave merged dims as factors, each with places at capacity.  Ops that look
at neighbours, number elements or join pieces want a dim's elements one behind the other; so do
operands whose dims are made of the same sizes in other orders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Element
from tensorkiln.compiler.ops.shorthand import iota, reshape, take
from tensorkiln.compiler.sizes.bounder import Bounder, Open
from tensorkiln.compiler.sizes.factors import Factors, capacity, dense, is_open, normal
from tensorkiln.compiler.sizes.numbering import among_used, at_capacity
from tensorkiln.compiler.sizes.samples import Sampled


def relaid(bounder: Bounder, x: Open, axis: int, to: Factors) -> Open:
    """The value with what is in use of a dim at the places that `to` says, in the same order."""
    own, to = normal(x.dims[axis]), normal(to)
    if own == to:
        return x
    builder = bounder.builder
    place = iota(builder, (capacity(to),), 0, I32)
    number = at_capacity(bounder, among_used(bounder, place, to), own)
    # Nobody needs what the mask keeps out, and factors that are dims of their own can be masked.
    shape = x.value.shape
    split = (*shape[:axis], *(factor.size for factor in own), *shape[axis + 1 :])
    whole: Factors = ()
    dims = [whole] * len(split)
    dims[axis : axis + len(own)] = [(factor,) for factor in own]
    apart = Open(reshape(builder, x.value, split), tuple(dims))
    kept = bounder.masked_with(apart, range(axis, axis + len(own)), 0)
    made = take(builder, reshape(builder, kept, shape), number, axis)
    return Open(made, (*x.dims[:axis], to, *x.dims[axis + 1 :]))


def dense_along(bounder: Bounder, x: Open, axes: Iterable[int]) -> Open:
    """The value whose dims `axes` are dense."""
    for axis in axes:
        x = relaid(bounder, x, axis, dense(x.dims[axis]))
    return x


def alike(
    bounder: Bounder, operands: Sequence[Open], pairs: Sequence[Sequence[int | None]]
) -> list[Open]:
    """The operands, of which dims that are to be alike lie alike.

    Each of `pairs` has the number of the dim in every operand, None where it has none.
    """
    found = list(operands)
    for pair in pairs:
        told = [(k, axis) for k, axis in enumerate(pair) if axis is not None]
        telling = [(k, axis) for k, axis in told if axis not in found[k].uniform]
        dims = {normal(found[k].dims[axis]) for k, axis in telling}
        if len({dim for dim in dims if is_open(dim)}) > 1:
            for k, axis in telling:
                found[k] = dense_along(bounder, found[k], (axis,))
    return found


def ready(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> list[Open]:
    """The operands as the rule of their op takes them."""
    if not any(len(normal(dim)) > 1 for x in operands for dim in x.dims if is_open(dim)):
        return list(operands)
    name = sampled.op.name
    found = list(operands)
    if name in _SAME:
        rank = max(len(x.dims) for x in operands)
        whole = [len(x.dims) == rank for x in operands]
        pairs = [[axis if own else None for own in whole] for axis in range(rank)]
        found = alike(bounder, operands, pairs)
    axes = _DENSE.get(name, _every)
    return [dense_along(bounder, x, axes(sampled, k, x)) for k, x in enumerate(found)]


_Axes: TypeAlias = Callable[[Sampled, int, Open], Iterable[int]]


def _every(sampled: Sampled, number: int, x: Open) -> Iterable[int]:
    return range(len(x.dims))


def _none(sampled: Sampled, number: int, x: Open) -> Iterable[int]:
    return ()


def _dimension(sampled: Sampled, number: int, x: Open) -> Iterable[int]:
    return (sampled.op.integer("dimension"),) if x.dims else ()


def _reversed(sampled: Sampled, number: int, x: Open) -> Iterable[int]:
    return sampled.op.ints("dimensions")


def _padded(sampled: Sampled, number: int, x: Open) -> Iterable[int]:
    names = ("low", "high", "interior")
    return {a for a in range(len(x.dims)) for o in sampled.ops for n in names if o.ints(n)[a]}


def _resized(sampled: Sampled, number: int, x: Open) -> Iterable[int]:
    """Where the first result is not as large as the operand."""
    rank = len(x.dims)
    if rank != sampled.op.results[0].type.rank:
        return ()
    return [
        axis
        for axis in range(rank)
        if any(o.results[0].shape[axis] != o.operands[number].shape[axis] for o in sampled.ops)
    ]


def _box(sampled: Sampled, number: int, x: Open) -> Iterable[int]:
    """Where the box that is written is not as large as what it is written to."""
    shapes = [[o.operands[k].shape for k in (0, 1)] for o in sampled.ops]
    return [
        axis for axis in range(len(x.dims)) if any(own[axis] != box[axis] for own, box in shapes)
    ]


def _sliding(sampled: Sampled, number: int, x: Open) -> Iterable[int]:
    if not x.dims:
        return ()
    numbers = zip(sampled.op.ints("window"), sampled.op.ints("strides"), strict=True)
    moved = {axis for axis, (size, stride) in enumerate(numbers) if size > 1 or stride > 1}
    return moved.union(_resized(sampled, number, x))


def _spatial(sampled: Sampled, number: int, x: Open) -> Iterable[int]:
    return sampled.op.ints("rhs_spec" if number else "lhs_spec")[2:]


# Along which dims of its operands an op wants elements one behind the other; others along all.
_DENSE: Mapping[str, _Axes] = {
    **{r.name: _none for r in REGISTRY if isinstance(r.lowering, Element)},
    **dict.fromkeys(
        ("reshape", "transpose", "broadcast_in_dim", "constant", "iota", "reduce", "reduce_by",
         "softmax", "log_softmax", "layer_norm", "batch_norm_inference", "dot_general",
         "integer_dot", "gather", "scatter", "scatter_by", "scatter_windows", "while", "case"),
        _none,
    ),
    **dict.fromkeys(
        ("arg_reduce", "cumulative", "scan_by", "top_k", "sort", "sort_by", "concatenate"),
        _dimension,
    ),
    **dict.fromkeys(("reduce_window", "arg_reduce_window", "reduce_window_by"), _sliding),
    **dict.fromkeys(("convolution", "integer_convolution"), _spatial),
    "reverse": _reversed,
    "pad": _padded,
    "slice": _resized,
    "dynamic_slice": _resized,
    "dynamic_update_slice": _box,
    "bitcast_convert": _every,
}  # fmt: skip
# Ops whose operands of the highest rank have dims that are alike, along most of them.
_SAME = frozenset(
    (*(r.name for r in REGISTRY if isinstance(r.lowering, Element)), "sort", "sort_by",
     "concatenate", "dynamic_update_slice", "reduce_by", "scan_by", "reduce_window_by")
) - {"pad", "slice", "dynamic_slice", "gather", "reshape", "transpose", "broadcast_in_dim",
     "bitcast_convert"}  # fmt: skip
