"""Rules of canonicalize for arithmetic; each is exact, bit for bit, NaN's payload aside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.passes.facts import (
    exact_reciprocal,
    is_lossless,
    is_nonnegative,
    is_number,
)  # fmt: skip
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, Rule


def is_constant(rewriter: Rewriter, value: Value) -> bool:
    """True for constants and broadcast scalar constants."""
    return rewriter.literal(value) is not None or rewriter.splat(value) is not None


def constant_right(rewriter: Rewriter, op: Op) -> Replacement:
    """c op x = x op c."""
    x, y = op.operands
    if is_constant(rewriter, x) and not is_constant(rewriter, y):
        return rewriter.one(op.name, (y, x))
    return None


def add(rewriter: Rewriter, op: Op) -> Replacement:
    """Sums with zeros and negations."""
    x, y = op.operands
    constant = rewriter.splat(y)
    # x + -0 = x; x + +0 is not x where x = -0.  Integers have one zero.
    if is_number(constant, 0.0 if x.dtype.is_integer else -0.0):
        return x
    # x + -y = x - y
    if (negated := rewriter.producer(y, "negate")) is not None:
        return rewriter.one("subtract", (x, negated.operands[0]))
    # -x + y = y - x
    if (negated := rewriter.producer(x, "negate")) is not None:
        return rewriter.one("subtract", (y, negated.operands[0]))
    return None


def subtract(rewriter: Rewriter, op: Op) -> Replacement:
    """Differences with zeros and negations."""
    x, y = op.operands
    # x - +0 = x
    if is_number(rewriter.splat(y), 0.0):
        return x
    # -0 - x = -x; +0 - x is not -x where x = +0.
    if is_number(rewriter.splat(x), 0.0 if x.dtype.is_integer else -0.0):
        return rewriter.one("negate", (y,))
    # x - -y = x + y
    if (negated := rewriter.producer(y, "negate")) is not None:
        return rewriter.one("add", (x, negated.operands[0]))
    # x - x = 0 for integers; inf - inf is not 0.
    if x is y and x.dtype.is_integer:
        return rewriter.splat_like(np.zeros((), x.dtype.numpy), x)
    return None


def multiply(rewriter: Rewriter, op: Op) -> Replacement:
    """Products with ones, zeros and negations."""
    x, y = op.operands
    constant = rewriter.splat(y)
    # x * 1 = x
    if is_number(constant, 1.0):
        return x
    # x * -1 = -x
    if x.dtype.is_signed and is_number(constant, -1.0):
        return rewriter.one("negate", (x,))
    # x * 0 = 0 for integers; inf * 0 is NaN.
    if x.dtype.is_integer and is_number(constant, 0.0):
        return y
    return _both_negated(rewriter, op)


def divide(rewriter: Rewriter, op: Op) -> Replacement:
    """Quotients by ones and powers of two."""
    x, y = op.operands
    constant = rewriter.splat(y)
    # x / 1 = x
    if is_number(constant, 1.0):
        return x
    # x / 2^k = x * 2^-k: both round the same real number.
    if constant is not None and (reciprocal := exact_reciprocal(constant)) is not None:
        return rewriter.one("multiply", (x, rewriter.splat_like(reciprocal, x)))
    return _both_negated(rewriter, op)


def _both_negated(rewriter: Rewriter, op: Op) -> Replacement:
    # (-x) op (-y) = x op y; a signed integer's -(-2^(n-1)) wraps, and so a quotient may differ.
    x, y = (rewriter.producer(v, "negate") for v in op.operands)
    if x is None or y is None or (op.name == "divide" and not op.result.dtype.is_float):
        return None
    return rewriter.one(op.name, (x.operands[0], y.operands[0]))


def power(rewriter: Rewriter, op: Op) -> Replacement:
    """Powers with small constant exponents."""
    x, y = op.operands
    exponent = rewriter.splat(y)
    # x^1 = x
    if is_number(exponent, 1.0):
        return x
    # x^2 = x * x
    if is_number(exponent, 2.0):
        return rewriter.one("multiply", (x, x))
    # x^0 = 1, for NaN too
    if is_number(exponent, 0.0):
        return rewriter.splat_like(np.ones((), x.dtype.numpy), x)
    if not x.dtype.is_float:
        return None
    # x^-1 = 1 / x
    if is_number(exponent, -1.0):
        one = rewriter.splat_like(np.ones((), x.dtype.numpy), x)
        return rewriter.one("divide", (one, x))
    # x^0.5 = sqrt(x) for x >= +0; pow(-0, 0.5) = +0 and pow(-inf, 0.5) = +inf differ.
    if is_number(exponent, 0.5) and is_nonnegative(rewriter, x):
        return rewriter.one("sqrt", (x,))
    return None


def negate(rewriter: Rewriter, op: Op) -> Replacement:
    """Negations of negations and differences."""
    inner = rewriter.producer(op.operands[0], "negate")
    # -(-x) = x
    return None if inner is None else inner.operands[0]


def absolute(rewriter: Rewriter, op: Op) -> Replacement:
    """|-x| = |x|, except for the least signed integer, where both wrap to the same."""
    inner = rewriter.producer(op.operands[0], "negate")
    return None if inner is None else rewriter.one("abs", inner.operands)


def idempotent(rewriter: Rewriter, op: Op) -> Replacement:
    """f(f(x)) = f(x)."""
    return op.operands[0] if rewriter.producer(op.operands[0], op.name) is not None else None


def same_operands(rewriter: Rewriter, op: Op) -> Replacement:
    """max(x, x) = min(x, x) = x."""
    x, y = op.operands
    return x if x is y else None


def round_integer(rewriter: Rewriter, op: Op) -> Replacement:
    """Rounding what is converted from an integer changes nothing."""
    inner = rewriter.producer(op.operands[0], "convert")
    if inner is not None and not inner.operands[0].dtype.is_float:
        return op.operands[0]
    return None


def convert(rewriter: Rewriter, op: Op) -> Replacement:
    """Conversions that do nothing, and chains of which a link is lossless."""
    (x,) = op.operands
    if x.dtype == op.result.dtype:
        return x
    inner = rewriter.producer(x, "convert")
    # A -> B -> C = A -> C if every number of A is one of B.
    if inner is not None and is_lossless(inner.operands[0].dtype, x.dtype):
        return rewriter.one("convert", inner.operands, **op.attributes)
    return None


def identity(rewriter: Rewriter, op: Op) -> Replacement:
    """An op that only passes its operand on, or marks it for differentiation."""
    return op.operands[0]


_ROUNDING: dict[str, Sequence[Rule]] = dict.fromkeys(
    ("floor", "ceil", "round_nearest_even", "round_nearest_afz"), (idempotent, round_integer)
)

RULES: dict[str, Sequence[Rule]] = {
    "add": (constant_right, add),
    "subtract": (subtract,),
    "multiply": (constant_right, multiply),
    "divide": (divide,),
    "power": (power,),
    "negate": (negate,),
    "abs": (idempotent, absolute),
    "sign": (idempotent,),
    "maximum": (constant_right, same_operands),
    "minimum": (constant_right, same_operands),
    "convert": (convert,),
    "identity": (identity,),
    "stop_gradient": (identity,),
    **_ROUNDING,
}
