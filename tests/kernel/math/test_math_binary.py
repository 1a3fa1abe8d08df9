"""pow and atan2: worst errors, and all pairs of special values."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkiln.compiler.ir.dtypes import F32, F64, I32

SPECIAL = np.array(
    [0.0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 1.5, -1.5, np.inf, -np.inf, np.nan, 1e-45, -1e-45,
     1e-38, 3e38, -3e38, 127, -127, 16777215, 16777216, 16777218, 1 + 2.0**-23, 1 - 2.0**-24]
)  # fmt: skip
REFERENCE = {"pow": np.power, "atan2": np.arctan2}
BOUND = {("pow", F32): 1, ("atan2", F32): 2, ("pow", F64): 1, ("atan2", F64): 3}


def _wide(dtype):
    if dtype == F64 and np.finfo(np.longdouble).nmant < 63:
        pytest.skip("long double is no wider than double here")
    return np.float64 if dtype == F32 else np.longdouble


def _samples(op, dtype):
    rng = np.random.default_rng(7)
    count = 1 << (15 if dtype == F32 else 13)
    unsigned = np.uint32 if dtype == F32 else np.uint64
    bits = rng.integers(0, 2**dtype.bits, (2, count), dtype=np.uint64).astype(unsigned)
    pairs = [tuple(bits.view(dtype.numpy)), tuple(a.ravel() for a in np.meshgrid(SPECIAL, SPECIAL))]
    if op == "atan2":
        return [*pairs, tuple(rng.standard_normal((2, count)))]
    limit = np.log(float(np.finfo(dtype.numpy).max))
    for base in (
        np.abs(pairs[0][0]),
        1 + rng.standard_normal(count) * np.exp2(rng.uniform(-20, -1, count)),
    ):
        x = np.abs(base).astype(dtype.numpy)
        x = x[(x < np.inf) & (x > 0) & (x != 1)]
        pairs.append(
            (x, rng.uniform(-1.2 * limit, 1.02 * limit, x.size) / np.log(x.astype(np.float64)))
        )
    return [*pairs, (rng.uniform(0, 10, count), rng.uniform(-10, 10, count))]


@pytest.mark.parametrize("fma", [True, False])
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("op", ["pow", "atan2"])
def test_error_is_within_the_bound(op, dtype, fma, expand, ulps):
    code = expand(op, dtype, fma)
    for pair in _samples(op, dtype):
        x, y = (array.astype(dtype.numpy) for array in pair)
        with np.errstate(all="ignore"):
            expected = REFERENCE[op](x.astype(_wide(dtype)), y.astype(_wide(dtype)))
        got = code(x, y)
        errors = ulps(got, expected)
        worst = int(np.argmax(errors))
        assert errors[worst] <= BOUND[op, dtype], (x[worst], y[worst], got[worst], expected[worst])
        same_sign = (np.signbit(got) == np.signbit(expected)) | np.isnan(expected)
        assert same_sign.all(), (x[~same_sign][:4], y[~same_sign][:4])


@pytest.mark.parametrize("fma", [True, False])
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_pow_of_small_integers_is_exact(dtype, fma, expand):
    x, y = (a.ravel().astype(dtype.numpy) for a in np.meshgrid(np.arange(-12, 13), np.arange(7)))
    np.testing.assert_array_equal(expand("pow", dtype, fma)(x, y), x**y)


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 3.0])
def test_pow_with_a_common_exponent_is_short_and_right(exponent, expand, ulps):
    code = expand("pow", F32, True, {1: exponent})
    assert code.operations <= (6 if exponent in (0.25, 0.75) else 4)
    x = np.concatenate([np.geomspace(1e-45, 3e38, 65536), SPECIAL]).astype(np.float32)
    with np.errstate(all="ignore"):
        expected = np.power(x.astype(np.float64), np.full(x.size, exponent))
    got = code(x, x)
    assert ulps(got, expected).max() <= (3 if exponent == 0.75 else 1.5)
    np.testing.assert_array_equal(
        np.signbit(got)[~np.isnan(got)], np.signbit(expected)[~np.isnan(got)]
    )


def test_known_integer_powers_are_written_out(expand):
    values = np.arange(-100, 100, dtype=np.int32)
    for exponent in (0, 1, 2, 5, 12, -1, -2):
        found = expand("pow", I32, True, {1: exponent})(values, values)
        inverse = np.where(np.abs(values) == 1, values ** abs(exponent), 0)
        expected = values**exponent if exponent >= 0 else inverse
        np.testing.assert_array_equal(found, expected, str(exponent))
