"""Softmax, LogSoftmax and Hardmax; before opset 13 they see their input as a matrix."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import (
    arg_reduce,
    axis_of,
    broadcast_to,
    compare,
    convert,
    expand_dims,
    iota,
    reshape,
)  # fmt: skip
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering

Along: TypeAlias = Callable[[Builder, Value, int], Value]


def _composite(name: str, builder: Builder, x: Value, axis: int) -> Value:
    return builder.one(name, (x,), axis=axis)


def _hardmax(builder: Builder, x: Value, axis: int) -> Value:
    """1 at the first maximum, else 0."""
    first = expand_dims(builder, arg_reduce(builder, x, "max", axis, I64)[1], (axis,))
    place = iota(builder, x.shape, axis, I64)
    hit = compare(builder, "EQ", broadcast_to(builder, first, x.shape), place)
    return convert(builder, hit, x.dtype)


def _along_axis(function: Along, node: Node) -> Value:
    x = node.value()
    return function(node.builder, x, axis_of(node.integer("axis"), x.type.rank))


def _as_matrix(function: Along, node: Node) -> Value:
    """Dims before `axis` are rows, those from `axis` on are columns."""
    builder, x, axis = node.builder, node.value(), node.integer("axis")
    if not -x.type.rank <= axis <= x.type.rank:
        raise node.invalid(f"axis {axis} does not exist in {x.type}")
    axis = axis + x.type.rank if axis < 0 else axis
    if axis == x.type.rank - 1:
        return function(builder, x, axis)
    matrix = reshape(builder, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))
    return reshape(builder, function(builder, matrix, 1), x.shape)


_FUNCTIONS: dict[str, Along] = {
    "Softmax": partial(_composite, "softmax"),
    "LogSoftmax": partial(_composite, "log_softmax"),
    "Hardmax": _hardmax,
}

LOWERINGS = (
    *(Lowering(name, partial(_as_matrix, f)) for name, f in _FUNCTIONS.items()),
    *(Lowering(name, partial(_along_axis, f), 13) for name, f in _FUNCTIONS.items()),
)
