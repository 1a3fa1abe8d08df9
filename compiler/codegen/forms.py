"""Index expressions of one kernel, analysed once however often they are emitted."""

from __future__ import annotations

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Buffer, Expr, Index, Var, children


class Forms:
    """Memo tables keyed by the identity of expressions, which a kernel keeps alive."""

    def __init__(self) -> None:
        self._flat: dict[tuple[int, str], tuple[list[tuple[Expr, int]], int, Index]] = {}
        self._names: dict[int, tuple[tuple[str, ...], Expr]] = {}

    def flat(self, buffer: Buffer, index: Index) -> tuple[list[tuple[Expr, int]], int]:
        """The row-major offset of `index` as terms (atom, coefficient) and a constant."""
        key = (id(index), buffer.name)
        if key not in self._flat:
            terms, constant = ix.linear(ix.flatten(index, buffer.strides))
            self._flat[key] = (list(terms.items()), constant, index)
        terms_, constant_, _ = self._flat[key]
        return terms_, constant_

    def names(self, expr: Expr) -> tuple[str, ...]:
        """The variables that occur in `expr`."""
        key = id(expr)
        if key not in self._names:
            self._names[key] = (tuple(sorted(_variables(expr))), expr)
        return self._names[key][0]


def _variables(expr: Expr) -> set[str]:
    if isinstance(expr, Var):
        return {expr.name}
    return set().union(*(_variables(child) for child in children(expr)))
