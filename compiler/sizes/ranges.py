"""Into which parts a range of sizes is cut, each with code of its own.

Code for sizes up to a capacity is planned for that capacity: tiles, blocks, what runs in parallel,
how far ahead weights are fetched. Size 1, where models are simpler and kernels others, is a part of
its own. The next ones are those that leave registers for wide tiles (up to `FEW` rows), those that
one register tile holds (`TILE` rows with AVX-512) and those of two tiles; then come spans of a
factor of two, the last one up to twice as wide. Several open sizes share `MOST` parts: there are
none of few rows, and the spans get wider until they fit.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.dims import Symbol

FEW = 4
TILE = 14
SPAN = 2
MOST = 12
Part = Mapping[str, tuple[int, int]]  # of each symbol: the least and the greatest size


def parts(symbols: Sequence[Symbol]) -> list[Part]:
    """The parts, smallest sizes first; every symbol needs a maximum."""
    few = FEW if len(symbols) == 1 else 0
    wider = 1
    while True:
        cut = [_cut(symbol, few, wider) for symbol in symbols]
        found = [
            dict(zip((s.name for s in symbols), chosen, strict=True))
            for chosen in itertools.product(*cut)
        ]
        if len(found) <= MOST or all(len(own) <= 2 for own in cut):
            return list(found)
        wider *= 2


def _cut(symbol: Symbol, few: int, wider: int) -> list[tuple[int, int]]:
    assert symbol.maximum is not None
    low, last = symbol.minimum, symbol.maximum
    tops = [0, 1, few, TILE * wider, 2 * TILE * wider * wider]
    while tops[-1] * SPAN * wider * 2 <= last:
        tops.append(tops[-1] * SPAN * wider)
    found = []
    for top in [*(t for t in tops if t < last), last]:
        if low <= top:
            found.append((low, top))
            low = top + 1
    return found
