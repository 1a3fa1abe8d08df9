"""Max pooling and its gradient: one walk forward, and sums of what is pooled on the way back."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TypeAlias

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.checks import pairs
from tensorkiln.compiler.passes.facts import is_number
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, rewrite, same_or_new

_KINDS = {"maximum": "max", "minimum": "min"}

Pooling: TypeAlias = tuple[Hashable, ...]  # an image, the extreme looked for, and the windows


def pooling_gradients(function: Function) -> Function:
    """Takes work off the gradients of pooling by extremes.

        %y = reduce_window(%x)             ->    %y, %i = arg_reduce_window(%x)
        %v, %i = arg_reduce_window(%x)

        %m = compare(%x, %c)                     %m = compare(%v, %c)
        %s = scatter_windows(%i, %g)       ->    %h = select(%m, %g, 0)
        %d = select(%m, %s, 0)                   %d = scatter_windows(%i, %h)

        %d = scatter_windows(%i, %g)       ->    %b = reduce(%g)
        %b = reduce(%d) {"add"}

    So the image is read once, going forward; the mask of a rectifier before the pool and the sum
    for a bias before it are made of one number a window.  The sum adds the same numbers in
    another order; all else is exact but for the sign of a zero among equal extremes.
    """
    function = _together(function)
    return rewrite(function, {"select": (_mask_of_windows,), "reduce": (_sum_of_windows,)})


def _together(function: Function) -> Function:
    """Extremes of windows made where their places are made too."""
    placed = {_pooling(op): op for op in function.ops if op.name == "arg_reduce_window"}
    made: dict[Pooling, Value] = {}
    values: dict[Value, Value] = {}
    ops: list[Op] = []
    for op in function.ops:
        key = _pooling(op)
        if key is None or key not in placed:
            ops.append(_reading(op, values))
        elif key in made:
            values[op.results[0]] = made[key]
        elif op is (both := placed[key]):
            made[key] = op.results[0]
            ops.append(_reading(op, values))
        else:
            made[key] = op.results[0]
            moved = replace(both, results=(op.results[0], both.results[1]), location=op.location)
            ops.append(_reading(moved, values))
    results = tuple(values.get(v, v) for v in function.results)
    return same_or_new(function, ops, results)


def _reading(op: Op, values: dict[Value, Value]) -> Op:
    operands = tuple(values.get(v, v) for v in op.operands)
    return op if operands == op.operands else replace(op, operands=operands)


def _pooling(op: Op) -> Pooling | None:
    """What an op looks for in which windows, equal for a pooling and the places of its extremes."""
    if op.name == "arg_reduce_window":
        kind = op.string("kind")
    elif op.name == "reduce_window" and set(op.ints("base_dilations")) <= {1}:
        if op.string("reducer") not in _KINDS or not op.operands[0].dtype.is_number:
            return None
        kind = _KINDS[op.string("reducer")]
    else:
        return None
    return (op.operands[0], kind, *_windows(op))


def _windows(op: Op) -> tuple[Hashable, ...]:
    padding = tuple(tuple(pair) for pair in pairs(op.attributes, "padding"))
    return (op.ints("window"), op.ints("strides"), op.ints("window_dilations"), padding)


def _mask_of_windows(rewriter: Rewriter, op: Op) -> Replacement:
    """A mask that depends on the image alone is, at a window's extreme, that of the extreme."""
    condition, whole, other = op.operands
    scatter, mask = rewriter.producer(whole, "scatter_windows"), rewriter.producer(condition)
    if scatter is None or not rewriter.has_one_use(whole):
        return None
    if not is_number(rewriter.splat(other), 0.0) or mask is None or mask.name != "compare":
        return None
    indices, source = scatter.operands
    places, limit = rewriter.producer(indices, "arg_reduce_window"), mask.operands[1]
    number = rewriter.splat(limit)
    if places is None or number is None or mask.operands[0] is not places.operands[0]:
        return None
    extremes = places.results[0]
    (passes,) = rewriter.op(
        "compare", (extremes, rewriter.splat_like(number, extremes)), mask.attributes
    )
    zeros = shorthand.zeros_like(rewriter, source)
    chosen = shorthand.select(rewriter, passes, source, zeros)
    return rewriter.op("scatter_windows", (indices, chosen), scatter.attributes)


def _sum_of_windows(rewriter: Rewriter, op: Op) -> Replacement:
    """What is scattered to one place each sums up to the same as the places do."""
    scatter = rewriter.producer(op.operands[0], "scatter_windows")
    if scatter is None or op.string("reducer") != "add":
        return None
    indices, source = scatter.operands
    places = rewriter.producer(indices, "arg_reduce_window")
    if places is None or _windows(places) != _windows(scatter):
        return None
    if not _meet_the_image(scatter) or source.type.elements >= scatter.result.type.elements:
        return None
    windows, strides = scatter.ints("window"), scatter.ints("strides")
    moved = {axis for axis, pair in enumerate(zip(windows, strides, strict=True)) if pair != (1, 1)}
    dimensions = op.ints("dimensions")
    if not moved <= set(dimensions):
        return None
    return shorthand.reduce(rewriter, source, "add", dimensions)


def _meet_the_image(op: Op) -> bool:
    """True if no window lies in the padding alone, and so has no place."""
    ends = pairs(op.attributes, "padding")
    return set(op.ints("window_dilations")) <= {1} and all(
        0 <= end < size for size, pair in zip(op.ints("window"), ends, strict=True) for end in pair
    )
