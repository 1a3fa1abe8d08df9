"""Fused multiply-adds for machines without the instruction, where LLVM would call the C library."""

from __future__ import annotations

from tensorkiln.compiler.kernel.expr import Binary, Expr, Fma, children, with_children
from tensorkiln.compiler.kernel.math.builder import LetBuilder
from tensorkiln.compiler.kernel.math.rewriting import rewrite_expressions
from tensorkiln.compiler.kernel.stmt import Kernel


def separate_fma(kernel: Kernel) -> Kernel:
    """`kernel` with `a * b + c`, rounded twice, for every Fma: ops ask for one where either will do."""
    return rewrite_expressions(kernel, _separate, "u", fma=False)


def _separate(b: LetBuilder, expr: Expr) -> Expr:
    old = children(expr)
    new = tuple(_separate(b, child) for child in old)
    expr = expr if new == old else with_children(expr, new)
    if isinstance(expr, Fma):
        return Binary("add", Binary("mul", expr.a, expr.b), expr.c)
    return expr
