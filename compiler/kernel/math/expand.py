"""Replaces every function that machines lack by straight-line code over what they have.

After it a kernel holds only: neg not abs sqrt floor ceil trunc round_even is_nan popcount
count_leading_zeros; add sub mul div rem min max and or xor, shifts, comparisons, floordiv and mod
of indices; pow of integers; fma, select, convert, bitcast.  f16 and bf16 are computed in f32.
"""

from __future__ import annotations

from collections.abc import Callable

from tensorkiln.compiler.ir.dtypes import BF16, F16, F32
from tensorkiln.compiler.kernel.expr import (
    Binary,
    Convert,
    Expr,
    Unary,
    children,
    with_children,
)  # fmt: skip
from tensorkiln.compiler.kernel.math.atan2 import atan2
from tensorkiln.compiler.kernel.math.builder import LetBuilder
from tensorkiln.compiler.kernel.math.cbrt import cbrt
from tensorkiln.compiler.kernel.math.erf import erf
from tensorkiln.compiler.kernel.math.exp import exp, expm1
from tensorkiln.compiler.kernel.math.log import log, log1p
from tensorkiln.compiler.kernel.math.pow import pow
from tensorkiln.compiler.kernel.math.rewriting import rewrite_expressions
from tensorkiln.compiler.kernel.math.sigmoid import logistic, tanh
from tensorkiln.compiler.kernel.math.simple import is_finite, round_away, rsqrt, sign
from tensorkiln.compiler.kernel.math.trig import cos, sin, tan
from tensorkiln.compiler.kernel.stmt import Kernel

UNARY: dict[str, Callable[[LetBuilder, Expr], Expr]] = {
    "exp": exp, "expm1": expm1, "log": log, "log1p": log1p, "sin": sin, "cos": cos, "tan": tan,
    "tanh": tanh, "logistic": logistic, "erf": erf, "cbrt": cbrt, "rsqrt": rsqrt, "sign": sign,
    "round_away": round_away, "is_finite": is_finite,
}  # fmt: skip
BINARY: dict[str, Callable[[LetBuilder, Expr, Expr], Expr]] = {"pow": pow, "atan2": atan2}


def expand_math(kernel: Kernel, fma: bool = True) -> Kernel:
    """`kernel` without the ops of `UNARY` and `BINARY`; error bounds are in docs/math.md.

    Before: `y[i] = exp(x[i])`.  After: `m0 = x[i]; m1 = ...; ...; y[i] = m20`, the same
    statements for one element and for the lanes of a vector.  `fma` says whether the target
    multiplies and adds in one instruction.
    """
    return rewrite_expressions(kernel, expand_expr, "m", fma)


def expand_expr(b: LetBuilder, expr: Expr) -> Expr:
    """`expr` with every op of the tables replaced; the code goes to `b`."""
    match expr:
        case Unary(op, operand) if op in UNARY:
            return _in_f32(b, lambda x: UNARY[op](b, x), (expand_expr(b, operand),))
        case Binary(op, left, right) if op in BINARY:
            operands = (expand_expr(b, left), expand_expr(b, right))
            return _in_f32(b, lambda x, y: BINARY[op](b, x, y), operands)
        case _:
            old = children(expr)
            new = tuple(expand_expr(b, child) for child in old)
            return expr if new == old else with_children(expr, new)


def _in_f32(b: LetBuilder, function: Callable[..., Expr], operands: tuple[Expr, ...]) -> Expr:
    dtype = operands[0].dtype
    named = [b.let(operand) for operand in operands]
    if dtype not in (F16, BF16):
        return function(*named)
    result = function(*(b.convert(operand, F32) for operand in named))
    return b.let(Convert(result, dtype)) if result.dtype == F32 else result
