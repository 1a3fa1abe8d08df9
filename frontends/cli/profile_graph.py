"""The graph of a model's kernels as SVG: calls in layers, coloured by their share of the time.

Layers are longest paths from the inputs; in a layer calls are ordered by the mean place of their
sources (K. Sugiyama et al., Methods for Visual Understanding of Hierarchical System Structures).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from tensorkiln.frontends.cli.profile import Timing

_WIDTH, _HEIGHT = 280, 52
_ACROSS, _DOWN = 30, 34
_MARGIN = 60
_LETTERS = 34  # of the widest letters as many as fit into a box


def graph_svg(timings: Sequence[Timing]) -> str:
    """An SVG element of all calls."""
    places = _places(timings)
    widest = max((x for x, _ in places.values()), default=0.0)
    lowest = max((y for _, y in places.values()), default=0.0)
    width, height = widest + _WIDTH + 2 * _MARGIN + 80, lowest + _HEIGHT + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="graph of kernels">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
        ' markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#64748b"/></marker></defs>',
    ]
    for t in timings:
        parts += [_edge(places[source], places[t.number]) for source in t.after]
    most = max((t.share for t in timings), default=0.0) or 1.0
    parts += [_box(t, places[t.number], heat(t.share / most)) for t in timings]
    return "\n".join([*parts, "</svg>"])


def _places(timings: Sequence[Timing]) -> Mapping[int, tuple[float, float]]:
    """The upper left corner of each call's box."""
    layer: dict[int, int] = {}
    for t in timings:  # sources come before their readers
        layer[t.number] = 1 + max((layer[source] for source in t.after), default=-1)
    rows: dict[int, list[Timing]] = {}
    for t in timings:
        rows.setdefault(layer[t.number], []).append(t)
    widest = max(map(len, rows.values()), default=1)
    places: dict[int, tuple[float, float]] = {}
    for depth in sorted(rows):

        def middle(t: Timing) -> float:
            above = [places[source][0] for source in t.after]
            return sum(above) / len(above) if above else 0.0

        row = sorted(rows[depth], key=middle)
        left = _MARGIN + (widest - len(row)) * (_WIDTH + _ACROSS) / 2
        for position, t in enumerate(row):
            places[t.number] = (
                left + position * (_WIDTH + _ACROSS), _MARGIN + depth * (_HEIGHT + _DOWN),
            )  # fmt: skip
    return places


def _edge(source: tuple[float, float], target: tuple[float, float]) -> str:
    x1, y1 = source[0] + _WIDTH / 2, source[1] + _HEIGHT
    x2, y2 = target[0] + _WIDTH / 2, target[1]
    if y2 - y1 <= _DOWN + 1:
        bend = (y2 - y1) / 2
        path = f"M{x1:.0f} {y1:.0f} C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}"
    else:  # around the boxes between
        x1, x2 = source[0] + _WIDTH, target[0] + _WIDTH
        y1, y2 = y1 - _HEIGHT / 2, y2 + _HEIGHT / 2
        out = max(x1, x2) + min(70, 20 + (y2 - y1) / 12)
        path = f"M{x1:.0f} {y1:.0f} C{out:.0f} {y1:.0f} {out:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
    return f'<path d="{path}" fill="none" stroke="#64748b" marker-end="url(#tip)"/>'


def _box(t: Timing, place: tuple[float, float], colour: str) -> str:
    x, y = place
    title = _title(t)
    detail = f"{t.seconds * 1e6:.1f} us, {t.share:.1%}, {t.peak:.0%} of peak"
    hover = "\n".join([t.kernel, *t.nodes, *t.results, " ".join(t.operations), detail])
    return (
        f'<a href="#call{t.number}"><g><title>{escape(hover)}</title>'
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"'
        f' fill="{colour}" stroke="#334155"/>'
        f'<text x="{x + 10:.0f}" y="{y + 21:.0f}" class="node">{escape(title)}</text>'
        f'<text x="{x + 10:.0f}" y="{y + 40:.0f}" class="time">{escape(detail)}</text></g></a>'
    )


def _title(t: Timing) -> str:
    """The last node of a call, which gives its result, and how many others it computes."""
    if not t.nodes:
        return _short(t.kernel, _LETTERS)
    more = f" +{len(t.nodes) - 1}" if len(t.nodes) > 1 else ""
    return _short(t.nodes[-1], _LETTERS - len(more)) + more


def _short(text: str, room: int) -> str:
    """The end of a path, cut at a slash where that leaves something."""
    if len(text) <= room:
        return text
    tail = text[3 - room :]
    cut = tail.find("/", 0, -1)
    return "..." + (tail[cut:] if cut >= 0 else tail)


def heat(share: float) -> str:
    """A colour from white (0) to orange (1)."""
    part = min(1.0, share) ** 0.6
    low, high = (255, 255, 255), (251, 146, 60)
    channels = (round(a + (b - a) * part) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in channels)
