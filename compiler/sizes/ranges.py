"""Into which parts a range of sizes is cut, each with code of its own.

Code for sizes up to a capacity is planned for that capacity: tiles, blocks, what runs in parallel.
A part spans a factor of `SPAN` at most, and size 1, where models are simpler and kernels others,
is a part of its own.  Several open sizes share `MOST` parts: the spans get wider until they fit.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.dims import Symbol

SPAN = 4
MOST = 8
Part = Mapping[str, tuple[int, int]]  # of each symbol: the least and the greatest size


def parts(symbols: Sequence[Symbol]) -> list[Part]:
    """The parts, smallest sizes first; every symbol needs a maximum."""
    span = SPAN
    while True:
        cut = [_cut(symbol, span) for symbol in symbols]
        found = [
            dict(zip((s.name for s in symbols), chosen, strict=True))
            for chosen in itertools.product(*cut)
        ]
        if len(found) <= MOST or all(len(own) <= 2 for own in cut):
            return list(found)
        span *= 2


def _cut(symbol: Symbol, span: int) -> list[tuple[int, int]]:
    assert symbol.maximum is not None
    low, top = symbol.minimum, symbol.maximum
    found = []
    while low <= top:
        # Parts end where their tops are the maximum over powers of the span.
        end = top
        while low > 1 and end > low * span:
            end = -(-end // span)
        if low <= 1:
            end = low
        found.append((low, min(end, top)))
        low = end + 1
    return found
