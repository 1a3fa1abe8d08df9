"""What a kernel that reads its own results may leave out of them.

An algorithm in place, as a factorisation is, reads at one step what it stored at another one: rows
that nobody asks for are needed by the kernel itself.  A dim in which every load and every store of a
result has one and the same index, as the number of a matrix in a stack, is none of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from tensorkiln.compiler.kernel.expr import INDEX, Expr, Index, Load, children
from tensorkiln.compiler.kernel.stmt import For, If, Kernel, Let, Stmt, Store, walk
from tensorkiln.compiler.kernel.substitute import substitute_expr

L = TypeVar("L")


def without_own_reads(
    kernel: Kernel, limits: Mapping[str, Sequence[L | None]]
) -> dict[str, list[L | None]]:
    """The limits of results, None for dims along which the kernel reads what it stored elsewhere."""
    named: dict[str, Expr] = {}
    stored: dict[str, list[Index]] = {}
    loaded: dict[str, list[Index]] = {}
    for stmt in walk(kernel.body):
        if isinstance(stmt, Let) and stmt.value.dtype is INDEX:
            named[stmt.var.name] = substitute_expr(stmt.value, named)
        if isinstance(stmt, Store):
            stored.setdefault(stmt.buffer.name, []).append(stmt.index)
        for load in _loads(stmt):
            loaded.setdefault(load.buffer.name, []).append(load.index)

    def one_place(name: str, axis: int) -> bool:
        places = [index[axis] for index in (*stored.get(name, ()), *loaded[name])]
        return len({substitute_expr(place, named) for place in places}) == 1

    return {
        name: [
            limit if name not in loaded or one_place(name, axis) else None
            for axis, limit in enumerate(own)
        ]
        for name, own in limits.items()
    }


def _loads(stmt: Stmt) -> Iterator[Load]:
    """The loads of a statement, those of statements inside of it left out."""
    waiting: list[Expr] = []
    match stmt:
        case Store(_, index, value):
            waiting += [*index, value]
        case Let(_, value) | If(value, _):
            waiting.append(value)
        case For(_, start, stop):
            waiting += [start, stop]
        case _:
            pass
    while waiting:
        expr = waiting.pop()
        if isinstance(expr, Load):
            yield expr
        waiting += children(expr)
