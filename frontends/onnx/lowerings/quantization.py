"""Linear quantization: real = (quantized - zero point) * scale."""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import F32, I32, U8, DType
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.quantize import dequantize, quantize
from tensorkiln.compiler.ops.shorthand import (
    axis_of,
    binary,
    broadcast_in_dim,
    convert,
    full,
    matmul,
    reshape,
    scalar,
    slice_axis,
)  # fmt: skip
from tensorkiln.frontends.onnx.lowerings.matmul import centered
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def _parameter(node: Node, parameter: Value, x: Value) -> tuple[Value, int]:
    """A scale or zero point as quantize takes it, and its axis: one number, one for each index
    along `axis`, or one for each block of `block_size` along it, repeated to the shape of `x`."""
    builder = node.builder
    if parameter.type.elements == 1:
        return reshape(builder, parameter, ()), 0
    axis = axis_of(node.integer("axis", 1), x.type.rank)
    if parameter.type.rank == 1 or parameter.shape == x.shape:
        return parameter, axis
    block = node.integer("block_size", 0)
    shape = parameter.shape
    if not block or len(shape) != x.type.rank:
        raise node.invalid(f"a parameter of type {parameter.type} does not fit {x.type}")
    split = (*shape[: axis + 1], block, *shape[axis + 1 :])
    kept = [k for k in range(len(split)) if k != axis + 1]
    each = broadcast_in_dim(builder, parameter, split, kept)
    whole = reshape(builder, each, (*shape[:axis], shape[axis] * block, *shape[axis + 1 :]))
    return slice_axis(builder, whole, axis, 0, x.shape[axis]), axis


def saturated(builder: Builder, x: Value, dtype: DType) -> Value:
    """A float rounded to even and clamped to what `dtype` holds."""
    lowest = -(1 << (dtype.bits - 1)) if dtype.is_signed else 0
    highest = lowest + (1 << dtype.bits) - 1
    rounded = builder.one("round_nearest_even", (x,))
    low = binary(builder, "maximum", rounded, scalar(builder, lowest, x.dtype))
    high = binary(builder, "minimum", low, scalar(builder, highest, x.dtype))
    return convert(builder, high, dtype)


def _scale(node: Node) -> Value:
    """The scale; a power of two that is stored alone as f32, which is exact."""
    scale = node.value(1)
    return convert(node.builder, scale, F32) if scale.dtype.is_storage else scale


def _zero_point(node: Node, scale: Value, x: Value, dtype: DType) -> Value:
    """The zero point in the scale's shape; 0 if none is given."""
    if node.has(2):
        return _parameter(node, node.value(2), x)[0]
    return full(node.builder, scale.type.shape, 0, dtype)


def _quantize(node: Node) -> Value:
    builder = node.builder
    given = _scale(node)
    x = convert(builder, node.value(), given.dtype)
    scale, axis = _parameter(node, given, x)
    dtype = node.operand(2).dtype if node.has(2) else U8
    if node.given("output_dtype") and node.integer("output_dtype"):
        dtype = node.dtype("output_dtype")
    if dtype.is_float and not dtype.is_storage:
        raise node.unsupported(f"quantizing to {dtype}")
    zero = _zero_point(node, scale, x, dtype)
    if dtype.is_float and not node.integer("saturate", 1):
        factor = reshape(builder, scale, ()) if scale.type.elements == 1 else scale
        dims = (axis,) if factor.type.rank == 1 else tuple(range(factor.type.rank))
        spread = broadcast_in_dim(builder, factor, x.shape, dims)
        return convert(builder, builder.one("divide", (x, spread)), dtype)
    return quantize(builder, x, scale, zero, axis)


def _dequantize(node: Node) -> Value:
    builder, x = node.builder, node.value()
    scale, axis = _parameter(node, _scale(node), x)
    found = dequantize(builder, x, scale, _zero_point(node, scale, x, x.dtype), axis)
    if node.given("output_dtype") and node.integer("output_dtype"):
        return convert(builder, found, node.dtype("output_dtype"))
    return found


def requantized(node: Node, total: Value, scale: Value, index: int) -> Value:
    """Integer sums of products times `scale`, quantized by operands `index` and `index` + 1."""
    builder = node.builder
    # One factor, as ONNX Runtime has it: known scales divide while compiling.
    factor = binary(builder, "divide", scale, reshape(builder, node.value(index), ()))
    ratio = binary(builder, "multiply", convert(builder, total, scale.dtype), factor)
    zero = node.value(index + 1)
    rounded = builder.one("round_nearest_even", (ratio,))
    shifted = binary(
        builder, "add", rounded, convert(builder, reshape(builder, zero, ()), scale.dtype)
    )
    return saturated(builder, shifted, zero.dtype)


def _qlinear_matmul(node: Node) -> Value:
    builder = node.builder
    a = centered(node, 0, 2, I32, max(node.value(0).type.rank - 2, 0))
    b = centered(node, 3, 5, I32, -1)
    scale_a, scale_b = node.value(1), node.value(4)
    if scale_a.type.elements > 1 and scale_a.type.rank == 1:
        scale_a = reshape(builder, scale_a, (*scale_a.shape, 1))
    elif scale_a.type.elements == 1:
        scale_a = reshape(builder, scale_a, ())
    if scale_b.type.elements == 1:
        scale_b = reshape(builder, scale_b, ())
    scale = binary(builder, "multiply", scale_a, scale_b)
    return requantized(node, matmul(builder, a, b), scale, 6)


LOWERINGS = (
    Lowering("QuantizeLinear", _quantize, 10),
    Lowering("DequantizeLinear", _dequantize, 10),
    Lowering("QLinearMatMul", _qlinear_matmul, 10),
)
