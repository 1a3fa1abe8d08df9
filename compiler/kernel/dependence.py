"""Whether the iterations of a loop touch each other's memory.

Two accesses of one buffer, at least one of them a store, are compared by their indices.  In
iterations p and q of the loop they lie

    c * p + a    and    c * q + b    (along some dim, or in the flattened buffer)

where a and b hold what is fixed around the loop and what inner loops range over.  They never meet
if no multiple of c * step except 0 lies in the range of b - a.  What cannot be shown is taken to
meet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import INDEX, Buffer, Expr, Index, Load, children
from tensorkiln.compiler.kernel.stmt import (
    Alloc,
    Barrier,
    Block,
    For,
    If,
    Invoke,
    Let,
    Stmt,
    Store,
    walk,
)  # fmt: skip
from tensorkiln.compiler.kernel.substitute import bound_names, substitute_expr


@dataclass(frozen=True, slots=True)
class Access:
    """A load, a store or a window of `sizes` that starts at `index`."""

    buffer: Buffer
    index: Index
    sizes: tuple[int, ...]
    stored: bool


def carried_dependence(loop: For, free: frozenset[str] = frozenset()) -> str | None:
    """Words for a dependence between two iterations of `loop`, or None if there surely is none.

    The variables named in `free` may differ between the two iterations as well.
    """
    if loop.var.extent in (0, 1):  # there are no two iterations
        return None
    private = {s.buffer.name for s in walk(loop.body) if isinstance(s, Alloc)}
    found = [a for a in accesses(loop.body) if a.buffer.name not in private]
    moving = free | set(bound_names(loop.body))
    for store in found:
        if not store.stored:
            continue
        for other in found:
            if other.buffer == store.buffer and not _apart(store, other, loop, moving):
                how = "store to" if other.stored else "store to and load from"
                return f"iterations of loop {loop.var.name} may {how} one element of {store.buffer.name}"
    return None


def accesses(block: Block) -> list[Access]:
    """Every access of a buffer in a block, with the block's index lets put in."""
    return list(_accesses(block, {}))


def _accesses(block: Block, lets: dict[str, Expr]) -> Iterator[Access]:
    lets = dict(lets)
    for stmt in block:
        for expr in expressions(stmt):
            for load in _loads(expr):
                yield replace(load, index=_resolve(load.index, lets))
        match stmt:
            case Let(var, value) if var.dtype == INDEX and not has_load(value):
                lets[var.name] = value
            case Store(buffer, index):
                where = _resolve(index, lets)
                yield Access(buffer, where, (1,) * len(where), True)
            case For() | If():
                yield from _accesses(stmt.body, lets)
            case Invoke(instruction, windows):
                stored = {s.buffer.name for s in walk(instruction.body) if isinstance(s, Store)}
                for parameter, window in zip(instruction.parameters, windows, strict=True):
                    where = _resolve(window.index, lets)
                    sizes = (1,) * (len(where) - len(parameter.shape)) + parameter.shape
                    yield Access(window.buffer, where, sizes, parameter.name in stored)
                    yield Access(window.buffer, where, sizes, False)
            case _:
                pass


def _resolve(index: Index, lets: dict[str, Expr]) -> Index:
    """An index with lets put in; what no index uses (data of type i64) is never written out."""
    while (put_in := tuple(substitute_expr(e, lets) for e in index)) != index:
        index = put_in
    return index


def expressions(stmt: Stmt) -> Sequence[Expr]:
    """The whole expressions of one statement, without those of blocks below it."""
    match stmt:
        case Let(_, value):
            return (value,)
        case Store(_, index, value):
            return (*index, value)
        case For(_, start, stop):
            return (start, stop)
        case If(condition):
            return (condition,)
        case Invoke(_, windows):
            return [expr for window in windows for expr in window.index]
        case Alloc() | Barrier():
            return ()


def _loads(expr: Expr) -> Iterator[Access]:
    if isinstance(expr, Load):
        yield Access(expr.buffer, expr.index, (1,) * len(expr.index), False)
    for child in children(expr):
        yield from _loads(child)


def has_load(expr: Expr) -> bool:
    """True if an expression reads memory."""
    return isinstance(expr, Load) or any(has_load(child) for child in children(expr))


def _apart(a: Access, b: Access, loop: For, moving: frozenset[str]) -> bool:
    """True if `a` in one iteration and `b` in another never touch one element."""
    for dim, (one, other) in enumerate(zip(a.index, b.index, strict=True)):
        if _never_meet(one, other, a.sizes[dim], b.sizes[dim], loop, moving):
            return True
    if a.sizes != (1,) * len(a.index) or b.sizes != (1,) * len(b.index):
        return False
    strides = a.buffer.strides
    return _never_meet(
        ix.flatten(a.index, strides), ix.flatten(b.index, strides), 1, 1, loop, moving
    )


def _never_meet(
    one: Expr, other: Expr, size: int, other_size: int, loop: For, moving: frozenset[str]
) -> bool:
    name = loop.var.name
    left, low = ix.linear(one)
    right, constant = ix.linear(other)
    low -= constant
    high = low
    variable = [atom for atom in (*left, *right) if ix.depends(atom, name)]
    coefficient = left.get(loop.var, 0)
    if not coefficient or right.get(loop.var) != coefficient or set(variable) != {loop.var}:
        return False
    for atom in dict.fromkeys((*left, *right)):
        if atom == loop.var:
            continue
        x, y = left.get(atom, 0), right.get(atom, 0)
        ends = ix.bounds(atom)
        if has_load(atom) or any(ix.depends(atom, other_name) for other_name in moving):
            reach = [x * u - y * v for u in ends for v in ends]
        else:  # one value in both
            reach = [(x - y) * u for u in ends]
        low, high = low + min(reach), high + max(reach)
    stride = abs(coefficient) * loop.step
    return stride > max(high + size - 1, other_size - 1 - low)
