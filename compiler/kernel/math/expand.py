"""Replaces every function that machines lack by straight-line code over what they have.

After it a kernel holds only: neg not abs sqrt floor ceil trunc round_even is_nan popcount
count_leading_zeros; add sub mul div rem min max and or xor, shifts, comparisons, floordiv and mod
of indices; fma, select, convert, bitcast.  f16 and bf16 are computed in f32.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

from tensorkiln.compiler.ir.dtypes import BF16, F16, F32
from tensorkiln.compiler.kernel.expr import (
    Binary,
    Buffer,
    Convert,
    Expr,
    Unary,
    Var,
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
from tensorkiln.compiler.kernel.math.sigmoid import logistic, tanh
from tensorkiln.compiler.kernel.math.simple import is_finite, round_away, rsqrt, sign
from tensorkiln.compiler.kernel.math.trig import cos, sin, tan
from tensorkiln.compiler.kernel.stmt import (
    Alloc,
    Block,
    For,
    If,
    Kernel,
    Let,
    Stmt,
    Store,
    walk,
)  # fmt: skip

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
    used = _names(kernel)
    names = (name for k in itertools.count() if (name := f"m{k}") not in used)
    return replace(kernel, body=_expand_block(kernel.body, names, fma))


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


def _expand_block(block: Block, names: Iterator[str], fma: bool) -> Block:
    result: list[Stmt] = []
    for stmt in block:
        # A name made from a load must not outlive a store, so each statement has its own builder.
        b = LetBuilder(lambda: next(names), fma)
        expanded = _expand_stmt(b, stmt, names, fma)
        result += [*b.lets, expanded]
    return tuple(result)


def _expand_stmt(b: LetBuilder, stmt: Stmt, names: Iterator[str], fma: bool) -> Stmt:
    match stmt:
        case Let(var, value):
            return Let(var, expand_expr(b, value))
        case Store(_, index, value):
            index = tuple(expand_expr(b, i) for i in index)
            return replace(stmt, index=index, value=expand_expr(b, value))
        case For(_, start, stop, _, body):
            start, stop = expand_expr(b, start), expand_expr(b, stop)
            return replace(stmt, start=start, stop=stop, body=_expand_block(body, names, fma))
        case If(condition, body):
            return If(expand_expr(b, condition), _expand_block(body, names, fma))
        case _:
            return stmt


def _names(kernel: Kernel) -> set[str]:
    names = {buffer.name for buffer in kernel.parameters}
    for stmt in walk(kernel.body):
        match stmt:
            case Let(Var(name)) | For(Var(name)):
                names.add(name)
            case Alloc(Buffer(name)):
                names.add(name)
            case _:
                pass
    return names
