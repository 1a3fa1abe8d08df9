"""The benchmark's report as one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tensorkiln.frontends.cli.bench.plots import bars, curves
from tensorkiln.frontends.cli.bench.report import (
    Report,
    call_table,
    ceiling_table,
    errors,
    means,
    table,
    whole_table,
)
from tensorkiln.frontends.cli.bench.result import COMPILED, INTERPRETED, Result

_GROUPS = {
    "models": "Models",
    "light": "The light models of the onnx package",
    "micro": "Single ops",
    "training": "Training steps",
    "growth": "Growing batches and sequences",
    "compile": "Growing graphs",
}
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1200px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2em; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 2px 9px; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
th:first-child, td:first-child, .text { text-align: left; }
td.text { white-space: normal; }
.wide { overflow-x: auto; } .plots { display: flex; flex-wrap: wrap; gap: 1.5em; }
svg { max-width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; fill: CanvasText; }
svg .title { font-size: 13px; font-weight: 600; } .end { text-anchor: end; }
.middle { text-anchor: middle; } .grid { stroke: #8883; } .axis { stroke: CanvasText; }
.even { stroke: #8889; stroke-dasharray: 4 4; }
td.slower { background: #d55e0033; } pre { white-space: pre-wrap; font-size: 13px; }
"""


def page(report: Report) -> str:
    """The report: tables, ceilings, kernels of rows that are behind a peer, and curves."""
    others = [r for r in report.results if r.group != "ceilings"]
    facts = {**report.machine, **report.versions}
    parts = [
        "<h1>TensorKiln benchmark</h1>",
        f"<p>{escape(', '.join(f'{name} {value}' for name, value in facts.items()))}</p>",
        "<p>Times are medians of single calls in milliseconds, of all engines in turns. “/ fastest”"
        " is the time of compiled code over that of the fastest other engine, “of peak” the share"
        " it reaches of the ceiling that binds: multiply-adds, or moving the bytes that must be"
        " moved.</p>",
        _ratio_bars(others),
        _section("Means", f"<pre>{escape(means(others))}</pre>" if means(others) else ""),
    ]
    if ceilings := report.group("ceilings"):
        parts.append(_section("Ceilings of this machine", _table(ceiling_table(ceilings))))
    if calls := report.group("overhead"):
        parts.append(_section("What a call costs", _table(call_table(calls))))
    for group, title in _GROUPS.items():
        if results := report.group(group):
            parts.append(_section(title, _plots(results) + _table(table(results), results)))
    whole = [r for r in others if r.end_to_end and r.group != "overhead"]
    if whole:
        parts.append(_section("From numpy arrays to numpy arrays", _table(whole_table(whole))))
    if behind := [r for r in others if r.kernels]:
        parts.append(_section("Kernels of rows that are behind", _kernels(behind)))
    if any(r.rest for r in others):
        parts.append(_section("Milliseconds busy after a turn", _table(_rests(others))))
    if said := errors(report.results):
        parts.append(_section("What went wrong or is missing", f"<pre>{escape(said)}</pre>"))
    body = "\n".join(filter(None, parts))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>TensorKiln benchmark</title>'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>"
    )


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>\n{content}" if content else ""


def _table(rows: Sequence[Sequence[str]], results: Sequence[Result] = ()) -> str:
    """A table, its first row the head; rows of results that are slower than a peer stand out."""
    slower = [result.ratio is not None and result.ratio > 1 for result in results]
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    lines = []
    for number, row in enumerate(rows[1:]):
        mark = ' class="slower"' if number < len(slower) and slower[number] else ""
        lines.append(
            "<tr>"
            + "".join(
                f"<td{mark if rows[0][k] == '/ fastest' else ''}>{escape(cell)}</td>"
                for k, cell in enumerate(row)
            )
            + "</tr>"
        )
    return f'<div class="wide"><table><tr>{head}</tr>\n{"".join(lines)}</table></div>'


def _ratio_bars(results: Sequence[Result]) -> str:
    """For each number of threads, the rows' times over those of the fastest peer."""
    charts = []
    for threads in sorted({result.threads for result in results}):
        values = [
            (result.name, result.ratio)
            for result in results
            if result.threads == threads
            and result.ratio is not None
            and result.group not in ("growth", "compile")
        ]
        if values:
            charts.append(bars(f"Time over the fastest peer's, {threads} threads", values))
    return f'<div class="plots">{"".join(charts)}</div>' if charts else ""


def _plots(results: Sequence[Result]) -> str:
    """A chart for each series and number of threads; of growing graphs, one of compile time."""
    charts = []
    series = dict.fromkeys((r.point.series, r.threads) for r in results if r.point is not None)
    for name, threads in series:
        compiling = False
        lines: dict[str, list[tuple[float, float]]] = {COMPILED: []}
        axis = ""
        for result in results:
            point = result.point
            if point is None or (point.series, result.threads) != (name, threads):
                continue
            axis, compiling = point.axis, result.group == "compile"
            found = (
                result.prepare
                if compiling
                else {engine: times.median for engine, times in result.engines.items()}
            )
            for engine, seconds in found.items():
                if engine != INTERPRETED and seconds > 0:
                    unit = 1.0 if compiling else 1e3
                    lines.setdefault(engine, []).append((point.x, seconds * unit))
        lines = {engine: points for engine, points in lines.items() if points}
        # Compiling takes the same time for any number of threads.
        again = compiling and any(other == name and fewer < threads for other, fewer in series)
        if lines and not again:
            plural = "" if threads == 1 else "s"
            title = name if compiling else f"{name}, {threads} thread{plural}"
            charts.append(curves(title, axis, "s" if compiling else "ms", lines))
    return f'<div class="plots">{"".join(charts)}</div>' if charts else ""


def _kernels(results: Sequence[Result]) -> str:
    rows = [["row", "threads", "/ fastest", "kernel", "ms", "share", "of peak", "of copy", "nodes"]]
    for result in results:
        for number, kernel in enumerate(result.kernels):
            ratio = "-" if result.ratio is None else f"{result.ratio:.2f}"
            first = [result.name, str(result.threads), ratio] if number == 0 else ["", "", ""]
            nodes = kernel.nodes if len(kernel.nodes) < 60 else f"{kernel.nodes[:57]}..."
            rows.append(
                [
                    *first, kernel.kernel, f"{kernel.seconds * 1e3:.4g}", f"{kernel.share:.0%}",
                    f"{kernel.peak:.0%}", f"{kernel.bandwidth:.0%}", nodes,
                ]
            )  # fmt: skip
    return _table(rows)


def _rests(results: Sequence[Result]) -> list[list[str]]:
    """The longest median, over the rows, that each engine's process was busy after its turns."""
    longest: dict[str, dict[int, float]] = {}
    for result in results:
        for name, seconds in result.rest.items():
            found = longest.setdefault(name, {})
            found[result.threads] = max(found.get(result.threads, 0.0), seconds)
    counts = sorted({result.threads for result in results if result.rest})
    head = ["", *(f"{n} threads" for n in counts)]
    return [head] + [
        [name, *(f"{found[n] * 1e3:.1f}" if n in found else "-" for n in counts)]
        for name, found in longest.items()
    ]
