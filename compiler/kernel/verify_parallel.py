"""Whether two iterations of a loop store to one element, as far as indices show it."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Const, Expr, Load, Var, children
from tensorkiln.compiler.kernel.stmt import Alloc, Block, For, If, Let, Store


def write_conflict(loop: For) -> str | None:
    """Words for a store that two iterations of `loop` surely both make to one element, or None.

    Only what is certain is reported: stores under conditions, and indices that depend on loaded
    values or on names that depend on the loop's variable, are taken to be right.
    """
    trips = _trips(loop)
    if trips is None or trips < 2:
        return None
    return _search(loop.body, loop, [], {loop.var.name}, set())


def _search(
    block: Block, parallel: For, inner: list[For], varying: set[str], private: set[str]
) -> str | None:
    varying, private = set(varying), set(private)
    for stmt in block:
        found = None
        match stmt:
            case Let(var, value):
                if _mentions(value, varying) or _loads(value):
                    varying.add(var.name)
            case Alloc(buffer):
                private.add(buffer.name)
            case For():
                found = _search(stmt.body, parallel, [*inner, stmt], varying, private)
            case If():
                continue
            case Store(buffer, index) if buffer.name not in private:
                if _conflicts(index, parallel, inner, varying - {parallel.var.name}):
                    name = parallel.var.name
                    found = f"iterations of loop {name} store to the same elements of {buffer.name}"
            case _:
                pass
        if found is not None:
            return found
    return None


def _conflicts(
    index: Sequence[Expr], parallel: For, inner: Sequence[For], unknown: set[str]
) -> bool:
    name = parallel.var.name
    if any(_loads(e) or _mentions(e, unknown) for e in index):
        return False
    if any(
        _mentions(bound, unknown | {name}) for loop in inner for bound in (loop.start, loop.stop)
    ):
        return False
    if any(not _trips(loop) for loop in inner):
        return False
    dims = [e for e in index if _mentions(e, {name})]
    if not dims:
        return True
    if len(dims) > 1:
        return False
    return any(
        _reaches(dims[0], parallel, loop)
        for loop in inner
        if sum(_mentions(e, {loop.var.name}) for e in index) == 1
    )


def _reaches(expr: Expr, parallel: For, loop: For) -> bool:
    """True if a step of the parallel variable moves the index by as much as some steps of `loop`,
    which it makes."""
    terms, _ = ix.linear(expr)
    atoms = {atom.name: c for atom, c in terms.items() if isinstance(atom, Var)}
    if len(atoms) != len(terms):  # a floordiv or mod may hold either variable
        return False
    step = atoms[parallel.var.name] * parallel.step
    own = atoms.get(loop.var.name, 0) * loop.step
    trips = _trips(loop) or 0
    return own != 0 and step % own == 0 and abs(step // own) < trips


def _trips(loop: For) -> int | None:
    """How many iterations the loop makes, where its bounds are constant."""
    if not (isinstance(loop.start, Const) and isinstance(loop.stop, Const)):
        return None
    return len(range(int(loop.start.value), int(loop.stop.value), loop.step))


def _mentions(expr: Expr, names: set[str]) -> bool:
    return any(ix.depends(expr, name) for name in names)


def _loads(expr: Expr) -> bool:
    return isinstance(expr, Load) or any(_loads(child) for child in children(expr))
