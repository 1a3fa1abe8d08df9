"""Slice and Pad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import BOOL
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.shorthand import (
    axis_of,
    pad,
    reshape,
    reverse,
    slice_,
    slice_axis,
    take,
)
from tensorkiln.frontends.onnx.lowerings.movement import axes_attribute, axes_input
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def _sliced(
    node: Node,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int] | None,
    steps: Sequence[int] | None,
) -> Value:
    builder, x = node.builder, node.value()
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise node.invalid("starts, ends, axes and steps differ in length")
    low, high, stride = [0] * x.type.rank, list(x.shape), [1] * x.type.rank
    backwards = []
    for start, end, given, step in zip(starts, ends, axes, steps, strict=True):
        axis = axis_of(given, x.type.rank)
        if step == 0:
            raise node.invalid(f"the step of axis {axis} is 0")
        size = x.shape[axis]
        # Python's own rule for out-of-range and negative bounds is ONNX's.
        found = range(*slice(start, end, step).indices(size))
        stride[axis] = abs(step)
        if step < 0:
            backwards.append(axis)
            found = range(size - 1 - found.start, size - 1 - found.stop, -step)
        low[axis] = min(found.start, size)
        high[axis] = max(found.stop, low[axis]) if found else low[axis]
        high[axis] = min(high[axis], size)
    return slice_(builder, reverse(builder, x, backwards), low, high, stride)


def _slice_attributes(node: Node) -> Value:
    return _sliced(node, node.integers("starts"), node.integers("ends"), axes_attribute(node), None)


def _slice_inputs(node: Node) -> Value:
    # An int64 minimum as the end of a backward slice means "through the first element".
    starts, ends = node.known_ints(1), node.known_ints(2)
    return _sliced(node, starts, ends, axes_input(node, 3), axes_input(node, 4))


def _padded(node: Node, axes: Sequence[int], pads: Sequence[int], filler: Value | None) -> Value:
    builder, x = node.builder, node.value()
    if len(pads) != 2 * len(axes):
        raise node.invalid(f"{len(pads)} pads for {len(axes)} axes")
    low, high = [0] * x.type.rank, [0] * x.type.rank
    for axis, before, after in zip(axes, pads, pads[len(axes) :], strict=False):
        low[axis], high[axis] = before, after
    for axis, size in enumerate(x.shape):
        if size + low[axis] + high[axis] < 0:
            raise node.invalid(f"pads crop more than dim {axis} of {x.type} has")
    mode = node.string("mode")
    if mode == "constant":
        zero: Value | bool | int = False if x.dtype == BOOL else 0
        return pad(builder, x, low, high, value=zero if filler is None else filler)
    if mode not in ("edge", "reflect", "wrap"):
        raise node.invalid(f"mode is {mode!r}")
    for axis in range(x.type.rank):
        if low[axis] or high[axis]:
            x = _mirrored(node, x, axis, low[axis], high[axis], mode)
    return x


def _mirrored(node: Node, x: Value, axis: int, low: int, high: int, mode: str) -> Value:
    """Rows of x outside of it repeated from inside; negative pads crop first."""
    builder = node.builder
    x = slice_axis(builder, x, axis, max(-low, 0), x.shape[axis] - max(-high, 0))
    low, high = max(low, 0), max(high, 0)
    size = x.shape[axis]
    node.limited(low + size + high, "rows after padding")
    if not size:
        raise node.invalid(f"mode {mode} has nothing to repeat along axis {axis} of {x.type}")
    inside = np.arange(size, dtype=np.int64)
    if mode == "edge":
        rows = np.pad(inside, (low, high), "edge")
    elif mode == "reflect":
        rows = np.pad(inside, (low, high), "reflect")
    else:
        rows = np.pad(inside, (low, high), "wrap")
    return take(builder, x, builder.constant(rows), axis)


def _pad_attributes(name: str, node: Node) -> Value:
    pads = node.integers(name)
    builder, x = node.builder, node.value()
    filler = builder.constant(node.number("value"), x.dtype)
    return _padded(node, range(x.type.rank), pads, filler)


def _pad_first(node: Node) -> Value:
    return _pad_attributes("paddings", node)


def _pad_second(node: Node) -> Value:
    return _pad_attributes("pads", node)


def _pad_inputs(node: Node) -> Value:
    rank = node.value().type.rank
    axes = axes_input(node, 3)
    places = range(rank) if axes is None else [axis_of(axis, rank) for axis in axes]
    filler = reshape(node.builder, node.value(2), ()) if node.has(2) else None
    return _padded(node, places, node.known_ints(1), filler)


LOWERINGS = (
    Lowering("Slice", _slice_attributes),
    Lowering("Slice", _slice_inputs, 10),
    Lowering("Pad", _pad_first),
    Lowering("Pad", _pad_second, 2),
    Lowering("Pad", _pad_inputs, 11),
)
