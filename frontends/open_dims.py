"""Sizes of open dims as users give them: one size, or a range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.runtime.errors import ModelError

# of each open dim by name: its size, or the least and the greatest one
Dims: TypeAlias = "Mapping[str, int | tuple[int, int]]"


def split_dims(dims: Dims | None) -> tuple[dict[str, int], list[Symbol]]:
    """The dims of one size, and a symbol for each that is given a range of several.

    ModelError for a range that is not two integers in order.
    """
    fixed: dict[str, int] = {}
    symbols: list[Symbol] = []
    for name, size in (dims or {}).items():
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
    return fixed, symbols
