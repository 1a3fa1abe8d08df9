"""Samples of quantize and dequantize."""

from __future__ import annotations

from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import F8E4M3FN, F16, F32, F64, I4, I8, I16, I32, U4, U8, DType

Array: TypeAlias = NDArray[Any]


def _along(parameter: Array, x: Array, axis: int) -> Array:
    """A scale or zero point in a shape that broadcasts."""
    if parameter.ndim != 1 or parameter.size == 1:
        return parameter
    return parameter.reshape([-1 if k == axis else 1 for k in range(x.ndim)])


def _quantize(x: Array, scale: Array, zero: Array, axis: int = 0, label: str = "") -> Sample:
    def expected(x: Array, scale: Array, zero: Array) -> Array:
        ratio = x / _along(scale, x, axis)
        if zero.dtype == F8E4M3FN.numpy:
            return ratio.clip(-448, 448).astype(zero.dtype)
        info = ml_dtypes.iinfo(zero.dtype)
        moved = np.rint(ratio).astype(np.float64) + _along(zero, x, axis).astype(np.float64)
        return moved.clip(info.min, info.max).astype(zero.dtype)

    return Sample("quantize", (x, scale, zero), expected, {"axis": axis}, label=label, raw=True)


def _dequantize(x: Array, scale: Array, zero: Array, axis: int = 0, label: str = "") -> Sample:
    def expected(x: Array, scale: Array, zero: Array) -> Array:
        moved = x.astype(np.float64) - _along(zero, x, axis).astype(np.float64)
        return moved * _along(scale, x, axis).astype(np.float64)

    attributes = {"axis": axis}
    # The check of gradients would make f64 of an 8-bit operand, which is none.
    inputs = () if x.dtype == F8E4M3FN.numpy else (1,)
    return Sample(
        "dequantize", (x, scale, zero), expected, attributes, label=label, raw=True,
        differentiate=inputs,
    )  # fmt: skip


def _number(value: float, dtype: DType) -> Array:
    return np.array(value, dtype.numpy)


def _scales(shape: tuple[int, ...], dtype: DType = F32) -> Array:
    return np.array(draw(shape, dtype, 0.05, 0.5, seed=4))


X = np.array(draw((3, 5), F32, -40, 40))
TIES = np.array([0.5, 1.5, -2.5, 3.5, -0.0, 1e30, -1e30], np.float32)
CODES = np.array(draw((3, 5), I8, -128, 128, seed=2))

SAMPLES = (
    _quantize(TIES, _number(1, F32), _number(0, I8), label="ties"),
    _quantize(X, _number(0.25, F32), _number(128, U8)),
    _quantize(X, _scales((5,)), np.array(draw((5,), I8, -9, 9)), 1, label="columns"),
    _quantize(X, _scales((3,)), np.zeros(3, np.int16), 0, label="rows"),
    _quantize(X, _scales((3, 5)), np.array(draw((3, 5), I8, -9, 9)), label="all"),
    _quantize(X.astype(np.float16), _number(2, F16), _number(7, U4)),
    _quantize(X, np.float32([2.0]), np.array([-3], I4.numpy)),
    _quantize(X.astype(np.float64), _number(0.125, F64), _number(0, I16)),
    _quantize(X * 30, _number(1.5, F32), _number(0, F8E4M3FN)),
    _quantize(X[:0], _number(1.5, F32), _number(0, I8), label="empty"),
    _dequantize(CODES, _number(0.25, F32), _number(-5, I8)),
    _dequantize(CODES, _scales((5,)), np.array(draw((5,), I8, -9, 9)), 1, label="columns"),
    _dequantize(CODES, _scales((3, 5), F64), np.zeros((3, 5), np.int8), label="all"),
    _dequantize(CODES.view(np.uint8), _number(0.5, F16), _number(128, U8)),
    _dequantize(np.arange(16, dtype=np.uint8).view(I4.numpy), _number(3, F32), _number(1, I4)),
    _dequantize(np.arange(16, dtype=np.uint8).view(U4.numpy), _number(3, F32), _number(9, U4)),
    _dequantize(
        np.array([1.5, -448, 0.0625], F8E4M3FN.numpy), _number(3, F32), _number(0, F8E4M3FN)
    ),
    _dequantize(np.array(draw((4,), I32, -9000, 9000)), _number(0.5, F32), _number(3, I32)),
)
