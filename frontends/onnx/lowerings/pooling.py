"""Pooling over windows of the spatial dims (all but the first two), and over all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    convert,
    full,
    index_dtype,
    reduce,
    reduce_mean,
    scalar,
)  # fmt: skip
from tensorkiln.frontends.onnx.lowerings.geometry import Windows, windows_of
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def _windows(node: Node) -> Windows:
    x = node.value()
    if x.type.rank < 3:
        raise node.invalid(f"its input {x.type} has no spatial dims")
    return windows_of(node, x.shape[2:], node.integers("kernel_shape"))


def _reduced(node: Node, x: Value, windows: Windows, reducer: str) -> Value:
    return node.builder.one(
        "reduce_window",
        (x,),
        window=(1, 1, *windows.kernel),
        strides=(1, 1, *windows.strides),
        base_dilations=(1,) * x.type.rank,
        window_dilations=(1, 1, *windows.dilations),
        padding=((0, 0), (0, 0), *windows.padding),
        reducer=reducer,
    )


def _max_pool(node: Node) -> list[Value]:
    x, windows = node.value(), _windows(node)
    if not node.wants(1):
        return [_reduced(node, x, windows, "maximum")]
    values, indices = node.builder.op(
        "arg_reduce_window",
        (x,),
        {
            "kind": "max",
            "window": (1, 1, *windows.kernel),
            "strides": (1, 1, *windows.strides),
            "window_dilations": (1, 1, *windows.dilations),
            "padding": ((0, 0), (0, 0), *windows.padding),
            "dtype": index_dtype(x.type.elements),
        },
    )
    indices = convert(node.builder, indices, I64)
    if node.integer("storage_order", 0):
        indices = _column_major(node, indices, x.shape)
    return [values, indices]


def _column_major(node: Node, indices: Value, shape: Sequence[int]) -> Value:
    """Numbers of elements of each image counted down its columns instead of along its rows."""
    builder = node.builder
    spatial = shape[2:]
    area = math.prod(spatial)

    def number(op: str, a: Value, size: int) -> Value:
        return binary(builder, op, a, scalar(builder, size, I64))

    inside = number("remainder", indices, area)
    total = binary(builder, "subtract", indices, inside)
    for axis in reversed(range(len(spatial))):
        coordinate = number("remainder", inside, spatial[axis])
        inside = number("divide", inside, spatial[axis])
        step = number("multiply", coordinate, math.prod(spatial[:axis]))
        total = binary(builder, "add", total, step)
    return total


def _average_pool(node: Node) -> Value:
    builder, x, windows = node.builder, node.value(), _windows(node)
    total = _reduced(node, x, windows, "add")
    for size, kernel, count in zip(
        x.shape[2:], windows.kernel, windows.counts(x.shape[2:]), strict=True
    ):
        node.limited(kernel * max(count, 1), "taps")
        node.limited(size, "elements")
    if node.integer("count_include_pad", 0):
        node.limited(math.prod(windows.counts(x.shape[2:])), "windows")
        counts = _counts_with_padding(windows, x.shape[2:])
        if counts.size and (counts == counts.flat[0]).all():
            return binary(builder, "divide", total, scalar(builder, int(counts.flat[0]), x.dtype))
        return binary(builder, "divide", total, builder.constant(counts.astype(x.dtype.numpy)))
    return binary(builder, "divide", total, _elements(node, windows, total))


def _elements(node: Node, windows: Windows, total: Value) -> Value:
    """How many elements each window has, at least 1; padding is none.

    Where there may be padding at some size, windows slide over ones: so dims of open size are
    understood, of which a table has one size only.
    """
    builder, x = node.builder, node.value()
    rounded = node.integer("ceil_mode", 0) or node.string("auto_pad", "NOTSET").startswith("SAME")
    if not rounded and not any(map(any, windows.padding)):
        return scalar(builder, math.prod(windows.kernel), x.dtype)
    ones = full(builder, x.shape[2:], 1, x.dtype)
    counts = builder.one(
        "reduce_window", (ones,), window=windows.kernel, strides=windows.strides,
        base_dilations=(1,) * len(windows.kernel), window_dilations=windows.dilations,
        padding=windows.padding, reducer="add",
    )  # fmt: skip
    counts = binary(builder, "maximum", counts, scalar(builder, 1, x.dtype))
    return broadcast_in_dim(builder, counts, total.shape, tuple(range(2, x.type.rank)))


def _counts_with_padding(windows: Windows, sizes: Sequence[int]) -> Array:
    """How many elements each window averages, padding included, at least 1; cells that ceil_mode
    added never count."""
    total: Array = np.ones((), np.int64)
    for size, kernel, stride, dilation, (low, high), count in zip(
        sizes, windows.kernel, windows.strides, windows.dilations, windows.given,
        windows.counts(sizes), strict=True,
    ):  # fmt: skip
        taps = np.arange(kernel) * dilation
        position = np.arange(count)[:, None] * stride + taps - low
        inside = ((position >= -low) & (position < size + high)).sum(axis=1)
        total = total[..., None] * inside
    return np.maximum(total, 1)


def _lp_pool(node: Node) -> Value:
    """(sum of |x|^p)^(1/p)."""
    x, windows = node.value(), _windows(node)
    p = node.number("p", 2.0) if node.version < 2 else float(node.integer("p"))
    return _power(node, _reduced(node, _power(node, _absolute(node, x), p), windows, "add"), 1 / p)


def _absolute(node: Node, x: Value) -> Value:
    return node.builder.one("abs", (x,))


def _power(node: Node, x: Value, exponent: float) -> Value:
    builder = node.builder
    if exponent == 1:
        return x
    if exponent == 2:
        return builder.one("multiply", (x, x))
    if exponent == 0.5:
        return builder.one("sqrt", (x,))
    return binary(builder, "power", x, scalar(builder, exponent, x.dtype))


def _spatial(x: Value) -> tuple[int, ...]:
    return tuple(range(2, x.type.rank))


def _global_average(node: Node) -> Value:
    x = node.value()
    return reduce_mean(node.builder, x, _spatial(x), keep_dims=True)


def _global_max(node: Node) -> Value:
    x = node.value()
    return reduce(node.builder, x, "maximum", _spatial(x), keep_dims=True)


def _global_lp(node: Node) -> Value:
    x = node.value()
    p = node.number("p", 2.0) if node.version < 2 else float(node.integer("p"))
    powers = _power(node, _absolute(node, x), p)
    total = reduce(node.builder, powers, "add", _spatial(x), keep_dims=True)
    return _power(node, total, 1 / p)


LOWERINGS = (
    Lowering("MaxPool", _max_pool),
    Lowering("AveragePool", _average_pool),
    Lowering("LpPool", _lp_pool),
    Lowering("GlobalAveragePool", _global_average),
    Lowering("GlobalMaxPool", _global_max),
    Lowering("GlobalLpPool", _global_lp),
)
