"""How much of a dim of a buffer a call needs, as index expressions.

A dim is a product of factors, outermost first; of each the first so many places are needed.  A
batch of sequences whose rows lie in one dim has two: what lies behind a sequence's last token is
not needed, whichever sequence it is.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Expr

Limit: TypeAlias = tuple[tuple[int, Expr], ...]  # of each factor: places, and how many are needed


def prefix(limit: Limit) -> Expr:
    """The number of first places that hold all that are needed."""
    (_, extent), *inner = limit
    return ix.mul(extent, math.prod(size for size, _ in inner))


def least_place(place: Expr, inner: set[str]) -> Expr | None:
    """The smallest that an index can be, as an expression without the names in `inner`."""
    terms, constant = ix.linear(place)
    least: Expr = ix.const(constant)
    for atom, coefficient in terms.items():
        if any(ix.depends(atom, name) for name in inner):
            low = min(coefficient * end for end in ix.bounds(atom))
            if low < -(1 << 40):
                return None
            least = ix.add(least, ix.const(low))
        else:
            least = ix.add(least, ix.mul(atom, coefficient))
    return least


def gaps(place: Expr, limit: Limit, inner: set[str]) -> list[Expr]:
    """Conditions under which a place may be needed by the inner factors of its dim.

    The place runs over what the names in `inner` make of it.  Where that may be more than one
    round of a factor, there is no condition for it.
    """
    least = least_place(place, inner)
    if least is None or len(limit) == 1:
        return []
    low, high = ix.bounds(_inner_part(place, inner))
    terms, constant = ix.linear(least)
    step = math.gcd(constant, *terms.values())
    found: list[Expr] = []
    period = 1
    for size, extent in reversed(limit[1:]):
        stride, period = period, period * size
        at = ix.mod(least, period)
        if high - low < math.gcd(step, period) and at != ix.ZERO:
            found.append(Binary("lt", at, ix.mul(extent, stride)))
    return found


def _inner_part(place: Expr, inner: set[str]) -> Expr:
    terms, _ = ix.linear(place)
    own = {t: c for t, c in terms.items() if any(ix.depends(t, name) for name in inner)}
    return ix.from_linear(own, 0)
