"""What the incomplete gamma functions are summed from: a series, a continued fraction, and Temme's
expansion for large parameters; each with its derivative by the parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.formula_loop import either, iterate, polynomial

_TINY = 2.0**-54
_TRIPS = 500  # below parameters of 200 neither sum takes half as many
_POWERS = (17, 14, 11, 8, 6)  # of eta, for each power of 1 / a in Temme's expansion
_STIRLING = (
    Fraction(1), Fraction(1, 12), Fraction(1, 288), Fraction(-139, 51840), Fraction(-571, 2488320),
)  # fmt: skip


class Dual(NamedTuple):
    """A number and its derivative by the parameter a; None where nobody asked for it."""

    value: Formula
    slope: Formula | None


def series(a: Formula, x: Formula, sloped: bool) -> Dual:
    """sum of x^k / ((a + 1) ... (a + k)), k = 0, 1, ..."""

    def step(k: Formula, values: Sequence[Formula]) -> Sequence[Formula]:
        a, x, term, total, *slopes = values
        ratio = 1.0 / (a + k)
        following = term * x * ratio
        found = [a, x, following, total + following]
        if sloped:
            slope, whole = slopes
            slope = (slope - term * ratio) * x * ratio
            found += [slope, whole + slope]
        return found

    def going(values: Sequence[Formula]) -> Formula:
        _, _, term, total, *slopes = values
        still = term.compare("GT", total * _TINY)
        if not sloped:
            return still
        slope, whole = (s.apply("abs") for s in slopes)
        return either(still, slope.compare("GT", whole * _TINY))

    one, zero = x.full(1.0), x.full(0.0)
    start = [a, x, one, one, *([zero, zero] if sloped else [])]
    found = iterate(start, step, going, _TRIPS)
    return Dual(found[3], found[5] if sloped else None)


def fraction(a: Formula, x: Formula, sloped: bool) -> Dual:
    """1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - 2 (2 - a) / (x + 5 - a - ...))), x > a.

    Modified Lentz: Thompson, Barnett: Coulomb and Bessel functions (1986).
    """

    def step(k: Formula, values: Sequence[Formula]) -> Sequence[Formula]:
        a, x, c_before, d_before, h, _, *slopes = values
        over, inverse = k * (a - k), 1.0 / c_before
        under = x + 1.0 - a + k * 2.0
        c = under + over * inverse
        d = 1.0 / (over * d_before + under)
        factor = c * d
        found = [a, x, c, d, h * factor, factor]
        if sloped:
            c_slope, d_slope, h_slope, _ = slopes
            c_slope = k * inverse - over * c_slope * inverse * inverse - 1.0
            d_slope = -((k * d_before + over * d_slope - 1.0) * d * d)
            factor_slope = c_slope * d + c * d_slope
            found += [c_slope, d_slope, h_slope * factor + h * factor_slope, factor_slope]
        return found

    def going(values: Sequence[Formula]) -> Formula:
        still = (values[5] - 1.0).apply("abs").compare("GT", 4 * _TINY)
        if not sloped:
            return still
        return either(still, values[9].apply("abs").compare("GT", 4 * _TINY))

    first = 1.0 / (x + 1.0 - a)
    one, zero = x.full(1.0), x.full(0.0)
    start = [a, x, x.full(1e300), first, first, zero]
    if sloped:
        start += [zero, first * first, first * first, one]
    found = iterate(start, step, going, _TRIPS)
    return Dual(found[4], found[8] if sloped else None)


def difference(mu: Formula, ratio: Formula) -> Formula:
    """mu - log(1 + mu), of full relative accuracy; `ratio` is 1 + mu, exact where that is small."""
    near = mu.apply("abs").compare("LT", 0.5)
    small = near.select(mu, mu.full(0.0))
    # With s = mu / (2 + mu), log(1 + mu) = 2 artanh(s) and mu - 2 s = mu s.
    s = small / (small + 2.0)
    square = s * s
    rest = square.full(1 / 37)
    for odd in range(35, 1, -2):
        rest = rest * square + 1 / odd
    close = small * s - s * square * rest * 2.0
    return near.select(close, mu - near.select(ratio.full(1.0), ratio).apply("log"))


def _inversion() -> list[Fraction]:
    """alpha: mu = sum of alpha[k] eta^k where eta^2 / 2 = mu - log(1 + mu)."""
    # From eta (1 + mu) = mu mu': the coefficient of eta^n gives alpha[n].
    alpha = [Fraction(0), Fraction(1)]
    for n in range(2, _POWERS[0] + 2 * len(_POWERS) + 3):
        inner = sum((k * alpha[k] * alpha[n + 1 - k] for k in range(2, n)), Fraction(0))
        alpha.append((alpha[n - 1] - inner) / (n + 1))
    return alpha


def _expansion() -> list[list[float]]:
    """d[k][n]: c_k(eta) = sum of d[k][n] eta^n (NIST Handbook, 8.12.12 to 8.12.15)."""
    alpha = _inversion()
    count = len(alpha) - 2
    first = [Fraction(-1, 3)] + [(n + 2) * alpha[n + 2] for n in range(1, count)]
    rows = [first]
    for k in range(1, len(_POWERS)):
        before = rows[-1]
        rows.append([
            (-1) ** k * _STIRLING[k] * first[n] + (n + 2) * before[n + 2]
            for n in range(count - 2 * k)
        ])  # fmt: skip
    return [[float(d) for d in row[:n]] for row, n in zip(rows, _POWERS, strict=True)]


_D = _expansion()
_ALPHA = [float(a) for a in _inversion()[1 : _POWERS[0] + 2]]


def uniform(a: Formula, mu: Formula, sloped: bool) -> tuple[Dual, Dual]:
    """P and Q at x = a (1 + mu) for a >= 200 and |mu| < 0.4.

    Temme: The asymptotic expansion of the incomplete gamma functions (1979).
    """
    half = difference(mu, mu + 1.0)  # eta^2 / 2
    eta = mu.apply("sign") * (half * 2.0).apply("sqrt")
    inverse, root = 1.0 / a, (a * 0.5).apply("sqrt")
    total = a.full(0.0)
    for row in reversed(_D):
        total = total * inverse + polynomial(eta, row)
    bell = (-(half * a)).apply("exponential")
    scale = bell * (inverse / (2 * math.pi)).apply("sqrt")
    low = (-(eta * root)).apply("erfc") * 0.5 - scale * total
    high = (eta * root).apply("erfc") * 0.5 + scale * total
    if not sloped:
        return Dual(low, None), Dual(high, None)
    eta_slope = -polynomial(eta, _ALPHA) * inverse
    slope, sums, by_eta = a.full(0.0), a.full(0.0), a.full(0.0)
    for row in reversed(_D):
        slope = slope * inverse - sums * inverse * inverse
        sums = sums * inverse + polynomial(eta, row)
        by_eta = by_eta * inverse + polynomial(eta, [n * d for n, d in enumerate(row)][1:])
    slope = slope + by_eta * eta_slope
    rest_slope = scale * (slope - total * (inverse * 0.5 + half - mu))
    bend = bell * (eta_slope * root + eta * root * inverse * 0.5) * (1 / math.sqrt(math.pi))
    return Dual(low, bend - rest_slope), Dual(high, rest_slope - bend)
