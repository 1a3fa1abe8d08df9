"""Quantized layers as integers: right to the rounding of their scales."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F32, I8, U8, DType
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.quantize import dequantize, quantize
from tensorkiln.compiler.ops.shorthand import binary, broadcast_in_dim, matmul, scalar
from tensorkiln.compiler.pipeline import jit, optimize_function

SHAPE = (67, 50, 83)
SCALE, OUT_SCALE = np.float32(0.0173), np.float32(0.71)
ROUNDINGS = 8 * 2.0**-24  # relative, of the scales and what they are multiplied with


def layer(dtype: DType, zero: int, residual: bool) -> tuple[Function, list[Any], NDArray[Any]]:
    """A dense layer between bytes, operands for it, and its results in steps as real numbers."""
    rows, depth, columns = SHAPE
    generator = np.random.default_rng(abs(zero) + residual)
    limits = np.iinfo(dtype.numpy)
    codes = generator.integers(limits.min, limits.max + 1, (rows, depth)).astype(dtype.numpy)
    others = generator.integers(limits.min, limits.max + 1, (rows, columns)).astype(dtype.numpy)
    weight = generator.integers(-127, 128, (depth, columns)).astype(np.int8)
    steps = generator.uniform(0.01, 0.03, columns).astype(np.float32)
    bias = generator.normal(0, 9, columns).astype(np.float32)

    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType(codes.shape, dtype))
    other = builder.parameter("other", TensorType(others.shape, dtype))
    number = builder.constant(np.array(zero, dtype.numpy))
    scale, out = builder.constant(SCALE), builder.constant(OUT_SCALE)
    right = dequantize(
        builder, builder.constant(weight), builder.constant(steps),
        builder.constant(np.zeros(columns, np.int8)), 1,
    )  # fmt: skip
    y = matmul(builder, dequantize(builder, x, scale, number), right)
    y = binary(builder, "add", y, broadcast_in_dim(builder, builder.constant(bias), y.shape, (1,)))
    if residual:
        y = binary(builder, "add", y, dequantize(builder, other, scale, number))
    y = binary(builder, "maximum", y, scalar(builder, 0, F32))
    function = builder.finish([quantize(builder, y, out, number)])

    wide = codes.astype(np.float64) - zero
    exact = wide @ (weight * steps.astype(np.float64)) * SCALE + bias
    if residual:
        exact = exact + (others.astype(np.float64) - zero) * SCALE
    return function, [codes, others], np.maximum(exact, 0) / OUT_SCALE + zero


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(("dtype", "zero"), [(U8, 0), (U8, 128), (I8, -5)], ids=str)
def test_codes_are_the_nearest_steps(dtype: DType, zero: int, residual: bool):
    function, arrays, exact = layer(dtype, zero, residual)
    ops = optimize_function(function).ops
    assert any(op.name == "integer_dot" for o in ops for r in o.regions for op in r.ops)
    (found,) = jit(function, threads=2)(*arrays)
    limits = np.iinfo(dtype.numpy)
    inside = (exact > limits.min) & (exact < limits.max)
    assert inside.mean() > 0.3
    allowed = 0.5 + ROUNDINGS * (np.abs(exact - zero) + 100)
    assert (np.abs(found - exact) <= allowed)[inside].all()
    assert (found == exact.clip(limits.min, limits.max).round())[~inside].all()
    # The interpreter multiplies floats: a step more or less where both lie near the middle.
    reference = evaluate(function, arrays)[0].astype(int)
    differs = found.astype(int) != reference
    assert np.abs(found.astype(int) - reference).max() <= 1
    assert (np.abs(np.abs(exact - np.floor(exact)) - 0.5) < 1e-3)[differs].all()


def test_bytes_that_are_only_moved_or_compared_stay_bytes():
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((1, 3, 8, 8), U8))
    scale, zero = builder.constant(SCALE), builder.constant(np.uint8(9))
    real = dequantize(builder, x, scale, zero)
    windows = {"window": (1, 1, 2, 2), "strides": (1, 1, 2, 2), "padding": ((0, 0),) * 4}
    ones = {"base_dilations": (1,) * 4, "window_dilations": (1,) * 4}
    pooled = builder.one("reduce_window", (real,), reducer="maximum", **windows, **ones)
    moved = builder.one("transpose", (pooled,), permutation=(0, 2, 3, 1))
    again = quantize(builder, pooled, scale, zero), quantize(builder, moved, scale, zero)
    function = builder.finish(again)
    fused = optimize_function(function)
    made = {v.dtype for o in fused.ops for r in o.regions for op in r.ops for v in op.results}
    array = np.random.default_rng(3).integers(0, 256, x.shape).astype(np.uint8)
    for found, expected in zip(jit(function)(array), evaluate(function, [array]), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert F32 not in made
