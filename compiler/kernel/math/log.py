"""log and log1p: x = m 2**e with m in [sqrt(1/2), sqrt(2)), then log(1 + f) for f = m - 1."""

from __future__ import annotations

import math

from tensorkiln.compiler.ir.dtypes import F32, F64, DType
from tensorkiln.compiler.kernel.expr import Expr
from tensorkiln.compiler.kernel.math.builder import (
    LetBuilder,
    constant,
    exponent_bias,
    mantissa_bits,
)  # fmt: skip

# ln 2 as high + low; exponents times high are exact
LN2 = {
    F32: (0.693145751953125, 1.428606765330187e-06),
    F64: (0.6931471805601177, -1.7239444525614835e-13),
}
# log(1 + f) = f + f^2 P(f); relative error 2^-27.8
_LOG = (
    -0.49999988079071045, 0.33333325386047363, -0.2500160038471222, 0.20002003014087677,
    -0.16608765721321106, 0.1418113261461258, -0.13244561851024628, 0.1290910840034485,
    -0.07623999565839767,
)  # fmt: skip
# 2 atanh(s) = 2 s + s^3 P(s^2); relative error 2^-59.3
_ATANH = (
    0.6666666666666734, 0.3999999999941642, 0.2857142874201264, 0.22222198610523095,
    0.181835624415482, 0.15314097431988852, 0.1479549302184754,
)  # fmt: skip
_ONE = {F32: 0x3F800000, F64: 0x3FF0000000000000}
_SQRT_HALF = {F32: 0x3F3504F3, F64: 0x3FE6A09E667F3BCD}  # bits of sqrt(1/2)
_SMALLEST_NORMAL = {F32: 2.0**-126, F64: 2.0**-1022}


def log(b: LetBuilder, x: Expr) -> Expr:
    """Natural logarithm for f32 and f64, subnormal arguments included; NaN below zero."""
    m, exponent = split(b, x)
    return _with_special_cases(b, x, _log_of_one_plus(b, b.sub(m, 1.0), exponent))


def log1p(b: LetBuilder, x: Expr) -> Expr:
    """log(1 + x) for f32 and f64.

    The exponent e is that of the rounded 1 + x; f = x 2**-e + (2**-e - 1) then is rounded once.
    The scale is used as 2**(2-e), which is a normal number for every e.
    """
    dtype = x.dtype
    width, bias = mantissa_bits(dtype), exponent_bias(dtype)
    u = b.add(x, 1.0)
    field, _ = _exponent_field(b, b.bits(u), dtype)
    exponent = b.sub(_as_float(b, field, dtype), 2.0**width + bias)
    scale_bits = b.binary("shl", b.binary("sub", 2 * bias + 2, field), width)
    scale = b.from_bits(scale_bits, dtype)
    f = b.fma(b.mul(x, scale), 0.25, b.fma(scale, 0.25, -1.0))
    result = _with_special_cases(b, u, _log_of_one_plus(b, f, exponent))
    is_tiny = b.binary("lt", b.magnitude(x), 2.0 ** -(width + 2))
    return b.select(is_tiny, x, result)


def split(b: LetBuilder, x: Expr) -> tuple[Expr, Expr]:
    """For positive finite x: m in [sqrt(1/2), sqrt(2)) and e, a float, with x = m 2**e."""
    dtype = x.dtype
    width = mantissa_bits(dtype)
    is_subnormal = b.binary("lt", x, _SMALLEST_NORMAL[dtype])
    normal = b.select(is_subnormal, b.mul(x, 2.0 ** (width + 1)), x)
    field, shifted = _exponent_field(b, b.bits(normal), dtype)
    mantissa = b.binary("and", shifted, (1 << width) - 1)
    m = b.from_bits(b.binary("add", mantissa, _SQRT_HALF[dtype]), dtype)
    offset = 2.0**width + exponent_bias(dtype)
    offsets = b.select(is_subnormal, constant(offset + width + 1, dtype), offset)
    return m, b.sub(_as_float(b, field, dtype), offsets)


def _exponent_field(b: LetBuilder, bits: Expr, dtype: DType) -> tuple[Expr, Expr]:
    # Adding the distance from sqrt(1/2) to 1 carries into the exponent from sqrt(2) on.
    shifted = b.binary("add", bits, _ONE[dtype] - _SQRT_HALF[dtype])
    return b.binary("shr_logical", shifted, mantissa_bits(dtype)), shifted


def _as_float(b: LetBuilder, integer: Expr, dtype: DType) -> Expr:
    """`2**mantissa_bits + integer` as a float, for 0 <= integer < 2**mantissa_bits."""
    one_ulp_bits = (exponent_bias(dtype) + mantissa_bits(dtype)) << mantissa_bits(dtype)
    return b.from_bits(b.binary("or", integer, one_ulp_bits), dtype)


def _log_of_one_plus(b: LetBuilder, f: Expr, exponent: Expr) -> Expr:
    """log(1 + f) + exponent ln 2 for 1 + f in [sqrt(1/2), sqrt(2))."""
    high, low = LN2[f.dtype]
    square = b.mul(f, f)
    if f.dtype == F32:
        rest = b.fma(square, b.polynomial(f, _LOG), b.mul(exponent, low))
        return b.fma(exponent, high, b.add(f, rest))
    # s = f / (2 + f): log(1 + f) = 2 s + s^3 P = f - (f^2/2 - s (f^2/2 + s^2 P)), as fdlibm does
    s = b.div(f, b.add(f, 2.0))
    z = b.mul(s, s)
    half_square = b.mul(square, 0.5)
    inner = b.fma(z, b.polynomial(z, _ATANH), half_square)
    correction = b.fma(s, inner, b.mul(exponent, low))
    return b.fma(exponent, high, b.sub(f, b.sub(half_square, correction)))


def _with_special_cases(b: LetBuilder, x: Expr, result: Expr) -> Expr:
    """`result` for positive finite x; +inf at +inf, -inf at zero, NaN below zero and for NaN."""
    not_positive = b.select(b.binary("eq", x, 0.0), constant(-math.inf, x.dtype), b.nan(x.dtype))
    result = b.select(b.binary("gt", x, 0.0), result, not_positive)
    return b.select(b.binary("eq", x, math.inf), x, result)
