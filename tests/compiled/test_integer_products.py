"""Products of integers are blocked and packed like those of floats, and exact."""

from __future__ import annotations

import numpy as np
import pytest
from compiled.check import small_limits

from tensorkiln.compiler import pipeline
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import I8, I32, U8, DType
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import convert, matmul
from tensorkiln.runtime.jit import load_compiled


@pytest.mark.parametrize(("left", "right"), [(I32, I32), (U8, I8), (I8, I8)], ids=str)
@pytest.mark.parametrize("sizes", [(37, 131, 75), (1, 40, 33), (5, 3, 2)], ids=str)
def test_matrix_products(sizes: tuple[int, int, int], left: DType, right: DType) -> None:
    rows, depth, columns = sizes
    generator = np.random.default_rng(depth)
    builder = Builder(REGISTRY)
    shapes = ((rows, depth), (depth, columns))
    operands = [
        builder.parameter(name, TensorType(shape, dtype))
        for name, shape, dtype in zip("ab", shapes, (left, right), strict=True)
    ]
    wide = [convert(builder, x, I32) for x in operands]
    function = builder.finish([matmul(builder, *wide)])
    low = [0 if d == U8 else -128 if d == I8 else -(2**31) for d in (left, right)]
    high = [255 if d == U8 else 127 if d == I8 else 2**31 - 1 for d in (left, right)]
    arrays = [
        generator.integers(a, b, shape, endpoint=True).astype(x.dtype.numpy)
        for a, b, shape, x in zip(low, high, shapes, operands, strict=True)
    ]
    with small_limits():
        compiled = pipeline.compile_function(function)
    (found,) = load_compiled(compiled, threads=2)(*arrays)
    with np.errstate(over="ignore"):
        expected = arrays[0].astype(np.int32) @ arrays[1].astype(np.int32)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("channels", [3, 16])
def test_convolutions(channels: int) -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((2, channels, 9, 11), U8))
    kernel = builder.parameter("k", TensorType((19, channels, 3, 3), I8))
    result = builder.one(
        "convolution", (convert(builder, x, I32), convert(builder, kernel, I32)),
        strides=(1, 2), padding=((1, 1), (0, 2)), lhs_dilation=(1, 1), rhs_dilation=(1, 1),
        reversal=(0, 0), lhs_spec=(0, 1, 2, 3), rhs_spec=(0, 1, 2, 3), out_spec=(0, 1, 2, 3),
        feature_groups=1, batch_groups=1,
    )  # fmt: skip
    function = builder.finish([result])
    generator = np.random.default_rng(channels)
    arrays = [
        generator.integers(0, 255, x.shape).astype(np.uint8),
        generator.integers(-128, 127, kernel.shape).astype(np.int8),
    ]
    (found,) = load_compiled(pipeline.compile_function(function), threads=2)(*arrays)
    np.testing.assert_array_equal(found, evaluate(function, arrays)[0])
