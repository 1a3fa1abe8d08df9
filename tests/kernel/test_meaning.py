"""The scalar operations of the kernel IR at their corners."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorkiln.compiler.ir.dtypes import BF16, BOOL, F16, F32, F64, I8, I32, I64, U8, U64, DType
from tensorkiln.compiler.kernel import meaning


def one(dtype: DType, value: object) -> np.ndarray:
    return np.array([value]).astype(dtype.numpy)


@pytest.mark.parametrize(
    ("op", "dtype", "a", "b", "expected"),
    [
        ("div", I8, 7, 0, -1),
        ("div", U8, 7, 0, 255),
        ("div", I8, -128, -1, -128),
        ("div", I8, -7, 2, -3),
        ("div", I8, 7, -2, -3),
        ("rem", I8, 7, 0, 7),
        ("rem", I8, -7, 2, -1),
        ("rem", I8, -128, -1, 0),
        ("floordiv", I64, -7, 2, -4),
        ("mod", I64, -7, 2, 1),
        ("add", I8, 127, 1, -128),
        ("mul", U8, 16, 17, 16),
        ("shl", I32, 1, 32, 0),
        ("shl", I32, 1, -1, 0),
        ("shr_arithmetic", I8, -128, 9, -1),
        ("shr_arithmetic", I8, 127, 9, 0),
        ("shr_logical", I8, -128, 7, 1),
        ("shr_logical", I8, -128, 8, 0),
        ("pow", I32, 3, 4, 81),
        ("pow", I32, 2, 32, 0),
        ("pow", I32, -1, -3, -1),
        ("pow", I32, 5, -3, 0),
        ("max", F32, math.nan, 1.0, math.nan),
        ("min", F32, 1.0, math.nan, math.nan),
        ("rem", F32, -7.5, 2.0, -1.5),
        ("xor", BOOL, True, True, False),
    ],
)
def test_binary(op: str, dtype: DType, a: float, b: float, expected: float):
    with np.errstate(all="ignore"):
        result = meaning.binary(op, dtype, one(dtype, a), one(dtype, b))
        np.testing.assert_array_equal(result, one(dtype, expected))
    assert result.dtype == dtype.numpy


@pytest.mark.parametrize(
    ("op", "dtype", "x", "expected"),
    [
        ("abs", I8, -128, -128),
        ("neg", U8, 1, 255),
        ("not", I8, 0, -1),
        ("not", BOOL, True, False),
        ("sign", F32, math.nan, math.nan),
        ("popcount", I8, -1, 8),
        ("count_leading_zeros", I32, 1, 31),
        ("count_leading_zeros", U64, 0, 64),
        ("round_away", F32, -2.5, -3.0),
        ("round_away", F64, 0.49999999999999994, 0.0),
        ("round_even", F32, 2.5, 2.0),
        ("logistic", F32, -200.0, 0.0),
        ("exp", BF16, 0.0, 1.0),
    ],
)
def test_unary(op: str, dtype: DType, x: float, expected: float):
    result = meaning.unary(op, dtype, one(dtype, x))
    np.testing.assert_array_equal(result, one(dtype, expected))
    assert result.dtype == dtype.numpy


@pytest.mark.parametrize(
    ("source", "target", "x", "expected"),
    [
        (F32, I8, 300.0, 127),
        (F32, I8, -1e30, -128),
        (F32, I32, math.nan, 0),
        (F32, I64, math.inf, 2**63 - 1),
        (F64, U64, 1.9e19, 2**64 - 1),
        (F32, U8, -0.9, 0),
        (F32, I32, -2.9, -2),
        (I32, I8, 300, 44),
        (F32, BOOL, math.nan, True),
        (I32, BOOL, 2, True),
        (F32, F16, 65520.0, math.inf),
    ],
)
def test_convert(source: DType, target: DType, x: float, expected: float):
    with np.errstate(all="ignore"):
        want = np.array([expected]).astype(target.numpy)
    np.testing.assert_array_equal(meaning.convert(source, target, one(source, x)), want)


def test_sign_keeps_negative_zero():
    assert np.signbit(meaning.unary("sign", F32, one(F32, -0.0)))[0]


floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(floats, floats, floats)
@settings(max_examples=300, deadline=None)
def test_fma_of_f32_rounds_once(a: float, b: float, c: float):
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    result = float(meaning.fma(F32, one(F32, a), one(F32, b), one(F32, c))[0])
    if math.isinf(result):
        assert abs(exact) > Fraction(float(np.finfo("f").max))
        return
    error = abs(Fraction(result) - exact)
    x = np.float32(result)
    with np.errstate(over="ignore"):
        neighbours = [np.nextafter(x, np.float32(end)) for end in (-np.inf, np.inf)]
    for neighbour in neighbours:
        if np.isfinite(neighbour):
            assert error <= abs(Fraction(float(neighbour)) - exact)


def test_fma_does_not_double_round():
    # a * b + c lies just above the middle of two floats; rounding to f64 first loses that.
    a, b, c = 1 + 2.0**-12, 1 + 2.0**-12, 2.0**-80
    middle = np.float32(a) * np.float64(b)
    assert float(meaning.fma(F32, one(F32, a), one(F32, b), one(F32, c))[0]) > middle


def test_fma_of_f64():
    a = 1 + 2.0**-30
    assert meaning.fma(F64, one(F64, a), one(F64, a), one(F64, -1 - 2.0**-29))[0] == 2.0**-60
    assert meaning.fma(F64, one(F64, 1e308), one(F64, 1e308), one(F64, -math.inf))[0] == -math.inf
