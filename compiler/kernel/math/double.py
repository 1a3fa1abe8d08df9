"""Sums and products with their rounding errors: a value is high + low, low within an ulp of high.

Dekker 1971, "A floating-point technique for extending the available precision".
"""

from __future__ import annotations

from typing import NamedTuple

from tensorkiln.compiler.kernel.expr import Expr, Fma
from tensorkiln.compiler.kernel.math.builder import LetBuilder, Operand

_SPLITTER = 2.0**27 + 1  # cuts the 53 bits of f64 into 26 + 26 and a sign


class Double(NamedTuple):
    """The unevaluated sum of two f64."""

    high: Expr
    low: Expr


def quick_two_sum(b: LetBuilder, large: Operand, small: Expr) -> Double:
    """large + small exactly, for |large| >= |small|."""
    high = b.add(large, small)
    return Double(high, b.sub(small, b.sub(high, large)))


def two_sum(b: LetBuilder, x: Expr, y: Operand) -> Double:
    """x + y exactly."""
    high = b.add(x, y)
    part = b.sub(high, x)
    return Double(high, b.add(b.sub(x, b.sub(high, part)), b.sub(y, part)))


def two_product(b: LetBuilder, x: Expr, y: Expr) -> Double:
    """x * y exactly; without fma, for |x| and |y| below 2**996."""
    high = b.mul(x, y)
    if b.fuses:
        return Double(high, b.let(Fma(x, y, b.negate(high))))
    (xh, xl), (yh, yl) = _halves(b, x), _halves(b, y)
    error = b.sub(b.mul(xh, yh), high)
    error = b.add(b.add(error, b.mul(xh, yl)), b.mul(xl, yh))
    return Double(high, b.add(error, b.mul(xl, yl)))


def _halves(b: LetBuilder, x: Expr) -> tuple[Expr, Expr]:
    scaled = b.mul(x, _SPLITTER)
    high = b.sub(scaled, b.sub(scaled, x))
    return high, b.sub(x, high)


def product(b: LetBuilder, x: Double, y: Double) -> Double:
    """x * y with a relative error near 2^-102."""
    high, error = two_product(b, x.high, y.high)
    cross = b.fma(x.high, y.low, b.mul(x.low, y.high))
    return quick_two_sum(b, high, b.add(error, cross))
