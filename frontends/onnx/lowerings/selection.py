"""NonZero and Compress: what a tensor's values choose.

Where these are not known while importing, the result is padded to the most there can be.
"""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops.bounded import compress, nonzero
from tensorkiln.compiler.ops.shorthand import axis_of, reshape, slice_axis, take, transpose
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.operand import Bounded, Extent
from tensorkiln.frontends.onnx.table import Lowering


def _non_zero(node: Node) -> Array | Bounded:
    x = node.operand(0)
    if x.known is not None:
        return np.array(np.nonzero(np.atleast_1d(x.known)), np.int64)
    builder = node.builder
    places, number = nonzero(builder, x.value(builder), x.type.elements)
    return Bounded(transpose(builder, places, (1, 0)), Extent(1, number))


def _compress(node: Node) -> Value | Bounded:
    """A condition that is shorter than the axis leaves out the rest."""
    builder, x, condition = node.builder, node.value(), node.operand(1)
    if not node.given("axis"):
        x = reshape(builder, x, (x.type.elements,))
    axis = axis_of(node.integer("axis", 0), x.type.rank)
    if len(condition.shape) != 1:
        raise node.invalid(f"its condition is {condition.type}, not a vector")
    size = min(condition.shape[0], x.shape[axis])
    if condition.known is None:
        mask = slice_axis(builder, condition.value(builder), 0, 0, size)
        part = slice_axis(builder, x, axis, 0, size)
        found, number = compress(builder, part, mask, size, axis)
        return Bounded(found, Extent(axis, number))
    kept = np.nonzero(condition.known)[0]
    if kept.size and kept[-1] >= x.shape[axis]:
        raise node.invalid(f"its condition is longer than dim {axis} of {x.type}")
    return take(builder, x, builder.constant(kept.astype(np.int64)), axis)


LOWERINGS = (
    Lowering("NonZero", _non_zero, 9),
    Lowering("Compress", _compress, 9),
)
