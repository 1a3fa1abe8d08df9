"""Functions of complex numbers in terms of their parts: x = a + ib.

Absolute values are scaled, so that squares neither overflow nor vanish (Kahan, Branch cuts for
complex elementary functions, 1987).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from tensorkiln.compiler.ir.function import Array, Op, Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.composite import widened
from tensorkiln.compiler.ops.elementwise import cost
from tensorkiln.compiler.ops.formula import Formula, formulas
from tensorkiln.compiler.ops.record import Composite, OpRecord
from tensorkiln.compiler.ops.rules import FLOATS, same_types
from tensorkiln.compiler.ops.shorthand import full_like

Pair: TypeAlias = tuple[Formula, Formula]
_HYPOT_FLOPS = 24


def _or_one(x: Formula) -> Formula:
    """`x`, and 1 where x is 0: a divisor."""
    return x.compare("NE", 0.0).select(x, 1.0)


def _ones(x: Formula) -> Formula:
    return Formula(x.builder, full_like(x.builder, x.value, 1))


# hypot


def hypot(a: Formula, b: Formula) -> Formula:
    """sqrt(a^2 + b^2), which neither overflows nor vanishes on the way."""
    return Formula(a.builder, a.builder.one("hypot", (a.value, b.value)))


def _numpy_hypot(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    a: Any = arrays[0]
    b: Any = arrays[1]
    wide = np.hypot(a.astype(np.float64), b.astype(np.float64))
    return [np.asarray(wide).astype(op.result.dtype.numpy)]


def _hypot_body(builder: Builder, op: Op) -> Sequence[Value]:
    """With the larger one g and the smaller one l, g sqrt(1 + (l/g)^2)."""
    a, b = (widened(x).apply("abs") for x in formulas(builder, *op.operands))
    large, small = a.maximum(b), Formula(builder, builder.one("minimum", (a.value, b.value)))
    ratio = small / _or_one(large)
    found = large * (ratio * ratio + 1.0).apply("sqrt")
    # An infinite side makes an infinite hypotenuse, even beside a NaN.
    for side in (a, b):
        found = side.compare("EQ", float("inf")).select(side, found)
    return [found.convert(op.result.dtype).value]


def _hypot_gradient(
    builder: Builder, op: Op, cotangents: Sequence[Value | None]
) -> Sequence[Value | None]:
    """(a, b) / h, and 0 where h is 0."""
    (g,) = cotangents
    if g is None:
        return [None, None]
    a, b, h, slope = formulas(builder, *op.operands, op.result, g)
    scale = slope / _or_one(h)
    return [(a * scale).value, (b * scale).value]


RECORDS = (
    OpRecord(
        "hypot", {}, same_types(2, FLOATS), _numpy_hypot, _hypot_gradient,
        Composite(_hypot_body), cost(_HYPOT_FLOPS),
    ),
)  # fmt: skip


# Complex functions


def times(x: Pair, y: Pair) -> Pair:
    """x y"""
    return x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]


def quotient(x: Pair, y: Pair) -> Pair:
    """x / y = x conj(y/s) / (s |y/s|^2), with s the larger part of y.

    The quotient does not depend on s, so no gradient goes through it.
    """
    size = y[0].apply("abs").maximum(y[1].apply("abs")).apply("stop_gradient")
    c, d = y[0] / size, y[1] / size
    length = (c * c + d * d) * size
    return (x[0] * c + x[1] * d) / length, (x[1] * c - x[0] * d) / length


def _exponential(x: Pair) -> Pair:
    size = x[0].apply("exponential")
    return size * x[1].apply("cosine"), size * x[1].apply("sine")


def _angle(x: Pair) -> Formula:
    builder = x[0].builder
    return Formula(builder, builder.one("atan2", (x[1].value, x[0].value)))


def _log(x: Pair) -> Pair:
    return hypot(*x).apply("log"), _angle(x)


def _sqrt(x: Pair) -> Pair:
    """With t = sqrt((|a| + |x|) / 2): t + i b/(2t) where a >= 0, |b|/(2t) +- i t elsewhere."""
    a, b = x
    t = ((a.apply("abs") + hypot(a, b)) * 0.5).apply("sqrt")
    other = b.apply("abs") / (_or_one(t) * 2.0)
    right = a.compare("GE", 0.0)
    below = b.compare("LT", 0.0)
    height = right.select(other, t)
    return right.select(t, other), below.select(-height, height)


def _power(x: Pair, y: Pair) -> Pair:
    """exp(y log x), and 0^y = 0 but 0^0 = 1."""
    size = hypot(*x)
    nothing, ones = size.compare("EQ", 0.0), _ones(size)
    safe = nothing.select(ones, x[0]), x[1]
    found = _exponential(times(y, _log(safe)))
    empty = hypot(*y).compare("EQ", 0.0).select(ones, 0.0)
    return nothing.select(empty, found[0]), nothing.drop(found[1])


def _hyperbolic(x: Formula) -> Pair:
    """cosh and sinh, the latter from expm1: without cancellation."""
    up, down = (f.apply("exponential_minus_one") for f in (x, -x))
    return (up + down) * 0.5 + 1.0, (up - down) * 0.5


def _sine(x: Pair) -> Pair:
    even, odd = _hyperbolic(x[1])
    return x[0].apply("sine") * even, x[0].apply("cosine") * odd


def _cosine(x: Pair) -> Pair:
    even, odd = _hyperbolic(x[1])
    return x[0].apply("cosine") * even, -(x[0].apply("sine") * odd)


def _tanh(x: Pair) -> Pair:
    """(t (1 + u^2) + i u (1 - t^2)) / (1 + t^2 u^2) with t = tanh a and u = tan b, written with
    sine and cosine of b, which are finite."""
    t, sine, cosine = x[0].apply("tanh"), x[1].apply("sine"), x[1].apply("cosine")
    length = cosine * cosine + t * t * sine * sine
    return t / length, sine * cosine * (1.0 - t * t) / length


def _sign(x: Pair) -> Pair:
    """x / |x|, and 0 for 0."""
    size = _or_one(hypot(*x))
    return x[0] / size, x[1] / size


def _reciprocal_root(x: Pair) -> Pair:
    one = _ones(x[0])
    return quotient((one, one - one), _sqrt(x))


FUNCTIONS: Mapping[str, Callable[..., Pair]] = {
    "multiply": times,
    "divide": quotient,
    "power": _power,
    "exponential": _exponential,
    "log": _log,
    "sqrt": _sqrt,
    "rsqrt": _reciprocal_root,
    "sine": _sine,
    "cosine": _cosine,
    "tanh": _tanh,
    "sign": _sign,
    "conjugate": lambda x: (x[0], -x[1]),
}
