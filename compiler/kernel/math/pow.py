"""pow: e**(y log|x|) with a logarithm of enough extra digits, then signs and C99's special cases."""

from __future__ import annotations

import math
from collections.abc import Callable

from tensorkiln.compiler.ir.dtypes import F32, F64
from tensorkiln.compiler.kernel.expr import Const, Expr
from tensorkiln.compiler.kernel.math.builder import (
    LetBuilder,
    constant,
    exponent_bias,
    sign_bit,
)  # fmt: skip
from tensorkiln.compiler.kernel.math.double import (
    Double,
    product,
    quick_two_sum,
    two_product,
    two_sum,
)  # fmt: skip
from tensorkiln.compiler.kernel.math.exp import exp_of_double, power_of_two, round_to_steps
from tensorkiln.compiler.kernel.math.log import LN2, split

# log(1 + f) = f P(f) for 1 + f in [sqrt(1/2), sqrt(2)); relative error 2^-35.8
_LOG = (
    0.9999999999859633, -0.5000000002940155, 0.33333334333440423, -0.24999994080445576,
    0.19999881166791178, -0.16666943465235554, 0.14290986362946495, -0.12497482314857188,
    0.11005088675678786, -0.09922890292092898, 0.10033209881245156, -0.09900679705525207,
    0.05362672575195523,
)  # fmt: skip
# e**r = P(r) for |r| <= ln(2)/2; relative error 2^-29.0
_EXP = (
    1.0000000005540675, 1.0000000363431498, 0.49999992077971156, 0.16666420084443326,
    0.04166822595206741, 0.008374823265204384, 0.0013836839894745064,
)  # fmt: skip
# 2 atanh(s) = 2 s + s^3 (2/3 + s^2 P(s^2)) for |s| <= 0.1716; relative error 2^-66.4
_ATANH = (
    0.3999999999999998, 0.28571428571445057, 0.2222222221754887, 0.18181818868881647,
    0.15384556963570475, 0.13336314029587604, 0.11674884273116744, 0.11988487632252173,
)  # fmt: skip
_TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
_LN2 = 0.6931471805599453
_INVERSE_LN2 = 1.4426950408889634
_EXPONENT_RANGE = {F32: 200.0, F64: 800.0}  # e**x is 0 or infinite beyond
_LARGEST_Y = 2.0**900  # times any log of an f64 but 0 is far out of range too


def pow(b: LetBuilder, x: Expr, y: Expr) -> Expr:
    """x**y for floats, with the special cases of C99 F.9.4.4."""
    if x.dtype.is_integer:
        return integer_pow(b, x, y)
    if isinstance(y, Const) and float(y.value) in _SHORT:
        return _SHORT[float(y.value)](b, x)
    size = b.magnitude(x)
    power = _power_f32(b, size, y) if x.dtype == F32 else _power_f64(b, size, y)
    return _with_signs(b, x, y, power)


def _power_f32(b: LetBuilder, size: Expr, y: Expr) -> Expr:
    """size**y in f64, rounded once to f32."""
    wide = b.convert(size, F64)
    m, exponent = split(b, wide)
    f = b.sub(m, 1.0)
    logarithm = b.fma(exponent, _LN2, b.mul(f, b.polynomial(f, _LOG)))
    logarithm = _log_at_ends(b, wide, logarithm)
    limit = _EXPONENT_RANGE[F32]
    exponent = b.mul(_finite(b, b.convert(y, F64)), logarithm)
    exponent = b.at_least(b.at_most(exponent, limit), -limit)
    n, shifted = round_to_steps(b, exponent, _INVERSE_LN2, exponent_bias(F64))
    r = b.fma(n, -_LN2, exponent)
    return b.convert(b.mul(b.polynomial(r, _EXP), power_of_two(b, shifted)), F32)


def _power_f64(b: LetBuilder, size: Expr, y: Expr) -> Expr:
    """size**y with log(size) and the product as two f64 each."""
    logarithm = _log_double(b, size)
    y = _finite(b, y)
    high = _log_at_ends(b, size, logarithm.high)
    exponent, error = two_product(b, y, high)
    error = b.fma(y, logarithm.low, error)
    limit = _EXPONENT_RANGE[F64]
    error = b.select(b.binary("lt", b.magnitude(exponent), limit), error, 0.0)
    return exp_of_double(b, b.at_least(b.at_most(exponent, limit), -limit), error)


def _log_double(b: LetBuilder, x: Expr) -> Double:
    """log x = e ln 2 + 2 s + s z (2/3 + z P(z)), s = (m - 1)/(m + 1), z = s^2; error near 2^-64.

    z P(z) is at most 2^-6 of 2/3, which times z is at most 2^-6 of 2: it needs no second word.
    """
    m, exponent = split(b, x)
    f = b.sub(m, 1.0)
    below = two_sum(b, m, 1.0)
    inverse = b.div(1.0, below.high)
    s_high = b.mul(f, inverse)
    back = two_product(b, s_high, below.high)
    left = b.sub(b.sub(f, back.high), back.low)
    left = b.fma(b.negate(s_high), below.low, left)
    s = Double(s_high, b.mul(left, inverse))
    z = product(b, s, s)
    inner = quick_two_sum(b, _TWO_THIRDS[0], b.mul(z.high, b.polynomial(z.high, _ATANH)))
    inner = Double(inner.high, b.add(inner.low, _TWO_THIRDS[1]))
    rest = product(b, s, product(b, z, inner))
    doubled = Double(b.add(s.high, s.high), b.add(s.low, s.low))
    total = quick_two_sum(b, doubled.high, rest.high)
    low = b.add(total.low, b.add(doubled.low, rest.low))
    ln2_high, ln2_low = LN2[F64]
    with_exponent = two_sum(b, b.mul(exponent, ln2_high), total.high)
    low = b.add(with_exponent.low, b.fma(exponent, ln2_low, low))
    return quick_two_sum(b, with_exponent.high, low)


def _log_at_ends(b: LetBuilder, x: Expr, logarithm: Expr) -> Expr:
    """-inf at zero, x itself at infinity and NaN."""
    logarithm = b.select(b.binary("eq", x, 0.0), -math.inf, logarithm)
    return b.select(b.binary("lt", x, math.inf), logarithm, x)


def _finite(b: LetBuilder, y: Expr) -> Expr:
    """`y` with infinities made large numbers, so that infinity times log 1 is zero."""
    return b.at_least(b.at_most(y, _LARGEST_Y), -_LARGEST_Y)


def _with_signs(b: LetBuilder, x: Expr, y: Expr, power: Expr) -> Expr:
    """The sign for odd integers y, NaN for negative x and fractional y, 1 for x = 1 or y = 0."""
    dtype = x.dtype
    is_whole = b.binary("eq", b.unary("trunc", y), y)
    half = b.mul(y, 0.5)
    is_odd = b.binary("and", is_whole, b.binary("ne", b.unary("trunc", half), half))
    sign = b.binary("and", b.bits(x), sign_bit(dtype))
    power = b.select(is_odd, b.flip_sign(power, sign), power)
    is_negative = b.binary("and", b.binary("lt", x, 0.0), b.binary("gt", x, -math.inf))
    power = b.select(is_negative, b.select(is_whole, power, b.nan(dtype)), power)
    is_one = b.binary("or", b.binary("eq", x, 1.0), b.binary("eq", y, 0.0))
    return b.select(is_one, 1.0, power)


def _square_root(b: LetBuilder, x: Expr) -> Expr:
    """x**0.5, which unlike the square root is +0 at -0 and +inf at -inf."""
    root = b.unary("sqrt", b.add(x, 0.0))
    return b.select(b.binary("eq", x, -math.inf), math.inf, root)


def _three_quarters(b: LetBuilder, x: Expr) -> Expr:
    """x**0.75 as the product of its roots, within 3 ulp: local response normalization's power."""
    root = _square_root(b, x)
    return b.mul(root, b.unary("sqrt", root))


_SHORT: dict[float, Callable[[LetBuilder, Expr], Expr]] = {
    -1.0: lambda b, x: b.div(1.0, x),
    0.0: lambda b, x: constant(1.0, x.dtype),
    0.25: lambda b, x: b.unary("sqrt", _square_root(b, x)),
    0.5: _square_root,
    0.75: _three_quarters,
    1.0: lambda b, x: x,
    2.0: lambda b, x: b.mul(x, x),
    3.0: lambda b, x: b.mul(b.mul(x, x), x),
}


def integer_pow(b: LetBuilder, x: Expr, y: Expr) -> Expr:
    """x**y wrapping; for y < 0 the quotient 1 // x**|y|: 0 unless x is 1 or -1.

    Squarings are written out for exponents that are known; for others the emitter makes a loop.
    """
    if not isinstance(y, Const):
        return b.binary("pow", x, y)
    dtype, exponent = x.dtype, int(y.value)
    if exponent < 0:
        parity = x if exponent % 2 else constant(1, dtype)
        is_unit = b.binary("or", b.binary("eq", x, 1), b.binary("eq", x, -1))
        return b.select(is_unit, parity, 0)
    result: Expr = constant(1, dtype)
    power = x
    for bit in range(exponent.bit_length()):
        if exponent >> bit & 1:
            result = power if result == constant(1, dtype) else b.mul(result, power)
        if exponent >> bit > 1:
            power = b.mul(power, power)
    return result
