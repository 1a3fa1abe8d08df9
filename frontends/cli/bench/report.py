"""Results as tables for people and as JSON."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, log
from pathlib import Path

import llvmlite
import numpy as np

from tensorkiln.frontends.cli.bench.result import (
    COMPILED,
    INTERPRETED,
    Result,
    Times,
    read_report,
    to_json,
)
from tensorkiln.runtime.errors import TensorKilnError


@dataclass
class Report:
    """Results of one machine, and versions of what was measured."""

    machine: dict[str, object]
    versions: dict[str, str]
    results: list[Result] = field(default_factory=list)

    def merge(self, path: Path) -> None:
        """Takes over the results of a file; TensorKilnError if they are of another machine."""
        if not path.exists():
            return
        found, results = read_report(path)
        for key in ("processor", "processors"):
            if found["machine"].get(key) != self.machine[key]:
                raise TensorKilnError(
                    f"{path} was measured on {found['machine'].get(key)!r}, this machine has"
                    f" {self.machine[key]!r}: their times cannot be compared"
                )
        self.versions = {**found["versions"], **self.versions}
        known = {(result.name, result.threads) for result in self.results}
        self.results += [r for r in results if (r.name, r.threads) not in known]

    def group(self, *groups: str) -> list[Result]:
        """The results of these groups."""
        return [result for result in self.results if result.group in groups]

    def as_json(self) -> dict[str, object]:
        """Everything: machine, versions, and results in seconds."""
        return {
            "machine": self.machine,
            "versions": self.versions,
            "results": [to_json(result) for result in self.results],
        }


def text(report: Report) -> str:
    """Tables of all groups as Markdown, and what is to be said below them."""
    parts: list[str] = []
    ceilings = report.group("ceilings")
    calls = report.group("overhead")
    others = [r for r in report.results if r.group not in ("ceilings", "overhead")]
    if ceilings:
        parts.append(markdown(ceiling_table(ceilings)))
    if calls:
        parts.append(markdown(call_table(calls)))
    if others:
        parts.append(markdown(table(others)))
    whole = [result for result in others if result.end_to_end]
    if whole:
        parts.append("From numpy arrays to numpy arrays:\n\n" + markdown(whole_table(whole)))
    parts += filter(None, [means(others + calls), errors(report.results)])
    return "\n\n".join(parts)


def table(results: Sequence[Result]) -> list[list[str]]:
    """Head and rows: milliseconds (median), the ratio to the fastest peer, shares of ceilings."""
    engines = _engines(results)
    peers = [name for name in engines if name not in (COMPILED, INTERPRETED)]
    head = ["", "threads", "compiled ms", "spread", "/ fastest", "of peak", "bound"]
    head += ["interpreted ms", *(f"{name} ms" for name in peers), "compile s", "memory MB"]
    return [head] + [
        [
            result.name,
            str(result.threads),
            _milliseconds(result, COMPILED),
            spread(result.engines.get(COMPILED)),
            "-" if result.ratio is None else f"{result.ratio:.2f}",
            "-" if result.share is None else f"{result.share:.0%}",
            "-" if result.bound is None else result.bound[0],
            *(_milliseconds(result, name) for name in (INTERPRETED, *peers)),
            f"{result.prepare[COMPILED]:.2f}" if COMPILED in result.prepare else "-",
            f"{result.peak_bytes / 1e6:.1f}" if result.peak_bytes else "-",
        ]
        for result in results
    ]


def whole_table(results: Sequence[Result]) -> list[list[str]]:
    """Head and rows: milliseconds of calls that take and give numpy arrays."""
    names = list(dict.fromkeys(name for result in results for name in result.end_to_end))
    rows = [["", "threads", *(f"{name} ms" for name in names)]]
    for result in results:
        times = [result.end_to_end.get(name) for name in names]
        cells = ["-" if t is None else f"{t.median * 1e3:.4g}" for t in times]
        rows.append([result.name, str(result.threads), *cells])
    return rows


def call_table(results: Sequence[Result]) -> list[list[str]]:
    """Head and rows: microseconds of calls of a model that does nothing, from numpy arrays to
    numpy arrays where there are such."""
    names = list(dict.fromkeys(name for r in results for name in (*r.engines, *r.end_to_end)))
    rows = [["call", "threads", "limit us", *(f"{name} us" for name in names)]]
    for result in results:
        limit = "-" if result.limit is None else f"{result.limit * 1e6:g}"
        cells = []
        for name in names:
            times = result.end_to_end.get(name) or result.engines.get(name)
            cells.append("-" if times is None else f"{times.median * 1e6:.3g}")
        rows.append([result.name, str(result.threads), limit, *cells])
    return rows


def ceiling_table(results: Sequence[Result]) -> list[list[str]]:
    """Head and rows: rates of the machine's ceilings, a column for each number of threads."""
    counts = sorted({result.threads for result in results})
    rates: dict[str, dict[int, str]] = {}
    for result in results:
        if COMPILED in result.engines:
            rate = (result.flops or result.bytes) / result.engines[COMPILED].median / 1e9
            unit = "GFLOP/s" if result.flops else "GB/s"
            name = result.name.removeprefix("ceiling ")
            rates.setdefault(name, {})[result.threads] = f"{rate:.1f} {unit}"
    head = ["ceiling", *(f"{n} thread{'s' * (n > 1)}" for n in counts)]
    return [head] + [[name, *(found.get(n, "-") for n in counts)] for name, found in rates.items()]


def means(results: Sequence[Result]) -> str:
    """The geometric mean of time over the fastest peer's, by group and number of threads, and the
    rows that are slower."""
    lines: list[str] = []
    keys = dict.fromkeys((r.group, r.threads) for r in results if r.ratio is not None)
    for group, threads in keys:
        ratios = {
            r.name: r.ratio
            for r in results
            if (r.group, r.threads) == (group, threads) and r.ratio is not None
        }
        mean = exp(sum(map(log, ratios.values())) / len(ratios))
        behind = [f"{name} ({ratio:.2f})" for name, ratio in ratios.items() if ratio > 1]
        slower = f"; slower: {', '.join(behind)}" if behind else ""
        lines.append(
            f"{group}, {threads} threads: {mean:.2f} of the fastest peer's time"
            f" (geometric mean of {len(ratios)}){slower}"
        )
    return "\n".join(lines)


def errors(results: Sequence[Result]) -> str:
    """A line for each engine that failed on a row, and for each that is missing."""
    lines = [
        f"{result.name}, {result.threads} threads: {name}: {said}"
        for result in results
        for name, said in result.errors.items()
    ]
    missing = {f"{name} is {said}" for result in results for name, said in result.missing.items()}
    return "\n".join([*lines, *sorted(missing)])


def line(result: Result) -> str:
    """A result in short, for those who watch."""
    times = ", ".join(f"{n} {t.median * 1e3:.4g}" for n, t in result.engines.items())
    failed = "".join(f", {name} failed" for name in result.errors)
    ratio = "" if result.ratio is None else f" ({result.ratio:.2f} of the fastest peer)"
    return f"{result.name}, {result.threads} threads: {times} ms{ratio}{failed}"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first row the head; all columns but the first to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(cells, widths) for cells in (rows[0], rule, *rows[1:]))


def machine() -> dict[str, object]:
    """The machine the benchmark ran on."""
    return {
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
    }


def own_versions(version: str) -> dict[str, str]:
    """Versions of what we are made of."""
    return {
        "tensorkiln": version,
        "llvmlite": llvmlite.__version__,
        "numpy": np.__version__,
        "python": sys.version.split()[0],
    }


def spread(times: Times | None) -> str:
    """Half the distance of the quartiles, relative to the median."""
    if times is None or times.calls < 2:
        return "-"
    return f"±{(times.high - times.low) / 2 / times.median:.0%}"


def _engines(results: Sequence[Result]) -> list[str]:
    names = (name for result in results for name in (*result.engines, *result.errors))
    return list(dict.fromkeys(names))


def _milliseconds(result: Result, name: str) -> str:
    if name in result.engines:
        return f"{result.engines[name].median * 1e3:.4g}"
    return "failed" if name in result.errors else "-"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return f"| {' | '.join([first, *rest])} |"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
