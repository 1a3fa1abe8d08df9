"""Curves and bars as SVG text, without scripts, fonts or files of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10

Points = Sequence[tuple[float, float]]

# Told apart by people who do not tell red from green (Okabe and Ito, 2008).
COLOURS = (
    "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#a6761d",
)  # fmt: skip
_WIDTH, _HEIGHT = 560, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 30, 46
_BAR, _NAMES, _VALUES = 17, 190, 60


def curves(title: str, x_name: str, y_name: str, lines: Mapping[str, Points]) -> str:
    """A chart with a curve for each of `lines`, both axes logarithmic, and a legend.

    All numbers are positive; the first curve is drawn thickest. A dashed line through its end is
    what would grow in proportion.
    """
    xs = sorted({x for points in lines.values() for x, _ in points})
    ys = [y for points in lines.values() for _, y in points]
    across = _Scale(xs[0], xs[-1], _LEFT, _WIDTH - _RIGHT)
    low, high = 10.0 ** floor(log10(min(ys))), 10.0 ** ceil(log10(max(ys)))
    up = _Scale(low, high if high > low else 10 * low, _HEIGHT - _BOTTOM, _TOP)
    legend = -(-len(lines) // 4)
    parts = [_open(_WIDTH, _HEIGHT + 18 * legend, title)]
    parts += _grid(across, up, xs, x_name, y_name)
    parts += _proportion(across, up, max(next(iter(lines.values()))))
    for number, (name, points) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        placed = [(across.at(x), up.at(y)) for x, y in sorted(points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        width = 3 if number == 0 else 1.5
        parts.append(f'<polyline points="{path}" stroke="{colour}" stroke-width="{width}"/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 0.5}" fill="{colour}">'
            f"<title>{escape(name)}: {_number(value[1])} at {_number(value[0])}</title></circle>"
            for (x, y), value in zip(placed, sorted(points), strict=True)
        ]
        left, top = _LEFT + number % 4 * 122, _HEIGHT + 6 + 18 * (number // 4)
        parts.append(f'<rect x="{left}" y="{top - 8}" width="12" height="8" fill="{colour}"/>')
        parts.append(f'<text x="{left + 16}" y="{top}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"])


def bars(title: str, values: Sequence[tuple[str, float]]) -> str:
    """Horizontal bars from a line at 1 on a logarithmic axis: left of it is faster."""
    least = min([0.5, *(value for _, value in values)])
    most = max([2.0, *(value for _, value in values)])
    across = _Scale(least, most, _NAMES, _WIDTH - _VALUES)
    one, height = across.at(1.0), _TOP + _BAR * len(values) + 8
    parts = [_open(_WIDTH, height, title)]
    for number, (name, value) in enumerate(values):
        top, place = _TOP + _BAR * number, across.at(value)
        colour = COLOURS[1] if value <= 1 else COLOURS[0]
        parts.append(f'<text x="{_NAMES - 6}" y="{top + 11}" class="end">{escape(name)}</text>')
        parts.append(
            f'<rect x="{min(one, place):.1f}" y="{top + 2}" width="{abs(place - one):.1f}"'
            f' height="{_BAR - 5}" fill="{colour}"/>'
        )
        parts.append(f'<text x="{_WIDTH - _VALUES + 8}" y="{top + 11}">{value:.2f}</text>')
    parts.append(
        f'<line x1="{one:.1f}" y1="{_TOP - 2}" x2="{one:.1f}" y2="{height}" class="axis"/>'
    )
    return "\n".join([*parts, "</svg>"])


def _proportion(across: _Scale, up: _Scale, end: tuple[float, float]) -> list[str]:
    """A line of slope one to the point `end`, from where it comes into the chart."""
    x, y = end
    start = max(across.low, x * up.low / y)
    if start >= x:
        return []
    return [
        f'<line x1="{across.at(start):.1f}" y1="{up.at(y * start / x):.1f}"'
        f' x2="{across.at(x):.1f}" y2="{up.at(y):.1f}" class="even"/>'
    ]


class _Scale:
    """Places of positive numbers on a logarithmic axis."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, high, start, end
        self._span = log10(high / low) if high > low else 1.0

    def at(self, value: float) -> float:
        """The place of a number."""
        return self.start + (self.end - self.start) * log10(value / self.low) / self._span


def _open(width: int, height: int, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
        f' aria-label="{escape(title)}" fill="none"><text x="{_LEFT}" y="16" class="title">'
        f"{escape(title)}</text>"
    )


def _grid(
    across: _Scale, up: _Scale, xs: Sequence[float], x_name: str, y_name: str
) -> list[str]:  # fmt: skip
    parts: list[str] = []
    for power in range(round(log10(up.low)), round(log10(up.high)) + 1):
        y = up.at(10.0**power)
        parts.append(
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" class="grid"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" class="end">{_number(10.0**power)}</text>'
        )
    for x in xs:
        place, bottom = across.at(x), _HEIGHT - _BOTTOM
        parts.append(
            f'<line x1="{place:.1f}" y1="{_TOP}" x2="{place:.1f}" y2="{bottom}" class="grid"/>'
            f'<text x="{place:.1f}" y="{bottom + 15}" class="middle">{_number(x)}</text>'
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{_HEIGHT - 14}" class="middle">{escape(x_name)}'
        " (dashed: in proportion)</text>"
    )
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="16" class="end">{escape(y_name)}</text>')
    return parts


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 1000 else f"{value:.4g}"
