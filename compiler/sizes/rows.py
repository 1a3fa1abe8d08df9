"""Whether a function computes each row of a batch by itself.

Forward from parameters whose dim 0 is the batch, each op says along which dim of its results the
rows lie, if each depends on the same row of its operands only.  What is not known to keep rows
apart is taken to mix them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeAlias

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.checks import pairs
from tensorkiln.compiler.ops.dot import sides
from tensorkiln.compiler.ops.gather_dims import gather_map
from tensorkiln.compiler.ops.record import Element
from tensorkiln.compiler.passes.expand_composites import expand_composites

Axes: TypeAlias = (
    "Sequence[int | None]"  # of each operand: the dim of its rows, None if it has none
)


def mixing_op(function: Function, batched: Collection[str]) -> Op | None:
    """The first op that may mix rows, None if there is none.

    Dim 0 of the parameters named in `batched`, which is larger than 1, counts the rows.
    """
    whole = expand_composites(function)
    found: dict[Value, int] = {p: 0 for p in whole.parameters if p.name in batched}
    made: dict[Value, Op] = {}
    for op in whole.ops:
        made.update(dict.fromkeys(op.results, op))
        axes = [found.get(v) for v in op.operands]
        if all(axis is None for axis in axes):
            continue
        rule = _RULES.get(op.name)
        axis = None if rule is None else rule(op, axes)
        if axis is None:
            return op
        found.update(dict.fromkeys(op.results, axis))
    return next((made[v] for v in whole.results if found.get(v, 0) != 0), None)


def _common(axes: Axes) -> int | None:
    """The dim of rows that all operands which have rows have them along."""
    known = {axis for axis in axes if axis is not None}
    return known.pop() if len(known) == 1 else None


def _elementwise(op: Op, axes: Axes) -> int | None:
    return _common(axes)


def _reshape(op: Op, axes: Axes) -> int | None:
    (axis,) = axes
    before, after = op.operands[0].shape, op.result.shape
    assert axis is not None
    for place, size in enumerate(after):
        if size == before[axis] and math.prod(after[:place]) == math.prod(before[:axis]):
            return place
    return None


def _transpose(op: Op, axes: Axes) -> int | None:
    return None if axes[0] is None else op.ints("permutation").index(axes[0])


def _broadcast(op: Op, axes: Axes) -> int | None:
    return None if axes[0] is None else op.ints("dimensions")[axes[0]]


def _whole(op: Op, axes: Axes) -> int | None:
    """All of the rows are taken, by places that no row tells."""
    axis = axes[0]
    if axis is None or any(other is not None for other in axes[1:]):
        return None
    return axis if op.result.shape[axis] == op.operands[0].shape[axis] else None


def _unless(name: str) -> Callable[[Op, Axes], int | None]:
    """Ops that work along the dims which an attribute names."""

    def rule(op: Op, axes: Axes) -> int | None:
        axis = _common(axes)
        along = op.attributes[name]
        return None if axis in (along if isinstance(along, tuple) else (along,)) else axis

    return rule


def _folded(name: str) -> Callable[[Op, Axes], int | None]:
    """Ops that fold the dims which an attribute names."""

    def rule(op: Op, axes: Axes) -> int | None:
        axis = _common(axes)
        along = op.attributes[name]
        gone = along if isinstance(along, tuple) else (along,)
        if axis is None or axis in gone:
            return None
        return axis - sum(isinstance(k, int) and k < axis for k in gone)

    return rule


def _pad(op: Op, axes: Axes) -> int | None:
    axis = axes[0]
    names = ("low", "high", "interior")
    if axis is None or axes[1] is not None or any(op.ints(name)[axis] for name in names):
        return None
    return axis


def _dot(op: Op, axes: Axes) -> int | None:
    ranks = [v.type.rank for v in op.operands]
    left, right = sides(op.attributes, (ranks[0], ranks[1]))
    count = len(left.batch)
    begins = (count, count + len(left.free))
    places = []
    for axis, side, begin in zip(axes, (left, right), begins, strict=True):
        if axis is None:
            continue
        if axis in side.batch:
            places.append(side.batch.index(axis))
        elif axis in side.free:
            places.append(begin + side.free.index(axis))
        else:
            return None
    return _common(places)


def _convolution(op: Op, axes: Axes) -> int | None:
    apart = axes[1] is None and op.integer("batch_groups") == 1
    return op.ints("out_spec")[0] if apart and axes[0] == op.ints("lhs_spec")[0] else None


def _window(op: Op, axes: Axes) -> int | None:
    axis = axes[0]
    if axis is None or op.ints("window")[axis] != 1 or op.ints("strides")[axis] != 1:
        return None
    return axis if tuple(pairs(op.attributes, "padding")[axis]) == (0, 0) else None


def _gather(op: Op, axes: Axes) -> int | None:
    """Slices of all rows, or rows of indices."""
    x, indices = op.operands
    places = gather_map(op.attributes)
    offsets = op.ints("offset_dims")
    if places.batching or None not in axes:
        return None
    if axes[0] is not None:
        kept = [k for k in range(x.type.rank) if k not in op.ints("collapsed_slice_dims")]
        whole = op.ints("slice_sizes")[axes[0]] == x.shape[axes[0]]
        return offsets[kept.index(axes[0])] if axes[0] in kept and whole else None
    batch = [k for k in range(op.result.type.rank) if k not in offsets]
    own = [k for k in range(indices.type.rank) if k != places.vector]
    return batch[own.index(axes[1])] if axes[1] in own else None


_ELSEWHERE = ("bitcast_convert", "dynamic_update_slice")  # whose elements look at other places

_RULES: Mapping[str, Callable[[Op, Axes], int | None]] = {
    **{
        r.name: _elementwise
        for r in REGISTRY
        if isinstance(r.lowering, Element) and r.name not in _ELSEWHERE
    },
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast_in_dim": _broadcast,
    "slice": _whole,
    "dynamic_slice": _whole,
    "reverse": _unless("dimensions"),
    "concatenate": _unless("dimension"),
    "cumulative": _unless("dimension"),
    "sort": _unless("dimension"),
    "top_k": _unless("dimension"),
    "reduce": _folded("dimensions"),
    "arg_reduce": _folded("dimension"),
    "pad": _pad,
    "dot_general": _dot,
    "integer_dot": _dot,
    "convolution": _convolution,
    "integer_convolution": _convolution,
    "reduce_window": _window,
    "gather": _gather,
}
