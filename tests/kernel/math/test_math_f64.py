"""Worst errors in f64 over random bit patterns and the usual ranges, against long double."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tensorkiln.compiler.ir.dtypes import F64

pytestmark = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="long double is no wider than double here"
)
TRIGONOMETRIC = ("sin", "cos", "tan")


def _logistic(x):
    return np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x)))


def _erf(x):
    # Abramowitz and Stegun 7.1.6: all terms are positive, so no digits cancel.
    size = np.minimum(np.abs(x), np.longdouble(7))
    term, total = np.ones_like(size), np.ones_like(size)
    for n in range(1, 200):
        term = term * (2 * size * size / (2 * n + 1))
        total = total + term
    pi = np.arccos(np.longdouble(-1))
    return np.where(
        np.isnan(x), x, np.copysign(2 / np.sqrt(pi) * size * np.exp(-size * size) * total, x)
    )


REFERENCE = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "tanh": np.tanh, "logistic": _logistic, "erf": _erf,
    "cbrt": np.cbrt, "rsqrt": lambda x: 1 / np.sqrt(x),
}  # fmt: skip
# As in docs/math.md.
BOUND = {
    "exp": 2, "expm1": 3, "log": 1, "log1p": 2, "sin": 2.5, "cos": 2.5, "tan": 4, "tanh": 2,
    "logistic": 4, "erf": 2, "cbrt": 1, "rsqrt": 1.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    rng = np.random.default_rng(5)
    count = 1 << 13
    return np.concatenate(
        [
            rng.integers(0, 2**64, count, dtype=np.uint64).view(np.float64),
            rng.standard_normal(count) * np.exp2(rng.uniform(-30, 3, count)),
            1 + rng.standard_normal(count) * np.exp2(rng.uniform(-50, -3, count)),
            rng.uniform(-750, 750, count),
            rng.uniform(-1e6, 1e6, count),
            np.arange(-200, 200) * (math.pi / 2),
            rng.integers(0, 2**52, 64, dtype=np.uint64).view(np.float64),
            np.array([0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, -5e-324, 1.7e308,
                      2.2250738585072014e-308, 709.782712893384, 709.7827128933841,
                      -745.1332191019411, -745.1332191019412, 0.55, 0.875, 5.93, 19.25]),
        ]
    )  # fmt: skip


@pytest.mark.parametrize("fma", [True, False])
@pytest.mark.parametrize("op", REFERENCE)
def test_error_is_within_the_bound(op, fma, expand, ulps, sample):
    x = sample[~(np.abs(sample) > 2.0**20)] if op in TRIGONOMETRIC else sample
    if op == "erf":
        x = x[::4]
    got = expand(op, F64, fma)(x)
    with np.errstate(all="ignore"):
        expected = REFERENCE[op](x.astype(np.longdouble))
    errors = ulps(got, expected)
    worst = int(np.argmax(errors))
    assert errors[worst] <= BOUND[op], (x[worst], got[worst], expected[worst])
    same_sign = (np.signbit(got) == np.signbit(expected)) | np.isnan(expected)
    assert same_sign.all(), x[~same_sign][:4]


@pytest.mark.parametrize("fma", [True, False])
@pytest.mark.parametrize("op", ["sin", "cos"])
def test_a_huge_angle_is_off_by_at_most_an_ulp_of_the_angle(op, fma, expand):
    rng = np.random.default_rng(6)
    x = rng.uniform(1, 2, 4096) * np.exp2(rng.integers(20, 49, 4096).astype(np.float64))
    got = expand(op, F64, fma)(x)
    error = np.abs(got - REFERENCE[op](x.astype(np.longdouble)).astype(np.float64))
    assert (error <= np.spacing(x) + 4e-16).all()
    assert (np.abs(expand(op, F64, fma)(np.array([1e300, -1.7e308]))) <= 1).all()
