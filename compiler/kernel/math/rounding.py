"""floor, ceil, trunc and round_even for machines without a rounding instruction (SSE2).

There LLVM would call the C library, an element at a time.
"""

from __future__ import annotations

from tensorkiln.compiler.kernel.expr import Expr, Unary, children, with_children
from tensorkiln.compiler.kernel.math.builder import LetBuilder, mantissa_bits
from tensorkiln.compiler.kernel.math.rewriting import rewrite_expressions
from tensorkiln.compiler.kernel.stmt import Kernel

ROUNDINGS = ("floor", "ceil", "trunc", "round_even")


def expand_rounding(kernel: Kernel) -> Kernel:
    """`kernel` without `ROUNDINGS`; f32 and f64 only, so narrow floats are widened before."""
    return rewrite_expressions(kernel, _expand, "w", fma=False)


def _expand(b: LetBuilder, expr: Expr) -> Expr:
    old = children(expr)
    new = tuple(_expand(b, child) for child in old)
    expr = expr if new == old else with_children(expr, new)
    if isinstance(expr, Unary) and expr.op in ROUNDINGS:
        return round_to_integer(b, expr.op, b.let(expr.operand))
    return expr


def round_to_integer(b: LetBuilder, op: str, x: Expr) -> Expr:
    """`op(x)`, exact; infinities, NaN and the sign of zero are kept.

    Adding and subtracting 2**(stored bits of the significand) rounds |x| to the nearest integer,
    ties to even; a step of one corrects that for the directed roundings.
    """
    size = b.magnitude(x)
    magic = 2.0 ** mantissa_bits(x.dtype)
    nearest = b.sub(b.add(size, magic), magic)
    is_fractional = b.binary("lt", size, magic)
    if op == "round_even":
        return b.select(is_fractional, b.with_sign_of(nearest, x), x)
    if op == "trunc":
        is_above = b.binary("gt", nearest, size)
        down = b.select(is_above, b.sub(nearest, 1.0), nearest)
        return b.select(is_fractional, b.with_sign_of(down, x), x)
    whole = b.with_sign_of(nearest, x)
    is_off, step = ("gt", -1.0) if op == "floor" else ("lt", 1.0)
    moved = b.select(b.binary(is_off, whole, x), b.add(whole, step), whole)
    # The result has the sign of x or is zero, and a zero keeps the sign of x.
    return b.select(is_fractional, b.with_sign_of(b.magnitude(moved), x), x)
