"""Tiles of rows shared out evenly over the rows that a call needs.

A tile that is compiled for up to h rows begins at row h*g.  Of r rows that are needed, t = ceil(r /
h) tiles take about r / t each instead of h, and the last one what is left: a tile of few rows takes
nearly the time of a full one.

    rows h*g + i, i < min(h, r - h*g)    ->    rows begin + i, i < end - begin,
                                               begin = ceil(g*r / t), end = ceil((g+1)*r / t)

This holds where the tile's code is a function of row numbers: in it g stands in `h*g + i` only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import (
    INDEX,
    Binary,
    Expr,
    Load,
    Var,
    children,
    with_children,
)
from tensorkiln.compiler.kernel.limits import Limit, prefix
from tensorkiln.compiler.kernel.stmt import Block, For, If, Invoke, Let, Stmt, Store
from tensorkiln.compiler.kernel.substitute import substitute_expr


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a tile: they are `base + i`, with `i` one of `loops`, in a dim with `limit`."""

    base: Expr
    limit: Limit
    loops: set[str]
    height: int

    @property
    def is_regular(self) -> bool:
        """True if tiles begin at multiples of their height, in each round of the last factor."""
        terms, constant = ix.linear(self.base)
        step = math.gcd(constant, *terms.values())
        return step % self.height == 0 and self.limit[-1][0] % self.height == 0

    def place(self) -> tuple[Expr, Expr]:
        """The first row as counted in its round, and how many rows of a round are needed."""
        if len(self.limit) == 1 or not self.is_regular:
            return self.base, prefix(self.limit)
        size, extent = self.limit[-1]
        return ix.mod(self.base, size), extent

    def fewest(self, least: Mapping[str, int]) -> int:
        """The rows that every call needs, at least one, where sizes are at least `least`."""
        _, rows = self.place()
        terms, low = ix.linear(rows)
        for atom, coefficient in terms.items():
            low += coefficient * (least.get(atom.name, 0) if isinstance(atom, Var) else 0)
        return max(low, 1)

    def heights(self, least: Mapping[str, int]) -> range:
        """The heights that evenly shared tiles have, where sizes are at least `least`."""
        low = self.fewest(least)
        tiles = -(-low // self.height)
        shortest = min(low // tiles, (tiles * self.height + 1) // (tiles + 1))
        return range(max(1, shortest), self.height + 1)


def balanced(
    body: Block, rows: Rows, named: Mapping[str, Expr], fresh: Callable[[str], str]
) -> tuple[Block, Block, Expr] | None:
    """Lets, the body with evenly shared rows, and how many it has; None where it may not be.

    `named` are the lets around the body, `fresh` makes names.
    """
    size = rows.limit[-1][0]
    if not rows.is_regular or size <= rows.height:
        return None
    at, needed = rows.place()
    number = ix.floordiv(at, rows.height)
    tiles = Var(fresh("tiles"), INDEX, size // rows.height + 1)
    count = ix.floordiv(ix.add(needed, ix.const(rows.height - 1)), rows.height)

    def share(g: Expr) -> Expr:
        up = ix.sub(tiles, ix.const(1))
        divisor = Binary("max", tiles, ix.const(1))  # as it is; the divisor says so itself
        return Binary("floordiv", Binary("add", Binary("mul", g, needed), up), divisor)

    begin = Var(fresh("begin"), INDEX, size)
    left = Var(fresh("left"), INDEX, rows.height + 1)
    lets = (
        Let(tiles, Binary("max", count, ix.const(1))),
        Let(begin, share(number)),
        Let(left, Binary("sub", share(ix.add(number, ix.const(1))), begin)),
    )
    base = ix.add(ix.sub(rows.base, at), begin)
    moved = _Moved(rows, base, named).block(body)
    return None if moved is None else (lets, moved, left)


class _NotRows(Exception):
    """The code knows more of the tile than its row numbers."""


class _Moved:
    def __init__(self, rows: Rows, base: Expr, named: Mapping[str, Expr]) -> None:
        self.rows, self.named, self.base = rows, named, base
        self.terms, self.constant = ix.linear(rows.base)

    def block(self, block: Block) -> Block | None:
        try:
            return tuple(map(self._stmt, block))
        except _NotRows:
            return None

    def _stmt(self, stmt: Stmt) -> Stmt:
        match stmt:
            case Store(buffer, index, value):
                local = buffer.space == "local"
                return replace(stmt, index=self._index(index, local), value=self._expr(value))
            case Let(_, value):
                return replace(stmt, value=self._expr(value))
            case If(condition, body):
                inner = tuple(map(self._stmt, body))
                return replace(stmt, condition=self._expr(condition), body=inner)
            case For(_, start, stop, _, body):
                inner = tuple(map(self._stmt, body))
                return replace(stmt, start=self._expr(start), stop=self._expr(stop), body=inner)
            case Invoke(instruction, windows):
                if not instruction.body:  # a prefetch: where it points changes nothing
                    return stmt
                moved = tuple(
                    replace(w, index=self._index(w.index, w.buffer.space == "local"))
                    for w in windows
                )
                return replace(stmt, windows=moved)
            case _:
                return stmt

    def _index(self, index: tuple[Expr, ...], local: bool) -> tuple[Expr, ...]:
        """Places in a buffer; those of the tile's own buffers may be rows of the tile."""
        return tuple(
            e if local and isinstance(e, Var) and e.name in self.rows.loops else self._expr(e)
            for e in index
        )

    def _expr(self, expr: Expr) -> Expr:
        if expr.dtype is INDEX:
            whole = substitute_expr(expr, self.named)
            return self._place(whole) if self._concerns(whole) else expr
        if isinstance(expr, Load):
            index = self._index(expr.index, expr.buffer.space == "local")
            guard = None if expr.guard is None else self._expr(expr.guard)
            return replace(expr, index=index, guard=guard)
        return with_children(expr, tuple(map(self._expr, children(expr))))

    def _concerns(self, expr: Expr) -> bool:
        if expr in self.terms or (isinstance(expr, Var) and expr.name in self.rows.loops):
            return True
        return any(map(self._concerns, children(expr)))

    def _place(self, expr: Expr) -> Expr:
        """An index expression: a multiple of row numbers, and what does not depend on them."""
        terms, constant = ix.linear(expr)
        row = {t: c for t, c in terms.items() if isinstance(t, Var) and t.name in self.rows.loops}
        times = {terms.get(t, 0) / c for t, c in self.terms.items()}
        if len(times) > 1 or len(row) > 1:
            raise _NotRows
        factor = times.pop() if times else float(next(iter(row.values()), 0))
        if factor != int(factor) or any(c != factor for c in row.values()):
            raise _NotRows
        count = int(factor)
        total: Expr = ix.const(constant - count * self.constant)
        for atom, coefficient in terms.items():
            if atom in self.terms:
                continue
            inside = atom not in row and self._concerns(atom)
            parts = tuple(map(self._expr, children(atom)))
            moved = with_children(atom, parts) if inside else atom
            total = ix.add(total, ix.mul(moved, coefficient))
        return ix.add(total, ix.mul(self.base, count))
