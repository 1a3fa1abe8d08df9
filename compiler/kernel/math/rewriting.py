"""Walks a kernel and rewrites its expressions into straight-line code before each statement."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

from tensorkiln.compiler.kernel.expr import Buffer, Expr, Var
from tensorkiln.compiler.kernel.math.builder import LetBuilder
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

Rewrite: TypeAlias = Callable[[LetBuilder, Expr], Expr]


def rewrite_expressions(kernel: Kernel, rewrite: Rewrite, prefix: str, fma: bool) -> Kernel:
    """`kernel` with `rewrite` applied to every expression of its statements.

    `rewrite` gets a builder whose `Let`s come right before the statement and are named `prefix`
    and a number; it walks into the expression itself.
    """
    used = _names(kernel)
    names = (name for k in itertools.count() if (name := f"{prefix}{k}") not in used)
    return replace(kernel, body=_block(kernel.body, rewrite, names, fma))


def _block(block: Block, rewrite: Rewrite, names: Iterator[str], fma: bool) -> Block:
    result: list[Stmt] = []
    for stmt in block:
        # A name made from a load must not outlive a store, so each statement has its own builder.
        b = LetBuilder(lambda: next(names), fma)
        rewritten = _stmt(b, stmt, rewrite, names, fma)
        result += [*b.lets, rewritten]
    return tuple(result)


def _stmt(b: LetBuilder, stmt: Stmt, rewrite: Rewrite, names: Iterator[str], fma: bool) -> Stmt:
    match stmt:
        case Let(var, value):
            return Let(var, rewrite(b, value))
        case Store(_, index, value):
            index = tuple(rewrite(b, i) for i in index)
            return replace(stmt, index=index, value=rewrite(b, value))
        case For(_, start, stop, _, body):
            start, stop = rewrite(b, start), rewrite(b, stop)
            return replace(stmt, start=start, stop=stop, body=_block(body, rewrite, names, fma))
        case If(condition, body):
            return If(rewrite(b, condition), _block(body, rewrite, names, fma))
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
