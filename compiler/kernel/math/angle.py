"""Reduces an angle to the nearest quarter turn: x = (pi/2) n + r, |r| <= pi/4."""

from __future__ import annotations

import math

from tensorkiln.compiler.ir.dtypes import F32, F64, U32
from tensorkiln.compiler.kernel.expr import Expr
from tensorkiln.compiler.kernel.math.builder import LetBuilder, constant, rounder

# |x| below the bound is a multiple of 2**E (E = none, 27, 54, 81), so whole turns of 2/pi's bits
# at and above 2**(2-E) change nothing: these are the remainders of 2/pi modulo 2**(2-E), each as
# 29 + 29 + 53 bits, so that the first two products with a 24-bit x are exact.
_TWO_OVER_PI_TAILS = (
    (2.0**50, (0.6366197727620602, -3.9447882200366324e-10, -3.260751408868143e-19)),
    (2.0**77, (-4.1197691230676625e-09, 2.27601007365953e-18, -5.811337864506167e-28)),
    (2.0**104, (7.166494903518363e-17, 7.696704866616005e-26, -2.57643177526412e-35)),
    (math.inf, (-5.434184101708317e-25, -6.035433011846991e-34, 1.1588713353428143e-43)),
)
# pi/2 as 33 + 33 + 53 bits: the first two products with n < 2**20 are exact
_HALF_PI = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21)
_TWO_OVER_PI = 0.6366197723675814
_QUARTER_TURN = 1.5707963267948966
_LARGEST_F64 = 2.0**50


def reduce_angle(b: LetBuilder, x: Expr) -> tuple[Expr, Expr]:
    """`(r, n mod 4)` of |x|: r has x's dtype, n is an unsigned integer as wide as x.

    f32: right for every finite x (Payne and Hanek 1983 in f64, with one table row per range of
    exponents).  f64: right for |x| < 2**20; above, x is off by at most one ulp.  Not finite: NaN.
    """
    return _reduce_f32(b, x) if x.dtype == F32 else _reduce_f64(b, x)


def _reduce_f32(b: LetBuilder, x: Expr) -> tuple[Expr, Expr]:
    size = b.magnitude(b.convert(x, F64))
    words: list[Expr] = [constant(value, F64) for value in _TWO_OVER_PI_TAILS[-1][1]]
    for bound, row in reversed(_TWO_OVER_PI_TAILS[:-1]):
        is_below = b.binary("lt", size, bound)
        words = [b.select(is_below, value, word) for value, word in zip(row, words, strict=True)]
    # Both sums are exact: |first| < 2**51 with 53 bits, |second| < 2**23 with its last bit above
    # 2**-31.
    first = b.mul(size, words[0])
    shifted = b.add(first, rounder(F64))
    fraction = b.sub(first, b.sub(shifted, rounder(F64)))
    second = b.fma(size, words[1], fraction)
    shifted_again = b.add(second, rounder(F64))
    fraction = b.sub(second, b.sub(shifted_again, rounder(F64)))
    fraction = b.fma(size, words[2], fraction)
    turns = b.binary("add", b.bits(shifted), b.bits(shifted_again))
    return b.convert(b.mul(fraction, _QUARTER_TURN), F32), b.convert(turns, U32)


def _reduce_f64(b: LetBuilder, x: Expr) -> tuple[Expr, Expr]:
    size = b.magnitude(x)
    is_huge = b.binary("ge", size, _LARGEST_F64)
    size = b.select(is_huge, b.mul(size, 0.0), size)
    shifted = b.fma(size, _TWO_OVER_PI, rounder(F64))
    n = b.sub(shifted, rounder(F64))
    r = size
    for part in _HALF_PI:
        r = b.fma(n, -part, r)
    return r, b.bits(shifted)
