"""At which sizes a model is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from tensorkiln.compiler.ir.dims import Symbol, substitute, symbol_dim, told_by

Point = Mapping[str, int]
_MOST_VALUES = 5  # of a quotient that are looked at, or some more
_MOST_RESTS = 16
_MOST_SIZES = 4096  # of which values are found


def size_at(symbol: Symbol, point: Point) -> int:
    """A symbol's size at a point, which tells those that are no quotients."""
    size = substitute(symbol_dim(symbol), point)
    assert isinstance(size, int)
    return size


def first_points(symbols: Sequence[Symbol], capacities: Mapping[str, int]) -> list[dict[str, int]]:
    """The capacities, then points that tell each symbol from the others and from constants.

    Sizes of 1 are avoided: there, models are simpler than they are elsewhere.
    """
    points = [dict(capacities)]
    others: dict[str, list[int]] = {}
    for number, symbol in enumerate(symbols):
        top = symbol.maximum if symbol.maximum is not None else capacities[symbol.name] + 16
        low = min(max(2, symbol.minimum), top)
        span = top - low
        wanted = [top - 1 - number, low + span // 2 + number, low + span // 3, low, top]
        own = [n for n in wanted if low <= n <= top and n != capacities[symbol.name]]
        # of 1..2 there is nothing else
        others[symbol.name] = list(dict.fromkeys(own or range(max(symbol.minimum, 1), low)))[:3]
        points += [{**capacities, symbol.name: size} for size in others[symbol.name][:2]]
    if len(symbols) > 1:
        points.append({name: (own or [capacities[name]])[-1] for name, own in others.items()})
    return points


def finer_points(
    points: Sequence[Point], symbols: Sequence[Symbol], quotients: Mapping[Symbol, int]
) -> list[Point]:
    """The points, and more by which quotients, made by the strides given for each, are known.

    Each has every value that it has in the range, or several if there are many; but for 1, where
    models are simpler. What is divided has every rest: padding may depend on it.
    """
    capacities = points[0]
    made = list(points)
    for symbol in symbols:
        top = symbol.maximum if symbol.maximum is not None else capacities[symbol.name]
        at = partial(_with_size, capacities, symbol.name)
        sizes = range(symbol.minimum, top + 1)
        own = [q for q in quotients if symbol in told_by([symbol_dim(q)])[0]]
        for quotient in own:
            rests = map(at, _with_rests(quotient, quotients[quotient], sizes))
            made += [point for point in rests if size_at(quotient, point) > 1]
        for quotient in own[::-1]:  # later ones have fewer values
            made += _with_values(quotient, map(at, sizes[:: -(-len(sizes) // _MOST_SIZES)]), made)
    made += _together(made, symbols, list(quotients))
    return [p for k, p in enumerate(made) if p not in made[:k]]


def _together(
    points: Sequence[Point], symbols: Sequence[Symbol], quotients: Sequence[Symbol]
) -> list[Point]:
    """Points at which all sizes with quotients change at once, so that none of these is what it is
    at the capacities: they tell products from sums."""
    capacities = points[0]
    chosen: dict[str, list[int]] = {}
    for symbol in symbols:
        own = [q for q in quotients if symbol in told_by([symbol_dim(q)])[0]]
        ends = [size_at(q, capacities) for q in own]
        if own:
            values = {p[symbol.name]: [size_at(q, p) for q in own] for p in points}
            chosen[symbol.name] = sorted(
                size
                for size, at in values.items()
                if all(1 < value != end for value, end in zip(at, ends, strict=True))
            )
    if len(chosen) < 2 or not all(chosen.values()):
        return []
    return [{**capacities, **{name: own[k] for name, own in chosen.items()}} for k in (0, -1)]


def _with_size(point: Point, name: str, size: int) -> Point:
    return {**point, name: size}


def _with_rests(quotient: Symbol, stride: int, sizes: range) -> list[int]:
    """Sizes at which what a stride divided, itself a quotient or a size, has all rests."""
    assert quotient.quotient is not None
    over, divisor = quotient.quotient
    step = max(1, divisor // stride // min(abs(c) for _, c in over.terms))
    return [max(sizes[0], sizes[-1] - k * step) for k in range(min(stride, _MOST_RESTS))]


def _with_values(quotient: Symbol, points: Iterable[Point], known: Sequence[Point]) -> list[Point]:
    """Points at which a quotient has values other than at those known, until it has enough."""
    firsts: dict[int, Point] = {}
    for point in points:
        firsts.setdefault(size_at(quotient, point), point)
    seen = {1, *(size_at(quotient, point) for point in known)}
    left = [point for value, point in firsts.items() if value not in seen]
    wanted = _MOST_VALUES - len(seen & firsts.keys())
    return left[:: max(1, len(left) // wanted)] if wanted > 0 else []
