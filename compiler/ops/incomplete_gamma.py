"""The regularised incomplete gamma functions igamma (lower, P) and igammac (upper, Q).

P(a, x) = integral of t^(a - 1) exp(-t) / Gamma(a) from 0 to x; Q = 1 - P.  Both compute in f64;
the absolute error is below 1e-12 for all a and x, the relative error below 1e-10 where a <= 1e6
and the smaller of both functions is computed directly (P for x <= a, Q for x > a).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import F64
from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.composite import composite
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.formula_loop import either, polynomial
from tensorkiln.compiler.ops.incomplete_gamma_terms import difference, fraction, series, uniform
from tensorkiln.compiler.ops.record import Body, Gradient, NoGradient
from tensorkiln.compiler.ops.rules import FLOATS, same_types

_LARGE, _BESIDE = 200.0, 0.4  # Temme's expansion: a from, |x - a| / a below
STIRLING_FROM = 10.0
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)


def stirling_rest(a: Formula) -> Formula:
    """log(Gamma(a)) less (a - 1/2) log(a) - a + log(2 pi) / 2, to 2e-14 for a >= 10."""
    inverse = 1.0 / a
    return inverse * polynomial(inverse * inverse, _STIRLING)


def _log_weight(a: Formula, x: Formula) -> Formula:
    """log(x^a exp(-x) / Gamma(a)), by Stirling's series for large a, where terms would cancel."""
    large = a.compare("GE", STIRLING_FROM)
    big = large.select(a, a.full(STIRLING_FROM))
    inverse = 1.0 / big
    near = large.select(x, big)
    stirling = (big * (1 / (2 * math.pi))).apply("log") * 0.5 - stirling_rest(big)
    stirling = stirling - big * difference((near - big) * inverse, near * inverse)
    small = large.select(a.full(1.0), a)
    direct = small * x.apply("log") - x - small.apply("lgamma")
    return large.select(stirling, direct)


def _found(a: Formula, x: Formula, upper: bool, sloped: bool) -> Formula:
    """P (Q if `upper`), or its slope by a, for a > 0 and x > 0, both finite."""
    mu = (x - a) / a
    beside = a.compare("GE", _LARGE).join("and", mu.apply("abs").compare("LT", _BESIDE))
    low = either(x.compare("LE", 1.0), x.compare("LE", a))
    # Where a sum is not wanted its operands make it end at once.
    total = series(a, beside.drop(low.keep(x)), sloped)
    elsewhere = either(beside, low)
    tail = fraction(elsewhere.select(a.full(1.0), a), elsewhere.select(x.full(2.0), x), sloped)
    near = uniform(beside.select(a, a.full(_LARGE)), beside.keep(mu), sloped)[upper]
    weight = _log_weight(a, x).apply("exponential")
    p, q = weight * total.value / a, weight * tail.value
    if not sloped:
        summed = low.select(1.0 - p, q) if upper else low.select(p, 1.0 - q)
        return beside.select(near.value, summed)
    assert total.slope is not None
    assert tail.slope is not None
    assert near.slope is not None
    growth = x.apply("log") - a.apply("digamma")
    p_slope = p * (growth - 1.0 / a) + weight * total.slope / a
    q_slope = q * growth + weight * tail.slope
    summed = low.select(-p_slope, q_slope) if upper else low.select(p_slope, -q_slope)
    return beside.select(near.slope, summed)


def _body(at_zero: float, at_infinity: float, upper: bool = False, sloped: bool = False) -> Body:
    """The function with its limits at x = 0 and x = inf; NaN for a <= 0 or x < 0."""

    def body(builder: Builder, op: Op) -> Sequence[Value]:
        a, x = (Formula(builder, v).convert(F64) for v in op.operands)
        known = a.compare("GT", 0.0).join("and", x.compare("GE", 0.0))
        ends = either(x.compare("EQ", 0.0), x.compare("EQ", math.inf))
        infinite = a.compare("EQ", math.inf)
        plain = known.join("and", either(ends, infinite).apply("not"))
        safe = plain.select(a, a.full(1.0)), plain.select(x, x.full(1.0))
        found = _found(*safe, upper, sloped)
        low, high = x.full(at_zero), x.full(at_infinity)
        edge = infinite.select(low, x.compare("EQ", 0.0).select(low, high))
        found = plain.select(found, known.select(edge, x.full(math.nan)))
        return [found.convert(op.result.dtype).value]

    return body


def _gradient(sign: float) -> Gradient:
    """By a: the op igamma_grad_a; by x: the weight over x, x^(a - 1) exp(-x) / Gamma(a)."""

    def gradient(
        builder: Builder, op: Op, cotangents: Sequence[Value | None]
    ) -> Sequence[Value | None]:
        (cotangent,) = cotangents
        if cotangent is None:
            return [None, None]
        a, x = (Formula(builder, v) for v in op.operands)
        g = Formula(builder, cotangent) * sign
        by_x = (-x + (a - 1.0) * x.apply("log") - a.apply("lgamma")).apply("exponential")
        return [(g * a.join("igamma_grad_a", x)).value, (g * by_x).value]

    return gradient


_TWO = same_types(2, FLOATS)
_NO_SLOPE = NoGradient("a second derivative by the parameter has no closed form")
RECORDS = (
    composite("igamma", {}, _TWO, _body(0.0, 1.0), _gradient(1.0), flops=2000),
    composite("igammac", {}, _TWO, _body(1.0, 0.0, upper=True), _gradient(-1.0), flops=2000),
    composite("igamma_grad_a", {}, _TWO, _body(0.0, 0.0, sloped=True), _NO_SLOPE, flops=4000),
)
