"""quantize and dequantize: linear maps between real numbers and narrow ones.

real = (stored - zero point) * scale (ONNX's QuantizeLinear and DequantizeLinear; Jacob et al.,
Quantization and training of neural networks for efficient integer-arithmetic-only inference,
2018).  Scale and zero point have one element, one for each index along `axis`, or the shape of
the operand.
"""

from __future__ import annotations

from collections.abc import Sequence

import ml_dtypes

from tensorkiln.compiler.ir.dtypes import F32, I32, DType
from tensorkiln.compiler.ir.function import Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import expect, require
from tensorkiln.compiler.ops.composite import composite
from tensorkiln.compiler.ops.record import NoGradient, Types
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    broadcast_to,
    convert,
    reshape,
    scalar,
)

_AXIS = {"axis": "int"}


def quantize(builder: Builder, x: Value, scale: Value, zero: Value, axis: int = 0) -> Value:
    """x / scale rounded to even, plus the zero point, saturated to the zero point's dtype."""
    return builder.one("quantize", (x, scale, zero), axis=axis)


def dequantize(builder: Builder, x: Value, scale: Value, zero: Value, axis: int = 0) -> Value:
    """(x - zero) * scale in the dtype of the scale."""
    return builder.one("dequantize", (x, scale, zero), axis=axis)


def _check(x: TensorType, scale: TensorType, zero: TensorType, attributes: Attributes) -> None:
    """C1: the scale is a float.  C2: scale and zero point have one shape: one element, a vector as
    long as the operand's dim `axis`, or the operand's shape."""
    axis = attributes["axis"]
    is_float = scale.dtype.is_float and not scale.dtype.is_storage
    require(is_float, f"C1: the scale {scale} is no float to compute with")
    assert isinstance(axis, int)
    fits = scale.shape == zero.shape and (
        scale.shape in ((), (1,), x.shape)
        or (scale.rank == 1 and 0 <= axis < x.rank and scale.shape[0] == x.shape[axis])
    )
    require(fits, f"C2: scale {scale} and zero point {zero} along {axis} of {x}")


def _quantize_rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1, C2: see _check.  C3: the operand has the scale's dtype.  C4: the zero point is an integer
    or an 8-bit float."""
    x, scale, zero = expect(types, 3)
    _check(x, scale, zero, attributes)
    require(x.dtype == scale.dtype, f"C3: operand {x} and scale {scale} differ in dtype")
    require(_is_narrow(zero.dtype), f"C4: {zero.dtype} is no dtype to quantize to")
    return (x.with_dtype(zero.dtype),)


def _dequantize_rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1, C2: see _check.  C3: the operand has the zero point's dtype.  C4: that is an integer or
    an 8-bit float."""
    x, scale, zero = expect(types, 3)
    _check(x, scale, zero, attributes)
    require(x.dtype == zero.dtype, f"C3: operand {x} and zero point {zero} differ in dtype")
    require(_is_narrow(zero.dtype), f"C4: {zero.dtype} is no quantized dtype")
    return (x.with_dtype(scale.dtype),)


def _is_narrow(dtype: DType) -> bool:
    return dtype.is_integer or (dtype.is_float and dtype.is_storage)


def _spread(builder: Builder, parameter: Value, x: Value, axis: int) -> Value:
    """A scale or zero point in the shape of `x`."""
    if parameter.type.shape == x.type.shape:
        return parameter
    if parameter.type.shape in ((), (1,)):
        return broadcast_to(builder, reshape(builder, parameter, ()), x.type.shape)
    return broadcast_in_dim(builder, parameter, x.type.shape, (axis,))


def _quantize_body(builder: Builder, op: Op) -> Sequence[Value]:
    x, scale, zero = op.operands
    axis, dtype = op.integer("axis"), zero.dtype
    ratio = builder.one("divide", (x, _spread(builder, scale, x, axis)))
    if dtype.is_float:  # its zero point is 0
        largest = float(ml_dtypes.finfo(dtype.numpy).max)  # type: ignore[no-untyped-call]
        return [convert(builder, _clamped(builder, ratio, -largest, largest), dtype)]
    rounded = builder.one("round_nearest_even", (ratio,))
    shift = convert(builder, _spread(builder, zero, x, axis), x.dtype)
    low = -(1 << (dtype.bits - 1)) if dtype.is_signed else 0
    high = low + (1 << dtype.bits) - 1
    return [
        convert(builder, _clamped(builder, builder.one("add", (rounded, shift)), low, high), dtype)
    ]


def _clamped(builder: Builder, x: Value, low: float, high: float) -> Value:
    x = binary(builder, "maximum", x, scalar(builder, low, x.dtype))
    return binary(builder, "minimum", x, scalar(builder, high, x.dtype))


def _dequantize_body(builder: Builder, op: Op) -> Sequence[Value]:
    x, scale, zero = op.operands
    axis = op.integer("axis")
    wide = F32 if x.dtype.is_float else I32
    shift = convert(builder, _spread(builder, zero, x, axis), wide)
    moved = builder.one("subtract", (convert(builder, x, wide), shift))
    factor = _spread(builder, scale, x, axis)
    return [builder.one("multiply", (convert(builder, moved, scale.dtype), factor))]


RECORDS = (
    composite(
        "quantize", _AXIS, _quantize_rule, _quantize_body,
        NoGradient("a rounded number moves in steps"), flops=12,
    ),
    composite("dequantize", _AXIS, _dequantize_rule, _dequantize_body, flops=3),
)  # fmt: skip
