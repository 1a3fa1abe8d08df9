"""What the statements of a kernel store, read, bind and mention."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tensorkiln.compiler.kernel.expr import INDEX, Buffer, Expr, Index, Load, Var, children
from tensorkiln.compiler.kernel.stmt import Alloc, Block, For, If, Invoke, Let, Stmt, Store, walk
from tensorkiln.compiler.kernel.substitute import map_expressions, substitute_expr


def stores(block: Block, named: dict[str, Expr]) -> Iterator[tuple[Buffer, Index, dict[str, Expr]]]:
    """Every place that statements may write, with the lets that its index may use.

    A prefetch writes nothing, so an instruction without a body does not count.
    """
    for stmt in walk(block):
        if isinstance(stmt, Let) and stmt.value.dtype is INDEX:
            named[stmt.var.name] = substitute_expr(stmt.value, named)
        elif isinstance(stmt, Store):
            yield stmt.buffer, stmt.index, named
        elif isinstance(stmt, Invoke) and stmt.instruction.body:
            for window in stmt.windows:
                if window.buffer.space == "local" or _writes(stmt, window.buffer):
                    yield window.buffer, window.index, named


def _writes(stmt: Invoke, buffer: Buffer) -> bool:
    written = {s.buffer.name for s in walk(stmt.instruction.body) if isinstance(s, Store)}
    pairs = zip(stmt.instruction.parameters, stmt.windows, strict=True)
    return any(w.buffer.name == buffer.name and p.name in written for p, w in pairs)


def bound(block: Block) -> Iterator[str]:
    """Names of the variables of loops and lets."""
    for stmt in walk(block):
        if isinstance(stmt, For | Let):
            yield stmt.var.name


def allocated(block: Block) -> Iterator[str]:
    """Names of the buffers that statements allocate."""
    for stmt in walk(block):
        if isinstance(stmt, Alloc):
            yield stmt.buffer.name


def written_by(block: Iterable[Stmt]) -> Iterator[str]:
    """Names of buffers that statements may write."""
    for buffer, _, _ in stores(tuple(block), {}):
        yield buffer.name


def read_by(block: Iterable[Stmt]) -> Iterator[str]:
    """Names of buffers that statements may read."""
    for stmt in block:
        for each in walk((stmt,)):
            match each:
                case Store(_, index, value):
                    yield from _loaded((*index, value))
                case Let(_, value) | If(value, _):
                    yield from _loaded((value,))
                case For(_, start, stop):
                    yield from _loaded((start, stop))
                case Invoke(instruction, windows) if instruction.body:
                    yield from (w.buffer.name for w in windows)
                case _:
                    pass


def _loaded(exprs: Iterable[Expr]) -> Iterator[str]:
    for expr in exprs:
        if isinstance(expr, Load):
            yield expr.buffer.name
        yield from _loaded(children(expr))


def uses(stmt: Stmt, buffer: str) -> bool:
    """True if a statement mentions the buffer."""
    return buffer in mentioned(stmt)


def mentioned(stmt: Stmt) -> set[str]:
    """Names of buffers and variables that a statement mentions, those that it makes included."""
    found: set[str] = set()

    def visit(expr: Expr) -> Expr:
        if isinstance(expr, Var):
            found.add(expr.name)
        elif isinstance(expr, Load):
            found.add(expr.buffer.name)
        for child in children(expr):
            visit(child)
        return expr

    map_expressions((stmt,), visit)
    for each in walk((stmt,)):
        if isinstance(each, Store | Alloc):
            found.add(each.buffer.name)
        elif isinstance(each, Invoke):
            found.update(window.buffer.name for window in each.windows)
    return found
