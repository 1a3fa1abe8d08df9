"""Sizes of open dims as users give them: one size, a range, or the size of another dim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.runtime.errors import ModelError

# of each open dim by name: its size, the least and the greatest one, or the name of the dim that it
# is always as large as
Dims: TypeAlias = "Mapping[str, int | tuple[int, int] | str]"


@dataclass(frozen=True, slots=True)
class DimSizes:
    """Dims of one size, a symbol for each that has a range, and dims that follow another."""

    fixed: Mapping[str, int]
    symbols: tuple[Symbol, ...]
    same: Mapping[str, str]

    def at(self, point: Mapping[str, int]) -> dict[str, int]:
        """The size of every dim where the symbols have the sizes in `point`."""
        sizes = {**self.fixed, **point}
        return {**sizes, **{name: sizes[other] for name, other in self.same.items()}}


def dim_sizes(dims: Dims | None) -> DimSizes:
    """The dims sorted by kind; ModelError for what is no size, range or name of another dim."""
    fixed: dict[str, int] = {}
    symbols: list[Symbol] = []
    same: dict[str, str] = {}
    for name, size in (dims or {}).items():
        if isinstance(size, str):
            same[name] = size
            continue
        if not isinstance(size, tuple | list):
            fixed[name] = size
            continue
        ends = [n for n in size if isinstance(n, int) and not isinstance(n, bool)]
        if len(ends) != 2 or len(size) != 2 or not 0 <= ends[0] <= ends[1]:
            raise ModelError(
                f"dim {name} is given {size!r}; give one size, or the least and the greatest one"
            )
        if ends[0] == ends[1]:
            fixed[name] = ends[0]
        else:
            symbols.append(Symbol(name, ends[0], ends[1]))
    known = {*fixed, *(symbol.name for symbol in symbols)}
    for name, other in same.items():
        if other not in known:
            raise ModelError(f"dim {name} is to be as large as {other!r}, which has no size itself")
    return DimSizes(fixed, tuple(symbols), same)


def split_dims(dims: Dims | None) -> tuple[dict[str, int], list[Symbol]]:
    """The dims of one size, and a symbol for each that is given a range of several.

    ModelError as in `dim_sizes`, and for dims that follow another: equal names do that by themselves.
    """
    found = dim_sizes(dims)
    if found.same:
        name = next(iter(found.same))
        raise ModelError(f"dim {name}: only dims of graphs can be as large as another one")
    return dict(found.fixed), list(found.symbols)
