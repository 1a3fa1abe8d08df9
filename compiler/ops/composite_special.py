"""Special functions: lgamma, digamma, polygamma, zeta, erfc, erf_inv, bessel_i0e, bessel_i1e.

Names are CHLO's.  All compute in f64, so f32 and narrower results are rounded once; relative errors
in f64 are below 1e-11 except beside zeros of the function, where that bound is absolute.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tensorkiln.compiler.ir.dtypes import F64
from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.composite import composite
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.record import Body, Gradient
from tensorkiln.compiler.ops.rules import FLOATS, same_types
from tensorkiln.compiler.ops.special_tables import (
    BERNOULLI,
    ERFC,
    I0E_LARGE,
    I0E_SMALL,
    I1E_LARGE,
    I1E_SMALL,
    INVERSE_ERF_CENTRE,
    INVERSE_ERF_TAIL,
    LANCZOS,
    LANCZOS_G,
)

_TERMS = 9  # of the zeta series that are summed before the Euler-Maclaurin tail
_LARGE = 8.0  # beyond it the Bessel functions are expanded in 1 / x


def _body(function: Callable[..., Formula]) -> Body:
    def body(builder: Builder, op: Op) -> Sequence[Value]:
        wide = [Formula(builder, v).convert(F64) for v in op.operands]
        return [function(*wide).convert(op.result.dtype).value]

    return body


def _chebyshev(t: Formula, coefficients: Sequence[float]) -> Formula:
    """sum of coefficients[k] * T_k(t) by Clenshaw's recurrence."""
    double = t + t
    ahead, after = t.full(coefficients[-1]), t.full(0.0)
    for coefficient in coefficients[-2:0:-1]:
        ahead, after = double * ahead - after + coefficient, ahead
    return t * ahead - after + coefficients[0]


def _sine_of_pi(x: Formula) -> Formula:
    """|sin(pi x)|, exact zeros at integers."""
    rest = x - x.apply("floor")
    rest = rest.compare("GT", 0.5).select(1.0 - rest, rest)
    return (rest * math.pi).apply("sine")


def _lanczos(z: Formula) -> tuple[Formula, Formula, Formula]:
    """z + g + 1/2, the series and its derivative (Lanczos 1964, coefficients by Godfrey)."""
    series, slope = z.full(LANCZOS[0]), z.full(0.0)
    for k, coefficient in enumerate(LANCZOS[1:], 1):
        inverse = 1.0 / (z + float(k))
        series = series + inverse * coefficient
        slope = slope - inverse * inverse * coefficient
    return z + (LANCZOS_G + 0.5), series, slope


def _lgamma(x: Formula) -> Formula:
    # Below 1/2 by reflection: log(pi / |sin(pi x)|) - lgamma(1 - x).
    reflected = x.compare("LT", 0.5)
    z = reflected.select(-x, x - 1.0)
    t, series, _ = _lanczos(z)
    positive = (z + 0.5) * (t.apply("log") - 1.0) + series.apply("log")
    positive = positive + (0.5 * math.log(2 * math.pi) - LANCZOS_G)
    below = math.log(math.pi) - _sine_of_pi(x).apply("log") - positive
    found = reflected.select(below, positive)
    return x.apply("abs").compare("EQ", math.inf).select(x.full(math.inf), found)


def _digamma(x: Formula) -> Formula:
    # Below 1/2 by reflection: digamma(1 - x) - pi / tan(pi x); NaN at 0, -1, -2, ...
    reflected = x.compare("LT", 0.5)
    z = reflected.select(-x, x - 1.0)
    t, series, slope = _lanczos(z)
    positive = t.apply("log") + slope / series - LANCZOS_G / t
    rest = x - (x + 0.5).apply("floor")
    below = positive - math.pi / (rest * math.pi).apply("tan")
    found = reflected.select(below, positive)
    is_pole = rest.compare("EQ", 0.0)
    poles = is_pole.select(x.full(math.nan), found)
    return x.compare("GT", 0.0).select(found, poles)


def _zeta(x: Formula, q: Formula) -> Formula:
    # sum over k >= 0 of (q + k)^-x: the first terms, then the Euler-Maclaurin formula.
    total = q**-x
    for k in range(1, _TERMS):
        total = total + (q + float(k)) ** -x
    a = q + float(_TERMS)
    power = a**-x
    total = total + power * a / (x - 1.0) + power * 0.5
    factor, falling = x, power / a
    for j, number in enumerate(BERNOULLI):
        total = total + factor * falling * number
        factor = factor * (x + float(2 * j + 1)) * (x + float(2 * j + 2))
        falling = falling / (a * a)
    infinite = x.compare("EQ", 1.0).select(x.full(math.inf), total)
    return x.compare("LT", 1.0).select(x.full(math.nan), infinite)


def _polygamma(n: Formula, x: Formula) -> Formula:
    # (-1)^(n + 1) n! zeta(n + 1, x); order 0 is digamma.
    order = n + 1.0
    half = order * 0.5
    even = half.apply("floor").compare("EQ", half)
    size = _lgamma(order).apply("exponential") * _zeta(order, x)
    return n.compare("EQ", 0.0).select(_digamma(x), even.select(size, -size))


def _erfc(x: Formula) -> Formula:
    size = x.apply("abs")
    u = 2.0 / (size + 2.0)
    power = (_chebyshev(u * 2.0 - 1.0, ERFC) - size * size).apply("exponential")
    found = size.compare("GT", 30.0).select(x.full(0.0), u * power)
    return x.compare("LT", 0.0).select(2.0 - found, found)


def _erf_inv(x: Formula) -> Formula:
    # A start by Giles (Approximating the erfinv function, 2011), then two steps of Halley's method.
    w = -((1.0 - x) * (1.0 + x)).apply("log")
    centre, tail = w - 2.5, w.apply("sqrt") - 3.0
    start = w.compare("LT", 5.0).select(
        _horner(centre, INVERSE_ERF_CENTRE), _horner(tail, INVERSE_ERF_TAIL)
    )
    y = start * x
    for _ in range(2):
        slope = (-(y * y)).apply("exponential") * (2 / math.sqrt(math.pi))
        step = (y.apply("erf") - x) / slope
        y = y - step / (1.0 + y * step)
    y = x.apply("abs").compare("GT", 1 - 1e-9).select(start * x, y)
    return x.apply("abs").compare("EQ", 1.0).select(x * math.inf, y)


def _horner(x: Formula, coefficients: Sequence[float]) -> Formula:
    found = x.full(coefficients[0])
    for coefficient in coefficients[1:]:
        found = found * x + coefficient
    return found


def _bessel_i0e(x: Formula) -> Formula:
    size = x.apply("abs")
    near = _chebyshev(size / 4.0 - 1.0, I0E_SMALL)
    far = _chebyshev(16.0 / size.maximum(_LARGE) - 1.0, I0E_LARGE)
    return size.compare("LE", _LARGE).select(near, far / size.apply("sqrt"))


def _bessel_i1e(x: Formula) -> Formula:
    size = x.apply("abs")
    near = size * _chebyshev(size / 4.0 - 1.0, I1E_SMALL)
    far = _chebyshev(16.0 / size.maximum(_LARGE) - 1.0, I1E_LARGE)
    found = size.compare("LE", _LARGE).select(near, far / size.maximum(_LARGE).apply("sqrt"))
    return x.compare("LT", 0.0).select(-found, found)


def _slope(of: Callable[..., Formula]) -> Gradient:
    """The gradient of a function of one operand: cotangent * of(x, y)."""

    def gradient(
        builder: Builder, op: Op, cotangents: Sequence[Value | None]
    ) -> Sequence[Value | None]:
        (cotangent,) = cotangents
        if cotangent is None:
            return [None] * len(op.operands)
        x, y, g = (Formula(builder, v) for v in (op.operands[-1], op.result, cotangent))
        parts = [Formula(builder, v) for v in op.operands[:-1]]
        last = g * of(*parts, x, y)
        return [*([None] * len(parts)), last.value]

    return gradient


def _next_polygamma(n: Formula, x: Formula, y: Formula) -> Formula:
    return (n + 1.0).join("polygamma", x)


def _zeta_slope(x: Formula, q: Formula, y: Formula) -> Formula:
    return -x * (x + 1.0).join("zeta", q)


def _i1e_slope(x: Formula, y: Formula) -> Formula:
    # i0e - y (sign x + 1 / x), which is 1/2 at zero.
    at_zero = x.compare("EQ", 0.0)
    safe = at_zero.select(x.full(1.0), x)
    found = x.apply("bessel_i0e") - y * (x.apply("sign") + 1.0 / safe)
    return at_zero.select(x.full(0.5), found)


_ONE, _TWO = same_types(1, FLOATS), same_types(2, FLOATS)
_INVERSE_SCALE = 2 / math.sqrt(math.pi)
RECORDS = (
    composite("lgamma", {}, _ONE, _body(_lgamma), _slope(lambda x, y: x.apply("digamma")), flops=90),
    composite(
        "digamma", {}, _ONE, _body(_digamma),
        _slope(lambda x, y: x.full(1.0).join("polygamma", x)), flops=90,
    ),
    composite("polygamma", {}, _TWO, _body(_polygamma), _slope(_next_polygamma), flops=500),
    composite("zeta", {}, _TWO, _body(_zeta), _slope(_zeta_slope), flops=400),
    composite(
        "erfc", {}, _ONE, _body(_erfc),
        _slope(lambda x, y: (-(x * x)).apply("exponential") * -_INVERSE_SCALE), flops=90,
    ),
    composite(
        "erf_inv", {}, _ONE, _body(_erf_inv),
        _slope(lambda x, y: (y * y).apply("exponential") / _INVERSE_SCALE), flops=150,
    ),
    composite(
        "bessel_i0e", {}, _ONE, _body(_bessel_i0e),
        _slope(lambda x, y: x.apply("bessel_i1e") - y * x.apply("sign")), flops=150,
    ),
    composite("bessel_i1e", {}, _ONE, _body(_bessel_i1e), _slope(_i1e_slope), flops=150),
)  # fmt: skip
