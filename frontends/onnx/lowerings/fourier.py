"""DFT and STFT by the transforms of compiler/ops/fft.py; the last dim is real and imaginary part."""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.fft import dft_along, mirrored_spectrum
from tensorkiln.compiler.ops.shorthand import (
    axis_of,
    binary,
    pad,
    reshape,
    scalar,
    slice_axis,
    squeeze,
    stack,
    take,
    transpose,
)
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering

Parts = tuple[Value, Value | None]


def _parts(node: Node, x: Value) -> Parts:
    """The real parts, and the imaginary ones where there are any."""
    last = x.type.rank - 1
    found = [
        squeeze(node.builder, slice_axis(node.builder, x, last, k, k + 1), (last,))
        for k in range(x.shape[last])
    ]
    return found[0], found[1] if len(found) > 1 else None


def _check(node: Node, x: Value, axis: int) -> None:
    if x.type.rank < 2 or x.shape[-1] not in (1, 2) or axis == x.type.rank - 1:
        raise node.invalid(f"{x.type} with axis {axis} is no signal of real or complex numbers")


def _fitted(node: Node, x: Value, axis: int, length: int) -> Value:
    """`x` cut, or filled up with zeros, to `length` along `axis`."""
    given = x.shape[axis]
    if given >= length:
        return slice_axis(node.builder, x, axis, 0, length)
    high = [0] * x.type.rank
    high[axis] = length - given
    return pad(node.builder, x, [0] * x.type.rank, high)


def _transform(node: Node, axis: int) -> Value:
    builder, x = node.builder, node.value()
    _check(node, x, axis)
    inverse, onesided = (bool(node.integer(name)) for name in ("inverse", "onesided"))
    given = x.shape[axis]
    whole = 2 * (given - 1) if inverse and onesided else given
    length = int(node.known(1).reshape(())) if node.has(1) else whole
    if length < 1:
        raise node.invalid(f"its length is {length}")
    node.limited(length, "points")
    half = length // 2 + 1
    x = _fitted(node, x, axis, half if inverse and onesided else length)
    parts = _parts(node, x)
    if inverse and onesided:
        parts = _whole_spectrum(node, parts, axis, length)
    found = list(dft_along(builder, parts, axis, 1 if inverse else -1))
    if inverse:
        scale = scalar(builder, 1 / length, x.dtype)
        found = [binary(builder, "multiply", part, scale) for part in found]
        if onesided:
            found = found[:1]
    elif onesided:
        found = [slice_axis(builder, part, axis, 0, half) for part in found]
    return stack(builder, found, x.type.rank - 1)


def _whole_spectrum(node: Node, parts: Parts, axis: int, length: int) -> Parts:
    """The spectrum of a real signal from its first half."""
    builder, (real, imaginary) = node.builder, parts
    if imaginary is None:
        imaginary = binary(builder, "subtract", real, real)
    rank = real.type.rank
    last = [k for k in range(rank) if k != axis] + [axis]
    back = [last.index(k) for k in range(rank)]
    moved = transpose(builder, real, last), transpose(builder, imaginary, last)
    first, second = mirrored_spectrum(builder, moved, length)
    return transpose(builder, first, back), transpose(builder, second, back)


def _dft_attribute(node: Node) -> Value:
    return _transform(node, axis_of(node.integer("axis"), node.value().type.rank))


def _dft_input(node: Node) -> Value:
    axis = int(node.known(2).reshape(())) if node.has(2) else -2
    return _transform(node, axis_of(axis, node.value().type.rank))


def _stft(node: Node) -> Value:
    """Frames of the signal, times the window, transformed one by one."""
    builder, x = node.builder, node.value()
    _check(node, x, 1)
    if x.type.rank != 3:
        raise node.invalid(f"the signal {x.type} has no dims batch, points, parts")
    step = int(node.known(1).reshape(()))
    window = node.value(2) if node.has(2) else None
    if node.has(3):
        length = int(node.known(3).reshape(()))
    elif window is not None:
        length = window.shape[0]
    else:
        raise node.invalid("it has neither a window nor a frame_length")
    points = x.shape[1]
    if step < 1 or not 1 <= length <= points:
        raise node.invalid(f"frames of {length} points every {step} of {points}")
    frames = 1 + (points - length) // step
    node.limited(frames * length, "points of frames")
    places = np.arange(frames)[:, None] * step + np.arange(length)
    framed = take(builder, x, builder.constant(places.astype(np.int32)), 1)
    if window is not None:
        if window.shape != (length,):
            raise node.invalid(f"the window {window.type} does not fit frames of {length} points")
        framed = binary(builder, "multiply", framed, reshape(builder, window, (length, 1)))
    found = list(dft_along(builder, _parts(node, framed), 2, -1))
    if node.integer("onesided"):
        found = [slice_axis(builder, part, 2, 0, length // 2 + 1) for part in found]
    return stack(builder, found, 3)


LOWERINGS = (
    Lowering("DFT", _dft_attribute, 17),
    Lowering("DFT", _dft_input, 20),
    Lowering("STFT", _stft, 17),
)
