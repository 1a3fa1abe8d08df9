"""Logarithm, sine and cosine of f64 as the GNU C library 2.28 to 2.42 rounds them.

With fused multiply-adds where the library's code for machines that have them uses them: the results
differ in one of some hundred arguments without, there as here.  Errors are below 0.52 and 0.55 ulp.
Methods: P. T. P. Tang, Table-driven implementation of the logarithm function in IEEE floating-point
arithmetic, 1990; S. Gal, B. Bachelis, An accurate elementary mathematical library, 1991; tables and
polynomials as ARM's optimized routines and IBM's accurate library choose them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

from tensorkiln.compiler.ir.dtypes import F64, I64, U64
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.glibc_f32 import in_quadrants
from tensorkiln.compiler.ops.glibc_f64_table import INVERSES
from tensorkiln.compiler.ops.tables import exact_log, look_up

_LN2 = (0.6931471805598903, 5.497923018708371e-14)  # in two words; the first times 2**10 is exact
_SUBINTERVALS = 0x3FE6000000000000  # bits of the f64 at which they begin
_EXPONENT = 0xFFF0000000000000
# log(1 + r) = r + r^2 P(r): for |r| < 2**-8, and for 1 + r in [1 - 2**-4, 1 + 9/2**8 + 2**-8)
_LOG = (
    -0.5000000000000001, 0.33333333331825593, -0.2499999999622955, 0.20000304511814496,
    -0.16667054827627667,
)  # fmt: skip
_LOG_NEAR_ONE = (
    0.3333333333333352, -0.24999999999998432, 0.19999999999320328, -0.16666666669929706,
    0.14285715076560868, -0.12499997863982555, 0.11110712032936046, -0.10000486757818193,
    0.09181994006195467, -0.08328363062289341,
)  # fmt: skip
_NEAR_ONE = (0x3FEE000000000000, 0x3090000000000)  # first bits, and how many follow
_SPLITTER = 2.0**27
# sin y = y + y^3 S(y^2) and cos y = 1 - y^2 C(y^2) for |y| <= 2**-8, and sin x for |x| < 0.126
_SINE = (-0.16666666666666488, 0.008333332142857223)
_COSINE = (0.5, -0.04166666666666644, 0.001388888740079376)
_SINE_NEAR_ZERO = (
    -2.5022014848318398e-08, 2.755729806860771e-06, -0.00019841269834414642, 0.008333333333332329,
    -0.16666666666666666,
)  # fmt: skip
_SMALL = 0.126
_STEPS = 128  # of the table of sines, to 1; arguments are rounded to them by adding ...
_STEP_ROUNDER = 1.5 * 2.0**45
_ROUNDER = 1.5 * 2.0**52  # leaves a whole number in the low bits
_HALF_PI = (1.5707963267948966, 6.123233995736766e-17)
_QUARTER_TURNS = 2 / math.pi
# pi/2 in words of which the first two times n < 2**20 are exact
_HALF_PI_WORDS = (
    1.5707963407039642, -1.3909067564377153e-08, -4.97899623147991e-17, -1.9034889620193266e-25,
)  # fmt: skip
_NO_REDUCTION, _ONE_QUARTER = 0x3FEB6000, 0x400368FD  # high words from which x is reduced


def log(x: Formula) -> Formula:
    """The natural logarithm of positive, finite, normal f64 numbers."""
    bits = x.apply("bitcast_convert", dtype=U64)
    first, count = _NEAR_ONE
    return (bits - first).compare("LT", count).select(_log_near_one(x - 1.0), _log_by_table(bits))


def _log_by_table(bits: Formula) -> Formula:
    offset = bits - _SUBINTERVALS
    number = offset.join("shift_right_logical", 45).join("and", 127)
    signed = offset.apply("bitcast_convert", dtype=I64).join("shift_right_arithmetic", 52)
    exponent = signed.convert(F64)
    z = (bits - offset.join("and", _EXPONENT)).apply("bitcast_convert", dtype=F64)
    inverse, log_of_c = (look_up(table, number) for table in (INVERSES, _logs()))
    r = _fma(z, inverse, -1.0)
    large = _fma(exponent, _LN2[0], log_of_c)
    high = large + r
    square = r * r
    low = _fma(square, _LOG[0], _fma(exponent, _LN2[1], (large - high) + r))
    series = _fma(_fma(r, _LOG[4], _LOG[3]), square, _fma(r, _LOG[2], _LOG[1]))
    return _fma(r * square, series, low) + high


def _log_near_one(r: Formula) -> Formula:
    square = r * r
    cube = r * square
    c = _LOG_NEAR_ONE
    groups = [_fma(square, c[k + 2], _fma(r, c[k + 1], c[k])) for k in (0, 3, 6)]
    series = _fma(cube, c[9], groups[2])
    for group in reversed(groups[:2]):
        series = _fma(series, cube, group)
    # r - r^2/2 in two words, by the upper half of r.
    scaled = _fma(r, _SPLITTER, r)
    upper = _fma(scaled.full(-_SPLITTER), r, scaled)
    halved = upper * upper
    high = _fma(halved, -0.5, r)
    low = _fma(halved, -0.5, r - high)
    low = _fma((r - upper) * -0.5, r + upper, low)
    return _fma(series, cube, low) + high


def sine_and_cosine(x: Formula) -> tuple[Formula, Formula]:
    """Sine and cosine of f64 numbers from 0 to 2**20."""
    word = x.apply("bitcast_convert", dtype=U64).join("shift_right_logical", 32)
    shifted = _fma(x, _QUARTER_TURNS, _ROUNDER)
    n = -(shifted - _ROUNDER)
    y = _fma(n, _HALF_PI_WORDS[1], _fma(n, _HALF_PI_WORDS[0], x))
    second = _fma(n, _HALF_PI_WORDS[2], y)
    high = _fma(n, _HALF_PI_WORDS[3], second)
    low = _fma(n, _HALF_PI_WORDS[2], y - second)
    low = low + _fma(n, _HALF_PI_WORDS[3], second - high)
    turns = shifted.apply("bitcast_convert", dtype=U64)
    # Below 2.43 the quarter turn, where there is one, is taken off at once.
    once = -(x - _HALF_PI[0]) + _HALF_PI[1]
    rest = (-(x - _HALF_PI[0]) - once) + _HALF_PI[1]
    is_whole, is_once = word.compare("LT", _NO_REDUCTION), word.compare("LT", _ONE_QUARTER)
    high = is_whole.select(x, is_once.select(-once, high))
    low = is_whole.drop(is_once.select(-rest, low))
    turns = is_whole.drop(is_once.select(turns.full(1), turns))
    return in_quadrants(*_of_remainder(high, low), turns)


def _of_remainder(high: Formula, low: Formula) -> tuple[Formula, Formula]:
    """Sine and cosine of high + low, |high| < 0.86."""
    size = high.apply("abs")
    negative = high.compare("LT", 0.0)
    rest = negative.select(-low, low)
    shifted = size + _STEP_ROUNDER
    number = shifted.apply("bitcast_convert", dtype=U64).join("and", 127)
    y = size - (shifted - _STEP_ROUNDER)
    sine, sine_low, cosine, cosine_low = (look_up(table, number) for table in _sines())

    def parts(y: Formula, rest: Formula | None) -> tuple[Formula, Formula]:
        # sin(y + rest) and 1 - cos(y + rest)
        square = y * y
        s = _fma(square, _SINE[1], _SINE[0])
        s = _fma(y * square, s, y) if rest is None else _fma(y * square, s, rest) + y
        c = square * _fma(_fma(square, _COSINE[2], _COSINE[1]), square, _COSINE[0])
        return s, c if rest is None else _fma(y, rest, c)

    s, c = parts(y, rest)
    correction = _fma(-c, sine, _fma(s, cosine_low, sine_low))
    by_table = sine + _fma(s, cosine, correction)
    by_table = negative.select(-by_table, by_table)
    s, c = parts(y + rest, None)
    correction = _fma(-c, cosine, _fma(-s, sine_low, cosine_low))
    of_cosine = cosine + _fma(-s, sine, correction)
    of_sine = size.compare("LT", _SMALL).select(_small_sine(high, low), by_table)
    return of_sine, of_cosine


def _small_sine(x: Formula, low: Formula) -> Formula:
    square = x * x
    series = square.full(_SINE_NEAR_ZERO[0])
    for coefficient in _SINE_NEAR_ZERO[1:]:
        series = _fma(series, square, coefficient)
    return x + _fma(square, _fma(series, x, low * -0.5), low)


def _fma(a: Formula, b: Formula | float, c: Formula | float) -> Formula:
    others = (x.value if isinstance(x, Formula) else a.full(x).value for x in (b, c))
    builder = a.builder
    return Formula(builder, builder.one("fused_multiply_add", (a.value, *others)))


@cache
def _logs() -> Sequence[float]:
    """log c for each c of the table, rounded to multiples of 2**-43."""
    return tuple(-round(Fraction(exact_log(inverse)) * 2**43) / 2**43 for inverse in INVERSES)


@cache
def _sines() -> tuple[Sequence[float], ...]:
    """Sine and cosine of k/128 in two words each: tables of sin, its rest, cos, its rest."""
    rows = []
    for k in range(_STEPS):
        row: list[float] = []
        for first in (1, 0):
            exact = _power_series(k, first)
            row += [float(exact), float(exact - Fraction(float(exact)))]
        rows.append(row)
    return tuple(zip(*rows, strict=True))


def _power_series(k: int, first: int) -> Fraction:
    """sin(k / 128) (`first` 1) or cos(k / 128) (`first` 0) within 2**-190."""
    total, power = 0, first
    term = (k << 193) if first else (1 << 200)  # in units of 2**-200
    while abs(term) > 1:
        total += term
        term = -term * k * k // (_STEPS * _STEPS * (power + 1) * (power + 2))
        power += 2
    return Fraction(total, 1 << 200)
