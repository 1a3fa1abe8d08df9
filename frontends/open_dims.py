"""Sizes of open dims as users give them: one size, a range, or the size of another dim.

A range may be of multiples: of (32, 512, 32), which is for images that a net halves five times, the
size of a call is the number of 32s, and its name says so: `height_by_32`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.runtime.errors import ModelError

# of each open dim by name: its size, the least and the greatest one, these and what all sizes are
# multiples of, or the name of the dim that it is always as large as
Range: TypeAlias = tuple[int, int] | tuple[int, int, int]
Dims: TypeAlias = "Mapping[str, int | Range | str]"


@dataclass(frozen=True, slots=True)
class DimSizes:
    """Dims of one size, a symbol for each that has a range, and dims that follow another.

    `ranged` are dims that are so many times their symbol, which is given by its name.
    """

    fixed: Mapping[str, int]
    symbols: tuple[Symbol, ...]
    same: Mapping[str, str]
    ranged: Mapping[str, tuple[int, str]]

    def at(self, point: Mapping[str, int]) -> dict[str, int]:
        """The size of every dim where the symbols have the sizes in `point`."""
        ranged = {name: times * point[symbol] for name, (times, symbol) in self.ranged.items()}
        sizes = {**self.fixed, **ranged}
        return {**sizes, **{name: sizes[other] for name, other in self.same.items()}}


def dim_sizes(dims: Dims | None) -> DimSizes:
    """The dims sorted by kind; ModelError for what is no size, range or name of another dim."""
    fixed: dict[str, int] = {}
    symbols: list[Symbol] = []
    ranged: dict[str, tuple[int, str]] = {}
    same: dict[str, str] = {}
    for name, size in (dims or {}).items():
        if isinstance(size, str):
            same[name] = size
            continue
        if not isinstance(size, tuple | list):
            fixed[name] = size
            continue
        low, high, step = _range(name, size)
        if low == high:
            fixed[name] = low
            continue
        symbol = name if step == 1 else f"{name}_by_{step}"
        symbols.append(Symbol(symbol, low // step, high // step))
        ranged[name] = (step, symbol)
    known = {*fixed, *ranged}
    for name, other in same.items():
        if other not in known:
            raise ModelError(f"dim {name} is to be as large as {other!r}, which has no size itself")
    return DimSizes(fixed, tuple(symbols), same, ranged)


def _range(name: str, size: Sequence[object]) -> tuple[int, int, int]:
    """The ends of a range and its step."""
    numbers = [n for n in size if isinstance(n, int) and not isinstance(n, bool)]
    if len(numbers) == len(size) and len(size) in (2, 3):
        low, high, step = (*numbers, 1)[:3]
        if 0 <= low <= high and step > 0 and not low % step and not high % step:
            return low, high, step
    raise ModelError(
        f"dim {name} is given {size!r}; give one size, the least and the greatest one, or these and"
        " a number that both are multiples of"
    )


def plain_dims(dims: Dims | None) -> DimSizes:
    """`dim_sizes` of a model that names its dims.

    ModelError as in `dim_sizes`, and for dims that follow another: equal names do that by themselves.
    """
    found = dim_sizes(dims)
    if found.same:
        name = next(iter(found.same))
        raise ModelError(f"dim {name}: only dims of graphs can be as large as another one")
    return found
