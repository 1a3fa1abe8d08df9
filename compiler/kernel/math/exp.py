"""exp and expm1: round to a multiple of ln 2, a polynomial for the rest, exponent bits for the scale.

With `rounder + k` added, x/step is rounded to the integer n and the low bits of the sum are n + k,
so that a shift puts 2**n into place when k is the exponent bias.  Shifts and sums only: no
conversion, no rounding instruction.
"""

from __future__ import annotations

from dataclasses import dataclass

from tensorkiln.compiler.ir.dtypes import F32, F64, DType
from tensorkiln.compiler.kernel.expr import Expr
from tensorkiln.compiler.kernel.math.builder import (
    LetBuilder,
    exponent_bias,
    mantissa_bits,
    rounder,
)  # fmt: skip
from tensorkiln.compiler.kernel.math.double import quick_two_sum


@dataclass(frozen=True)
class _Reduction:
    """`step` as high + low, where integers times high are exact; 1/step; the useful range."""

    high: float
    low: float
    inverse: float
    lowest: float
    highest: float


# exp: steps of 2 ln 2
_EXP_STEP = {
    F32: _Reduction(1.38629150390625, 2.857213530660374e-06, 0.7213475204444817, -120.0, 120.0),
    F64: _Reduction(1.3862943611202354, -3.447888905122967e-13, 0.7213475204444817, -800.0, 800.0),
}
# expm1: steps of ln 2
_EXPM1_STEP = {
    F32: _Reduction(0.693145751953125, 1.428606765330187e-06, 1.4426950408889634, -18.0, 88.8),
    F64: _Reduction(0.6931471805601177, -1.7239444525614835e-13, 1.4426950408889634, -40.0, 709.8),
}
# exp(r) = 1 + r + r^2 P(r) for |r| <= ln 2; relative error 2^-26.0 and 2^-55.8
_EXP = {
    F32: (
        0.5000003576278687, 0.1666661649942398, 0.041661202907562256,
        0.008335966616868973, 0.0014105347217991948, 0.00019630098540801555,
    ),
    F64: (
        0.4999999999999993, 0.16666666666666935, 0.041666666666702046,
        0.008333333333270005, 0.001388888888358143, 0.00019841269892720634, 2.4801590827928288e-05,
        2.7557300666895227e-06, 2.7556158460688316e-07, 2.5055031653109232e-08,
        2.1062299443404555e-09, 1.5935634723489163e-10,
    ),
}  # fmt: skip
# expm1(r) = r + r^2 P(r) for |r| <= ln(2)/2; relative error 2^-26.1 and 2^-54.7
_EXPM1 = {
    F32: (
        0.4999999701976776, 0.1666654348373413, 0.041667498648166656, 0.008366534486413002,
        0.0013864877400919795,
    ),
    F64: (
        0.5000000000000006, 0.16666666666666588, 0.04166666666657673, 0.008333333333389498,
        0.0013888888931570798, 0.00019841269719188763, 2.480150526763105e-05,
        2.755740735315536e-06, 2.7626040124466873e-07, 2.505383817089845e-08,
    ),
}  # fmt: skip
_TINY = {F32: 2.0**-25, F64: 2.0**-54}  # expm1(x) rounds to x below


def exp(b: LetBuilder, x: Expr) -> Expr:
    """e**x for f32 and f64, subnormal results included."""
    return exp_not_above_one(b, b.at_most(x, _EXP_STEP[x.dtype].highest))


def exp_not_above_one(b: LetBuilder, x: Expr) -> Expr:
    """e**x where no clamp from above is needed: x <= 0.

    x = 2 n ln 2 + r, so the scale 2**(2n) is two factors 2**n, each a normal number: subnormal
    results are rounded once, by the last multiplication, and too large ones become infinite.
    """
    dtype = x.dtype
    step = _EXP_STEP[dtype]
    x = b.at_least(x, step.lowest)
    n, shifted = round_to_steps(b, x, step.inverse, exponent_bias(dtype))
    scale = power_of_two(b, shifted)
    r = _remainder(b, x, n, step)
    if b.fuses:
        power = b.polynomial(r, (1.0, 1.0, *_EXP[dtype]))
    else:
        # The roundings of two products would add up to nearly 2 ulp: 1 + r as two words.
        one = quick_two_sum(b, 1.0, r)
        rest = b.fma(b.mul(r, r), b.polynomial(r, _EXP[dtype]), one.low)
        power = b.add(one.high, rest)
    return b.mul(b.mul(power, scale), scale)


def exp_of_double(b: LetBuilder, x: Expr, tail: Expr) -> Expr:
    """e**(x + tail) for f64, |x| <= 800, within 0.7 ulp, so that exact powers come out exact.

    Steps of ln 2, and 1 + r + r^2 P(r) with r as two words; 2**n as 2**h 2**(n-h), h near n/2.
    """
    step = _EXPM1_STEP[F64]
    bias = exponent_bias(F64)
    n, _ = round_to_steps(b, x, step.inverse, 0)
    high = b.fma(n, -step.high, x)
    tail = b.fma(n, -step.low, tail)
    r = b.add(high, tail)
    rest = b.fma(b.mul(r, r), b.polynomial(r, _EXPM1[F64]), tail)
    one = quick_two_sum(b, 1.0, high)
    power = b.add(one.high, b.add(one.low, rest))
    half, shifted = round_to_steps(b, n, 0.5, bias)
    other = b.add(b.sub(n, half), rounder(F64) + bias)
    return b.mul(b.mul(power, power_of_two(b, shifted)), power_of_two(b, other))


def expm1(b: LetBuilder, x: Expr) -> Expr:
    """e**x - 1 for f32 and f64, as 2 ((p + 1) 2**(n-1) - 1/2) with p = expm1(x - n ln 2)."""
    dtype = x.dtype
    step = _EXPM1_STEP[dtype]
    clamped = b.at_least(b.at_most(x, step.highest), step.lowest)
    n, shifted = round_to_steps(b, clamped, step.inverse, exponent_bias(dtype) - 1)
    r = _remainder(b, clamped, n, step)
    p = b.fma(b.mul(r, r), b.polynomial(r, _EXPM1[dtype]), r)
    half_scale = power_of_two(b, shifted)
    half = b.fma(p, half_scale, b.sub(half_scale, 0.5))
    is_tiny = b.binary("lt", b.magnitude(x), _TINY[dtype])
    return b.select(is_tiny, x, b.add(half, half))


def round_to_steps(b: LetBuilder, x: Expr, inverse: float, offset: int) -> tuple[Expr, Expr]:
    """`n = round(x * inverse)` and the number whose low bits are n + offset."""
    magic = rounder(x.dtype) + offset
    shifted = b.fma(x, inverse, magic)
    return b.sub(shifted, magic), shifted


def power_of_two(b: LetBuilder, shifted: Expr) -> Expr:
    """The float whose exponent field is in the low bits of `shifted`."""
    dtype: DType = shifted.dtype
    return b.from_bits(b.binary("shl", b.bits(shifted), mantissa_bits(dtype)), dtype)


def _remainder(b: LetBuilder, x: Expr, n: Expr, step: _Reduction) -> Expr:
    return b.fma(n, -step.low, b.fma(n, -step.high, x))
