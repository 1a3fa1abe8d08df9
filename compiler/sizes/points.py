"""At which sizes a model is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.dims import Symbol, substitute, symbol_dim, told_by

Point = Mapping[str, int]
_MOST_VALUES = 6  # of a quotient that are looked at
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
        others[symbol.name] = list(dict.fromkeys(own))[:3]
        points += [{**capacities, symbol.name: size} for size in others[symbol.name][:2]]
    if len(symbols) > 1:
        points.append({name: (own or [capacities[name]])[-1] for name, own in others.items()})
    return points


def finer_points(
    points: Sequence[Point], symbols: Sequence[Symbol], quotients: Sequence[Symbol]
) -> list[Point]:
    """The points, and more at which each quotient has every value that it has in the range, or
    several of them if there are many; where one is 1 models are simpler."""
    capacities = points[0]
    made = list(points)
    for symbol in symbols:
        own = [q for q in quotients if symbol in told_by([symbol_dim(q)])[0]]
        top = symbol.maximum if symbol.maximum is not None else capacities[symbol.name]
        for quotient in own:
            firsts: dict[int, int] = {}
            every = range(symbol.minimum, top + 1)
            for size in every[:: -(-len(every) // _MOST_SIZES)]:
                firsts.setdefault(size_at(quotient, {**capacities, symbol.name: size}), size)
            sizes = [size for value, size in firsts.items() if value > 1]
            step = max(1, -(-len(sizes) // _MOST_VALUES))
            for size in sizes[::step]:
                point = {**capacities, symbol.name: size}
                seen = {size_at(quotient, other) for other in made}
                if size_at(quotient, point) not in seen:
                    made.append(point)
    return made
