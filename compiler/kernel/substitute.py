"""Replacing variables, buffers and names in blocks: what every rewrite of kernels is made of.

Index arithmetic is simplified as it is rebuilt (compiler/kernel/index.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import (
    INDEX,
    Binary,
    Buffer,
    Const,
    Expr,
    Index,
    Load,
    Var,
    children,
    with_children,
)  # fmt: skip
from tensorkiln.compiler.kernel.stmt import (
    Alloc,
    Barrier,
    Block,
    For,
    If,
    Invoke,
    Kernel,
    Let,
    Stmt,
    Store,
    Window,
    walk,
)  # fmt: skip

Rule: TypeAlias = Callable[[Expr], "Expr | None"]


def substitute(block: Block, values: Mapping[str, Expr]) -> Block:
    """The block with every use of the variables named in `values` replaced.

    The block must not itself bind those names, nor names that the replacements use.
    """
    return map_expressions(block, lambda expr: substitute_expr(expr, values))


def substitute_expr(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """The expression with the variables named in `values` replaced."""
    return rewrite_expr(expr, lambda e: values.get(e.name) if isinstance(e, Var) else None)


def rewrite_expr(expr: Expr, rule: Rule) -> Expr:
    """The expression with every node, leaves first, replaced by what `rule` makes of it (None:
    left as it is)."""
    old = children(expr)
    new = tuple(rewrite_expr(child, rule) for child in old)
    same = all(a is b for a, b in zip(old, new, strict=True))
    rebuilt = expr if same else with_children(expr, new)
    # The rule sees a node before it is simplified: what it made may come out of that once more.
    result = rule(rebuilt)
    if result is not None:
        return result
    return rebuilt if same else _simplified(rebuilt)


def _simplified(expr: Expr) -> Expr:
    match expr:
        case Binary("add", a, b) if a.dtype == INDEX:
            return ix.add(a, b)
        case Binary("sub", a, b) if a.dtype == INDEX:
            return ix.sub(a, b)
        case Binary("mul", a, Const(value)) if a.dtype == INDEX:
            return ix.mul(a, int(value))
        case Binary("floordiv", a, Const(value)):
            return ix.floordiv(a, int(value))
        case Binary("mod", a, Const(value)):
            return ix.mod(a, int(value))
        case _:
            return expr


def map_expressions(block: Block, change: Callable[[Expr], Expr]) -> Block:
    """The block with every whole expression in it replaced: values, indices, bounds, conditions."""

    def statement(stmt: Stmt) -> Stmt:
        match stmt:
            case Let(var, value):
                return Let(var, change(value))
            case Store(_, index, value):
                return replace(stmt, index=tuple(map(change, index)), value=change(value))
            case For(_, start, stop):
                return replace(stmt, start=change(start), stop=change(stop), body=run(stmt.body))
            case If(condition, body):
                return If(change(condition), run(body))
            case Invoke(instruction, windows):
                moved = tuple(Window(w.buffer, tuple(map(change, w.index))) for w in windows)
                return Invoke(instruction, moved)
            case Alloc() | Barrier():
                return stmt

    def run(stmts: Block) -> Block:
        return tuple(statement(stmt) for stmt in stmts)

    return run(block)


def redirect(
    block: Block, buffer: Buffer, target: Buffer, index: Callable[[Index], Index]
) -> Block:
    """The block with loads, stores and windows of `buffer` turned to `target` at `index(old)`."""

    def load(expr: Expr) -> Expr | None:
        if isinstance(expr, Load) and expr.buffer == buffer:
            return replace(expr, buffer=target, index=index(expr.index))
        return None

    def statement(stmt: Stmt) -> Stmt:
        match stmt:
            case Store(found, where) if found == buffer:
                return replace(stmt, buffer=target, index=index(where))
            case For() | If():
                return replace(stmt, body=tuple(map(statement, stmt.body)))
            case Invoke(instruction, windows):
                moved = (
                    Window(target, index(w.index)) if w.buffer == buffer else w for w in windows
                )
                return Invoke(instruction, tuple(moved))
            case _:
                return stmt

    loads_moved = map_expressions(block, lambda expr: rewrite_expr(expr, load))
    return tuple(map(statement, loads_moved))


def rename(block: Block, names: Mapping[str, str]) -> Block:
    """The block with variables and buffers renamed, where they are made and where they are used."""

    def buffer(old: Buffer) -> Buffer:
        return replace(old, name=names.get(old.name, old.name))

    def use(expr: Expr) -> Expr | None:
        match expr:
            case Var(name):
                return replace(expr, name=names.get(name, name))
            case Load(old):
                return replace(expr, buffer=buffer(old))
            case _:
                return None

    def statement(stmt: Stmt) -> Stmt:
        match stmt:
            case Let() | For():
                stmt = replace(
                    stmt, var=replace(stmt.var, name=names.get(stmt.var.name, stmt.var.name))
                )
            case Store() | Alloc():
                return replace(stmt, buffer=buffer(stmt.buffer))
            case Invoke(instruction, windows):
                return Invoke(
                    instruction, tuple(Window(buffer(w.buffer), w.index) for w in windows)
                )
            case _:
                pass
        return replace(stmt, body=run(stmt.body)) if isinstance(stmt, For | If) else stmt

    def run(stmts: Block) -> Block:
        return tuple(map(statement, stmts))

    return run(map_expressions(block, lambda expr: rewrite_expr(expr, use)))


def bound_names(block: Block) -> Iterator[str]:
    """The names that statements of the block make: loop variables, lets, buffers."""
    for stmt in walk(block):
        if isinstance(stmt, Let | For):
            yield stmt.var.name
        elif isinstance(stmt, Alloc):
            yield stmt.buffer.name


def names_of(kernel: Kernel) -> set[str]:
    """Every name made in a kernel, its parameters' included."""
    return {buffer.name for buffer in kernel.parameters} | set(bound_names(kernel.body))


def fresh_name(taken: set[str], hint: str) -> str:
    """A name like `hint` that is not in `taken`; it is added there."""
    name, count = hint, 0
    while name in taken:
        count += 1
        name = f"{hint}_{count}"
    taken.add(name)
    return name


def inline_instruction(stmt: Invoke) -> Block:
    """The body of the instruction on the windows' buffers; its names get the instruction's as a
    prefix, so that they do not capture those that the windows use."""
    instruction = stmt.instruction
    prefix = {name: f"{instruction.name}.{name}" for name in bound_names(instruction.body)}
    # Parameters first get names that no buffer outside has: a window may have a parameter's name.
    own = {b.name: f"{instruction.name}.{b.name}" for b in instruction.parameters}
    body = rename(instruction.body, {**prefix, **own})
    for parameter, window in zip(instruction.parameters, stmt.windows, strict=True):
        named = replace(parameter, name=own[parameter.name])
        body = redirect(body, named, window.buffer, _shifted(window, len(parameter.shape)))
    return body


def _shifted(window: Window, rank: int) -> Callable[[Index], Index]:
    outer = len(window.index) - rank
    base = window.index

    def shift(index: Index) -> Index:
        return (*base[:outer], *(ix.add(a, b) for a, b in zip(base[outer:], index, strict=True)))

    return shift
