"""Linear quantization: real = (quantized - zero point) * scale."""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import F32, I32, U8, DType
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import (
    axis_of,
    binary,
    broadcast_in_dim,
    broadcast_to,
    convert,
    matmul,
    reshape,
    scalar,
    slice_axis,
)  # fmt: skip
from tensorkiln.frontends.onnx.lowerings.cast import bounded
from tensorkiln.frontends.onnx.lowerings.matmul import centered
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def _spread(node: Node, parameter: Value, x: Value) -> Value:
    """A scale or zero point in the shape of `x`: one number, one for each index along `axis`, or
    one for each block of `block_size` along it."""
    builder = node.builder
    if parameter.type.elements == 1:
        return broadcast_to(builder, reshape(builder, parameter, ()), x.shape)
    axis = axis_of(node.integer("axis", 1), x.type.rank)
    if parameter.type.rank == 1:
        return broadcast_in_dim(builder, parameter, x.shape, (axis,))
    block = node.integer("block_size", 0)
    shape = parameter.shape
    if not block or len(shape) != x.type.rank:
        raise node.invalid(f"a parameter of type {parameter.type} does not fit {x.type}")
    split = (*shape[: axis + 1], block, *shape[axis + 1 :])
    kept = [k for k in range(len(split)) if k != axis + 1]
    each = broadcast_in_dim(builder, parameter, split, kept)
    whole = reshape(builder, each, (*shape[:axis], shape[axis] * block, *shape[axis + 1 :]))
    return slice_axis(builder, whole, axis, 0, x.shape[axis])


def saturated(builder: Builder, x: Value, dtype: DType) -> Value:
    """A float rounded to even and clamped to what `dtype` holds."""
    lowest = -(1 << (dtype.bits - 1)) if dtype.is_signed else 0
    highest = lowest + (1 << dtype.bits) - 1
    rounded = builder.one("round_nearest_even", (x,))
    low = binary(builder, "maximum", rounded, scalar(builder, lowest, x.dtype))
    high = binary(builder, "minimum", low, scalar(builder, highest, x.dtype))
    return convert(builder, high, dtype)


def _quantize(node: Node) -> Value:
    builder, scale = node.builder, node.value(1)
    x = convert(builder, node.value(), scale.dtype)
    ratio = builder.one("divide", (x, _spread(node, scale, x)))
    if node.given("output_dtype"):
        dtype = node.dtype("output_dtype")
    else:
        dtype = node.operand(2).dtype if node.has(2) else U8
    if dtype.is_float:
        return _to_float8(node, ratio, dtype)
    if not node.has(2):
        return saturated(builder, ratio, dtype)
    rounded = builder.one("round_nearest_even", (ratio,))
    zero = convert(builder, _spread(node, node.value(2), x), x.dtype)
    return saturated(builder, builder.one("add", (rounded, zero)), dtype)


def _to_float8(node: Node, ratio: Value, dtype: DType) -> Value:
    """The ratio in an 8-bit float, whose zero point is 0; too large numbers become the largest."""
    if not dtype.is_storage:
        raise node.unsupported(f"quantizing to {dtype}")
    if node.integer("saturate", 1):
        ratio = bounded(node.builder, ratio, dtype)
    return convert(node.builder, ratio, dtype)


def _dequantize(node: Node) -> Value:
    builder, x, scale = node.builder, node.value(), node.value(1)
    held = F32 if x.dtype.is_float else I32
    wide = convert(builder, x, held)
    if node.has(2):
        zero = convert(builder, _spread(node, node.value(2), x), held)
        wide = builder.one("subtract", (wide, zero))
    dtype = scale.dtype
    if node.given("output_dtype") and node.integer("output_dtype"):
        dtype = node.dtype("output_dtype")
    product = builder.one(
        "multiply", (convert(builder, wide, scale.dtype), _spread(node, scale, x))
    )
    return convert(builder, product, dtype)


def requantized(node: Node, total: Value, scale: Value, index: int) -> Value:
    """Integer sums of products times `scale`, quantized by operands `index` and `index` + 1."""
    builder = node.builder
    real = binary(builder, "multiply", convert(builder, total, scale.dtype), scale)
    ratio = binary(builder, "divide", real, reshape(builder, node.value(index), ()))
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
