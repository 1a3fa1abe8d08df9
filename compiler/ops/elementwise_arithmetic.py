"""Elementwise arithmetic: add subtract multiply divide remainder power maximum minimum abs negate
sign.

Integers wrap.  Integer division truncates and is total, as XLA defines it: x / 0 = -1,
x rem 0 = x, and the least integer over -1 is itself.  A negative integer exponent gives 0, but
for bases 1 and -1.  On bools add, maximum are or; multiply, minimum are and.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tensorkiln.compiler.ir.dtypes import dtype_of, part_of
from tensorkiln.compiler.ir.function import Attributes
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Const, Convert, Expr, Unary
from tensorkiln.compiler.ops.elementwise import Numbers, binary, unary
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.record import Types
from tensorkiln.compiler.ops.rules import BOOLS, NUMBERS, SIGNED, same_types

Pair = tuple[Formula | None, Formula | None]


def _add(a: Expr, b: Expr) -> Expr:
    return Binary("or" if a.dtype.kind == "bool" else "add", a, b)


def _multiply(a: Expr, b: Expr) -> Expr:
    return Binary("and" if a.dtype.kind == "bool" else "mul", a, b)


def _maximum(a: Expr, b: Expr) -> Expr:
    return Binary("or" if a.dtype.kind == "bool" else "max", a, b)


def _minimum(a: Expr, b: Expr) -> Expr:
    return Binary("and" if a.dtype.kind == "bool" else "min", a, b)


def _abs_rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """As of any unary op, but sizes of complex numbers are real."""
    (kind,) = same_types(1, SIGNED)(types, attributes)
    return (kind.with_dtype(part_of(kind.dtype)) if kind.dtype.is_complex else kind,)


def _numpy_divide(a: Numbers, b: Numbers) -> Numbers:
    if dtype_of(a.dtype).is_inexact:
        return np.asarray(np.divide(a, b))
    remainder = _numpy_remainder(a, b)
    safe = np.where(_is_edge(b), 1, b).astype(b.dtype)
    quotient = np.floor_divide(a - remainder, safe)  # exact, so the rounding does not matter
    negated = np.where(b == 0, ~np.zeros_like(a), np.negative(a))
    return np.where(_is_edge(b), negated, quotient)


def _numpy_remainder(a: Numbers, b: Numbers) -> Numbers:
    if dtype_of(a.dtype).is_float:
        return np.asarray(np.fmod(a, b))
    safe = np.where(_is_edge(b), 1, b).astype(b.dtype)
    return np.where(b == 0, a, np.fmod(a, safe))


def _is_edge(b: Numbers) -> Numbers:
    """Divisors by which the machine may trap: 0 and, for signed integers, -1."""
    return np.asarray((b == 0) | (b == -1) if np.issubdtype(b.dtype, np.signedinteger) else b == 0)


def _divide_gradient(a: Formula, b: Formula, y: Formula, g: Formula) -> Pair:
    return g / b, g * (-y / b)


def _remainder_gradient(a: Formula, b: Formula, y: Formula, g: Formula) -> Pair:
    # a rem b = a - b * trunc(a / b); the quotient is exact up to rounding, hence the round.
    return g, -g * ((a - y) / b).apply("round_nearest_even")


def _numpy_power(a: Numbers, b: Numbers) -> Numbers:
    if not np.issubdtype(a.dtype, np.signedinteger):
        return np.asarray(np.power(a, b))
    raised = np.power(a, np.maximum(b, 0))
    inverse = np.where(a == -1, 1 - 2 * (b & 1), a == 1)
    return np.where(b < 0, inverse, raised)


def _power_gradient(a: Formula, b: Formula, y: Formula, g: Formula) -> Pair:
    # TensorFlow's convention: the exponent gets no gradient where the base is not positive.
    positive = a.compare("GT", 0.0)
    log = positive.keep(positive.select(a, 1.0).apply("log"))
    return g * b * a ** (b - 1.0), g * y * log


def _maximum_gradient(a: Formula, b: Formula, y: Formula, g: Formula) -> Pair:
    first = a.compare("GE", b)  # at a tie the first operand gets all, as in TensorFlow
    return first.keep(g), first.drop(g)


def _minimum_gradient(a: Formula, b: Formula, y: Formula, g: Formula) -> Pair:
    first = a.compare("LE", b)
    return first.keep(g), first.drop(g)


def _sign(x: Expr) -> Expr:
    if x.dtype.is_float:
        return Unary("sign", x)
    zero = Const(0, x.dtype)
    above, below = (Convert(Binary(c, x, zero), x.dtype) for c in ("gt", "lt"))
    return Binary("sub", above, below)


RECORDS = (
    binary("add", _add, np.add, lambda a, b, y, g: (g, g), (*BOOLS, *NUMBERS)),
    binary("subtract", "sub", np.subtract, lambda a, b, y, g: (g, -g), NUMBERS),
    binary(
        "multiply", _multiply, np.multiply, lambda a, b, y, g: (g * b, g * a), (*BOOLS, *NUMBERS)
    ),
    binary("divide", "div", _numpy_divide, _divide_gradient, NUMBERS, 8),
    binary("remainder", "rem", _numpy_remainder, _remainder_gradient, NUMBERS, 8),
    binary("power", "pow", _numpy_power, _power_gradient, NUMBERS, 32),
    binary("maximum", _maximum, np.maximum, _maximum_gradient, (*BOOLS, *NUMBERS)),
    binary("minimum", _minimum, np.minimum, _minimum_gradient, (*BOOLS, *NUMBERS)),
    replace(
        unary("abs", "abs", np.abs, lambda x, y, g: g * x.apply("sign"), SIGNED),
        type_rule=_abs_rule,
    ),
    unary("negate", "neg", np.negative, lambda x, y, g: -g, NUMBERS),
    # TensorFlow gives zeros, not "no gradient".
    unary("sign", _sign, np.sign, lambda x, y, g: g * 0.0, SIGNED),
)
