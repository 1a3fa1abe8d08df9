"""Worst errors in f32 over a sample of all bit patterns, against numpy in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tensorkiln.compiler.ir.dtypes import F32

STRIDE = 4093  # prime: every exponent, about 2**20 patterns
SUBNORMALS = np.arange(0, 2**23, 8191, dtype=np.uint32).view(np.float32)
SPECIAL = np.array(
    [0.0, -0.0, 1, -1, 0.5, -0.5, np.inf, -np.inf, np.nan, 2.0**-149, -(2.0**-149), 2.0**-126,
     -(2.0**-126), 3.4028235e38, -3.4028235e38, 88.72284, 88.72283, -87.33655, -103.97208,
     -103.97209, 0.55, 0.875, 3.93, 9.25, 1e-5, 16777216.0],
    np.float32,
)  # fmt: skip


def _logistic(x):
    return np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x)))


def _erf(x):
    return np.array([math.erf(v) for v in x.tolist()])


REFERENCE = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "tanh": np.tanh, "logistic": _logistic, "erf": _erf,
    "cbrt": np.cbrt, "rsqrt": lambda x: 1 / np.sqrt(x), "sign": lambda x: np.where(x == 0, x, np.sign(x)),
    "round_away": lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x),
}  # fmt: skip
# As in docs/math.md.
BOUND = {
    "exp": 2, "expm1": 2, "log": 1, "log1p": 2, "sin": 2, "cos": 2, "tan": 4, "tanh": 2,
    "logistic": 4, "erf": 2, "cbrt": 1, "rsqrt": 1.5, "sign": 0, "round_away": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    patterns = np.arange(0, 2**32, STRIDE, dtype=np.uint64).astype(np.uint32).view(np.float32)
    dense = np.linspace(-12, 12, 1 << 16, dtype=np.float32)
    return np.concatenate([patterns, dense, SUBNORMALS, -SUBNORMALS, SPECIAL])


@pytest.mark.parametrize("fma", [True, False])
@pytest.mark.parametrize("op", REFERENCE)
def test_error_is_within_the_bound_for_all_patterns(op, fma, expand, ulps, sample):
    got = expand(op, F32, fma)(sample)
    with np.errstate(all="ignore"):
        expected = REFERENCE[op](sample.astype(np.float64))
    errors = ulps(got, expected)
    worst = int(np.argmax(errors))
    assert errors[worst] <= BOUND[op], (sample[worst], got[worst], expected[worst])
    same_sign = (np.signbit(got) == np.signbit(expected)) | np.isnan(expected)
    assert same_sign.all(), sample[~same_sign][:4]


@pytest.mark.parametrize(
    ("op", "x", "result"),
    [
        ("exp", -math.inf, 0.0), ("exp", math.inf, math.inf), ("exp", 0.0, 1.0),
        ("exp", -103.5, 2.0**-149), ("exp", 89.0, math.inf), ("expm1", -math.inf, -1.0),
        ("expm1", -0.0, -0.0), ("expm1", 2.0**-149, 2.0**-149), ("log", 0.0, -math.inf),
        ("log", -0.0, -math.inf), ("log", 1.0, 0.0), ("log", -1.0, math.nan),
        ("log", math.inf, math.inf), ("log1p", -1.0, -math.inf), ("log1p", -0.0, -0.0),
        ("log1p", -1.5, math.nan), ("sin", -0.0, -0.0), ("sin", math.inf, math.nan),
        ("cos", 0.0, 1.0), ("tan", -0.0, -0.0), ("tanh", math.inf, 1.0), ("tanh", -40.0, -1.0),
        ("tanh", -(2.0**-149), -(2.0**-149)), ("logistic", -math.inf, 0.0),
        ("logistic", 0.0, 0.5), ("erf", math.inf, 1.0), ("erf", -0.0, -0.0),
        ("cbrt", 27.0, 3.0), ("cbrt", -8.0, -2.0), ("cbrt", -math.inf, -math.inf),
        ("rsqrt", 0.0, math.inf), ("rsqrt", 4.0, 0.5), ("sign", -0.0, -0.0),
        ("round_away", 0.49999997, 0.0), ("round_away", -2.5, -3.0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("fma", [True, False])
def test_special_values_are_exact(op, x, result, fma, expand):
    got = float(expand(op, F32, fma)(np.array([x], np.float32))[0])
    if math.isnan(result):
        assert math.isnan(got)
    else:
        assert (got, math.copysign(1, got)) == (result, math.copysign(1, result))


@pytest.mark.parametrize("fma", [True, False])
def test_sine_of_the_f32_nearest_to_a_multiple_of_a_quarter_turn(fma, expand, ulps):
    # 16367173 * 2**72 is the f32 nearest to a multiple of pi/2 (Muller, Elementary Functions).
    x = np.array([16367173 * 2.0**72], np.float32)
    assert ulps(expand("cos", F32, fma)(x), np.cos(x.astype(np.float64)))[0] <= 2


def test_is_finite(expand, sample):
    np.testing.assert_array_equal(expand("is_finite", F32, True)(sample), np.isfinite(sample))
