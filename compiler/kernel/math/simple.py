"""The ops that are a few instructions: sign, rsqrt, round_away, is_finite."""

from __future__ import annotations

import math

from tensorkiln.compiler.ir.dtypes import BOOL
from tensorkiln.compiler.kernel.expr import Const, Expr
from tensorkiln.compiler.kernel.math.builder import LetBuilder, constant


def sign(b: LetBuilder, x: Expr) -> Expr:
    """-1, 0 or 1; floats keep NaN and signed zeros."""
    dtype = x.dtype
    if not dtype.is_float:
        below = constant(-1, dtype) if dtype.is_signed else constant(0, dtype)
        not_above = b.select(b.binary("lt", x, 0), below, 0)
        return b.select(b.binary("gt", x, 0), 1, not_above)
    is_nonzero = b.binary("gt", b.magnitude(x), 0.0)
    return b.select(is_nonzero, b.with_sign_of(constant(1.0, dtype), x), x)


def rsqrt(b: LetBuilder, x: Expr) -> Expr:
    """1 / sqrt(x), each rounded: within 1.5 ulp."""
    return b.div(1.0, b.unary("sqrt", x))


def round_away(b: LetBuilder, x: Expr) -> Expr:
    """The nearest integer, halves away from zero; x - trunc(x) is exact."""
    whole = b.unary("trunc", x)
    is_up = b.binary("ge", b.magnitude(b.sub(x, whole)), 0.5)
    step = b.with_sign_of(constant(1.0, x.dtype), x)
    return b.select(is_up, b.add(whole, step), whole)


def is_finite(b: LetBuilder, x: Expr) -> Expr:
    """True unless infinite or NaN."""
    if not x.dtype.is_float:
        return Const(True, BOOL)
    return b.binary("lt", b.magnitude(x), math.inf)
