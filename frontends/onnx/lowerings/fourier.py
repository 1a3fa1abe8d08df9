"""DFT as products with matrices of cosines and sines; the last dim is real and imaginary part."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.shorthand import (
    axis_of,
    dot_general,
    slice_axis,
    squeeze,
    stack,
    transpose,
)  # fmt: skip
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def _angles(node: Node, old: int, new: int, length: int) -> NDArray[np.float64]:
    """2 pi j k / length for j < old, k < new; the product is reduced first, to keep its digits."""
    node.limited(old * new, "coefficients")
    turns = np.outer(np.arange(old), np.arange(new)) % length
    return np.asarray(turns * (2 * np.pi / length), np.float64)


def _product(node: Node, x: Value, matrix: NDArray[np.float64], axis: int) -> Value:
    factors = node.builder.constant(matrix.astype(x.dtype.numpy))
    found = dot_general(node.builder, x, factors, (), (), (axis,), (0,))
    last = x.type.rank - 1
    return transpose(node.builder, found, (*range(axis), last, *range(axis, last)))


def _parts(node: Node, x: Value, axis: int, size: int) -> list[Value]:
    """Real part, and imaginary part where there is one, of the first `size` elements."""
    x = slice_axis(node.builder, x, axis, 0, size)
    last = x.type.rank - 1
    return [
        squeeze(node.builder, slice_axis(node.builder, x, last, k, k + 1), (last,))
        for k in range(x.shape[last])
    ]


def _transform(node: Node, axis: int) -> Value:
    builder, x = node.builder, node.value()
    if x.type.rank < 2 or x.shape[-1] not in (1, 2) or axis == x.type.rank - 1:
        raise node.invalid(f"{x.type} with axis {axis} is no signal of real or complex numbers")
    inverse, onesided = (bool(node.integer(name)) for name in ("inverse", "onesided"))
    given = x.shape[axis]
    whole = 2 * (given - 1) if inverse and onesided else given
    length = int(node.known(1).reshape(())) if node.has(1) else whole
    if length < 1:
        raise node.invalid(f"its length is {length}")
    half = length // 2 + 1
    if inverse and onesided:
        return _real_inverse(node, x, axis, min(given, half), length)
    size = min(given, length)
    real, *imaginary = _parts(node, x, axis, size)
    angles = _angles(node, size, half if onesided else length, length)
    scale = 1 / length if inverse else 1.0
    cosine, sine = np.cos(angles) * scale, np.sin(angles) * (scale if inverse else -scale)
    result = [_product(node, real, cosine, axis), _product(node, real, sine, axis)]
    for part in imaginary:  # (a + ib)(c + is) = ac - bs + i(as + bc)
        crossed = _product(node, part, sine, axis)
        result[0] = builder.one("subtract", (result[0], crossed))
        result[1] = builder.one("add", (result[1], _product(node, part, cosine, axis)))
    return stack(builder, result, x.type.rank - 1)


def _real_inverse(node: Node, x: Value, axis: int, size: int, length: int) -> Value:
    """A real signal from the first half of its spectrum: the other half is its conjugate."""
    builder = node.builder
    real, *imaginary = _parts(node, x, axis, size)
    angles = _angles(node, size, length, length)
    twice = np.full((size, 1), 2 / length)
    twice[0] = 1 / length
    if length % 2 == 0 and size > length // 2:
        twice[length // 2] = 1 / length
    result = _product(node, real, np.cos(angles) * twice, axis)
    for part in imaginary:
        crossed = _product(node, part, np.sin(angles) * twice, axis)
        result = builder.one("subtract", (result, crossed))
    return stack(builder, [result], x.type.rank - 1)


def _dft_attribute(node: Node) -> Value:
    return _transform(node, axis_of(node.integer("axis"), node.value().type.rank))


def _dft_input(node: Node) -> Value:
    axis = int(node.known(2).reshape(())) if node.has(2) else -2
    return _transform(node, axis_of(axis, node.value().type.rank))


LOWERINGS = (Lowering("DFT", _dft_attribute, 17), Lowering("DFT", _dft_input, 20))
