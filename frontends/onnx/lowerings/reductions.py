"""Reductions over axes; the axes moved from an attribute to an input (opset 13 for ReduceSum, 18
for the others)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from tensorkiln.compiler.ir.dtypes import BOOL, I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.scan_gradient import cumulative
from tensorkiln.compiler.ops.shorthand import (
    arg_reduce,
    axis_of,
    binary,
    expand_dims,
    full_like,
    reduce,
    reduce_mean,
    reduce_sum,
    reverse,
    scalar,
    select,
)  # fmt: skip
from tensorkiln.frontends.onnx.lowerings.movement import axes_attribute, axes_input
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering

Axes: TypeAlias = "Sequence[int] | None"
Fold: TypeAlias = Callable[[Builder, Value, Axes, bool], Value]


def _plain(reducer: str, builder: Builder, x: Value, axes: Axes, keep: bool) -> Value:
    if x.dtype == BOOL:
        reducer = {"maximum": "or", "minimum": "and"}[reducer]
    return reduce(builder, x, reducer, axes, keep)


def _square_sum(builder: Builder, x: Value, axes: Axes, keep: bool) -> Value:
    return reduce_sum(builder, builder.one("multiply", (x, x)), axes, keep)


def _l1(builder: Builder, x: Value, axes: Axes, keep: bool) -> Value:
    return reduce_sum(builder, builder.one("abs", (x,)), axes, keep)


def _l2(builder: Builder, x: Value, axes: Axes, keep: bool) -> Value:
    return builder.one("sqrt", (_square_sum(builder, x, axes, keep),))


def _log_sum(builder: Builder, x: Value, axes: Axes, keep: bool) -> Value:
    return builder.one("log", (reduce_sum(builder, x, axes, keep),))


def _log_sum_exp(builder: Builder, x: Value, axes: Axes, keep: bool) -> Value:
    """m + log(sum(exp(x - m))) with m the maximum, or 0 where that is not finite."""
    highest = reduce(builder, x, "maximum", axes, True)
    finite = builder.one("is_finite", (highest,))
    shift = select(builder, finite, highest, full_like(builder, highest, 0))
    moved = builder.one("exponential", (binary(builder, "subtract", x, shift),))
    total = builder.one("log", (reduce_sum(builder, moved, axes, True),))
    whole = builder.one("add", (total, shift))
    # Folding over dims of size 1 drops them where they are not to be kept.
    return whole if keep else reduce(builder, whole, "add", axes)


def _reduced(fold: Fold, node: Node, axes: Sequence[int] | None) -> Value:
    x = node.value()
    if not axes and node.integer("noop_with_empty_axes", 0):
        return _without_axes(fold, node, x)
    return fold(node.builder, x, axes or None, bool(node.integer("keepdims")))


def _without_axes(fold: Fold, node: Node, x: Value) -> Value:
    """What each element gives when it is folded alone."""
    alone = expand_dims(node.builder, x, (x.type.rank,))
    return fold(node.builder, alone, (x.type.rank,), False)


def _by_attribute(fold: Fold, node: Node) -> Value:
    return _reduced(fold, node, axes_attribute(node))


def _by_input(fold: Fold, node: Node) -> Value:
    return _reduced(fold, node, axes_input(node, 1))


def _arg(kind: str, node: Node) -> Value:
    builder, x = node.builder, node.value()
    axis = axis_of(node.integer("axis"), x.type.rank)
    last = bool(node.integer("select_last_index", 0))
    source = reverse(builder, x, (axis,)) if last else x
    found = arg_reduce(builder, source, kind, axis, I64)[1]
    if last:
        found = binary(builder, "subtract", scalar(builder, x.shape[axis] - 1, I64), found)
    return expand_dims(builder, found, (axis,)) if node.integer("keepdims") else found


def _scan(reducer: str, node: Node) -> Value:
    axis = int(node.known(1).reshape(()))
    exclusive, backwards = bool(node.integer("exclusive")), bool(node.integer("reverse"))
    return cumulative(node.builder, node.value(), reducer, axis, exclusive, backwards)


def _mean(builder: Builder, x: Value, axes: Axes, keep: bool) -> Value:
    return reduce_mean(builder, x, axes, keep)


FOLDS: dict[str, Fold] = {
    "ReduceSum": partial(_plain, "add"),
    "ReduceMax": partial(_plain, "maximum"),
    "ReduceMin": partial(_plain, "minimum"),
    "ReduceProd": partial(_plain, "multiply"),
    "ReduceMean": _mean,
    "ReduceSumSquare": _square_sum,
    "ReduceL1": _l1,
    "ReduceL2": _l2,
    "ReduceLogSum": _log_sum,
    "ReduceLogSumExp": _log_sum_exp,
}

LOWERINGS = (
    *(Lowering(name, partial(_by_attribute, fold)) for name, fold in FOLDS.items()),
    *(
        Lowering(name, partial(_by_input, fold), 13 if name == "ReduceSum" else 18)
        for name, fold in FOLDS.items()
    ),
    Lowering("ArgMax", partial(_arg, "max")),
    Lowering("ArgMin", partial(_arg, "min")),
    Lowering("CumSum", partial(_scan, "add"), 11),
    Lowering("CumProd", partial(_scan, "multiply"), 26),
)
