"""Tiles cut to the rows that a call needs.

A tile computes a fixed number of rows in registers, in unrolled loops:

    alloc acc: f32[13, 32]
    unroll i in 0..13 { acc[i, ..] = 0 }
    for k { unroll i in 0..13 { acc[i, ..] = fma(..) } }
    unroll i in 0..13 { out[base + i, ..] = acc[i, ..] }

Where a call needs fewer, a copy of the tile with just as many rows takes its place. Computing the
rest as well would not only waste time: what nobody wrote may be denormal numbers, which are slow
to multiply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Const, Expr, Index, Load, Var, children
from tensorkiln.compiler.kernel.stmt import (
    Block,
    For,
    If,
    Invoke,
    Let,
    LoopKind,
    Stmt,
    Store,
    walk,
)
from tensorkiln.compiler.kernel.substitute import bound_names, map_expressions, rename, rewrite_expr

Access = tuple[str, bool, Index]  # a buffer's name, whether it is local, an index


def row_loops(body: Block, rows: set[str]) -> set[str] | None:
    """The unrolled loops over the same rows as those named `rows`; None if they are not alike.

    Loops are over the same rows if their variables index one dim of a local buffer.
    """
    loops = {s.var.name: s for s in walk(body) if isinstance(s, For)}
    dims: set[tuple[str, int]] = set()
    found = set(rows)
    accesses = [a for a in _accesses(body) if a[1]]
    while True:
        size = len(found) + len(dims)
        for name, _, index in accesses:
            for axis, place in enumerate(index):
                if isinstance(place, Var) and place.name in loops:
                    if place.name in found:
                        dims.add((name, axis))
                    elif (name, axis) in dims:
                        found.add(place.name)
        if len(found) + len(dims) == size:
            break
    # a dim of rows may be indexed by loops over rows only
    for name, _, index in accesses:
        for axis, place in enumerate(index):
            if (name, axis) in dims and not (isinstance(place, Var) and place.name in found):
                return None
    heights = {_height(loops[name]) for name in found if name in loops}
    return found if found <= set(loops) and len(heights) == 1 and None not in heights else None


def height_of(body: Block, rows: set[str]) -> int:
    """The number of rows that loops named `rows` run over."""
    (found,) = {_height(s) for s in walk(body) if isinstance(s, For) and s.var.name in rows}
    assert found is not None
    return found


def trimmed(
    body: Block, rows: set[str], left: Expr, fresh: Callable[[str], str], shortest: int = 1
) -> Block:
    """The body where `left`, the number of rows that are needed, is its height or more; else a
    copy of just that height. It is never below `shortest`, but where nothing is needed."""
    height = height_of(body, rows)
    made: list[Stmt] = []
    for count in range(shortest, height):
        exact = Binary("eq", left, ix.const(count))
        made.append(If(exact, _cut(body, rows, count, fresh)))
    made.append(If(Binary("ge", left, ix.const(height)), body))
    return tuple(made)


def _cut(body: Block, rows: set[str], count: int, fresh: Callable[[str], str]) -> Block:
    def run(block: Block) -> Block:
        return tuple(map(statement, block))

    def statement(stmt: Stmt) -> Stmt:
        if isinstance(stmt, If):
            return replace(stmt, body=run(stmt.body))
        if not isinstance(stmt, For):
            return stmt
        inner = run(stmt.body)
        if stmt.var.name not in rows:
            return replace(stmt, body=inner)
        var = replace(stmt.var, extent=count)
        inner = map_expressions(inner, lambda expr: _retyped(expr, var))
        return replace(stmt, var=var, stop=ix.const(count), body=inner)

    cut = run(body)
    return rename(cut, {name: fresh(name) for name in bound_names(cut)})


def _retyped(expr: Expr, var: Var) -> Expr:
    """The expression with another extent for the variable."""
    return rewrite_expr(expr, lambda e: var if isinstance(e, Var) and e.name == var.name else None)


def _height(loop: For) -> int | None:
    constant = isinstance(loop.stop, Const) and loop.start == ix.ZERO and loop.step == 1
    if loop.kind is not LoopKind.UNROLLED or not constant:
        return None
    assert isinstance(loop.stop, Const)
    return int(loop.stop.value)


def _accesses(block: Block) -> Iterator[Access]:
    for stmt in walk(block):
        match stmt:
            case Store(buffer, index, value):
                yield buffer.name, buffer.space == "local", index
                for part in (*index, value):
                    yield from _loads(part)
            case Let(_, value):
                yield from _loads(value)
            case If(condition):
                yield from _loads(condition)
            case Invoke(_, windows):
                for window in windows:
                    yield window.buffer.name, window.buffer.space == "local", window.index
            case _:
                pass


def _loads(expr: Expr) -> Iterator[Access]:
    if isinstance(expr, Load):
        yield expr.buffer.name, expr.buffer.space == "local", expr.index
    for child in children(expr):
        yield from _loads(child)
