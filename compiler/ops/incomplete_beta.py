"""The regularised incomplete beta function: the integral of t^(a - 1) (1 - t)^(b - 1) from 0 to x
over the whole one.

It computes in f64; the relative error of the smaller of I and 1 - I is below 1e-10 for a and b up
to 1e4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import F64
from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.composite import composite
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.formula_loop import either, iterate
from tensorkiln.compiler.ops.incomplete_gamma import STIRLING_FROM, stirling_rest
from tensorkiln.compiler.ops.incomplete_gamma_terms import difference
from tensorkiln.compiler.ops.rules import FLOATS, same_types

_TRIPS = 1000  # grow with the root of the larger parameter: some 300 at 1e4
_CLOSE = 2.0**-52


def _fraction(a: Formula, b: Formula, x: Formula) -> Formula:
    """The continued fraction 8.17.22 of the NIST Handbook, by the modified method of Lentz."""

    def part(over: Formula, c: Formula, d: Formula) -> tuple[Formula, Formula]:
        return over / c + 1.0, 1.0 / (over * d + 1.0)

    def step(m: Formula, values: Sequence[Formula]) -> Sequence[Formula]:
        a, b, x, c, d, h, _ = values
        place = a + m * 2.0
        c, d = part(m * (b - m) * x / ((place - 1.0) * place), c, d)
        h = h * c * d
        c, d = part(-((a + m) * (a + b + m) * x / (place * (place + 1.0))), c, d)
        factor = c * d
        return [a, b, x, c, d, h * factor, factor]

    def going(values: Sequence[Formula]) -> Formula:
        return (values[-1] - 1.0).apply("abs").compare("GT", _CLOSE)

    one = x.full(1.0)
    first = 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    return iterate([a, b, x, one, first, first, one.full(0.0)], step, going, _TRIPS)[5]


def log_beta(a: Formula, b: Formula) -> Formula:
    """log of the complete beta function."""
    return a.apply("lgamma") + b.apply("lgamma") - (a + b).apply("lgamma")


def _log_weight(a: Formula, b: Formula, x: Formula, rest: Formula) -> Formula:
    """log(x^a rest^b / B(a, b)), rest = 1 - x; where a and b are large without cancellation."""
    large = a.compare("GE", STIRLING_FROM).join("and", b.compare("GE", STIRLING_FROM))
    p, q = (large.select(v, v.full(STIRLING_FROM)) for v in (a, b))
    off = x * q - rest * p  # (x - mean) (p + q)
    both = p + q
    big = (p * q / (both * (2 * math.pi))).apply("log") * 0.5
    big = big + stirling_rest(both) - stirling_rest(p) - stirling_rest(q)
    big = big - p * difference(off / p, x * both / p) - q * difference(-off / q, rest * both / q)
    small = a * x.apply("log") + b * rest.apply("log") - log_beta(a, b)
    return large.select(big, small)


def _body(builder: Builder, op: Op) -> Sequence[Value]:
    a, b, x = (Formula(builder, v).convert(F64) for v in op.operands)
    inside = x.compare("GT", 0.0).join("and", x.compare("LT", 1.0))
    positive = a.compare("GT", 0.0).join("and", b.compare("GT", 0.0))
    finite = a.compare("LT", math.inf).join("and", b.compare("LT", math.inf))
    plain = inside.join("and", positive).join("and", finite)
    a, b = (plain.select(v, v.full(1.0)) for v in (a, b))
    at = plain.select(x, x.full(0.5))
    upper = at.compare("GT", (a + 1.0) / (a + b + 2.0))
    p, q = upper.select(b, a), upper.select(a, b)
    y, rest = upper.select(1.0 - at, at), upper.select(at, 1.0 - at)
    direct = _log_weight(p, q, y, rest).apply("exponential") * _fraction(p, q, y) / p
    found = upper.select(1.0 - direct, direct)
    ends = either(x.compare("EQ", 0.0), x.compare("EQ", 1.0)).join("and", positive)
    other = ends.select(x, x.full(math.nan))
    return [plain.select(found, other).convert(op.result.dtype).value]


def _gradient(
    builder: Builder, op: Op, cotangents: Sequence[Value | None]
) -> Sequence[Value | None]:
    # By x only: x^(a - 1) (1 - x)^(b - 1) / B(a, b).
    (cotangent,) = cotangents
    if cotangent is None:
        return [None, None, None]
    a, b, x = (Formula(builder, v) for v in op.operands)
    power = (a - 1.0) * x.apply("log") + (b - 1.0) * (-x).apply("log_plus_one") - log_beta(a, b)
    return [None, None, (Formula(builder, cotangent) * power.apply("exponential")).value]


RECORDS = (composite("betainc", {}, same_types(3, FLOATS), _body, _gradient, flops=2000),)
