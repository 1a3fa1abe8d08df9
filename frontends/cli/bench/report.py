"""Results as a table for people and as JSON."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import llvmlite
import numpy as np

from tensorkiln.frontends.cli.bench.measure import Result, Times


def table(results: Sequence[Result]) -> str:
    """A Markdown table: milliseconds (median), and shares of the ceiling."""
    peers = [name for name in _engines(results) if name not in ("compiled", "interpreted")]
    head = ["", "threads", "compiled ms", "spread", "of peak", "interpreted ms"]
    head += [f"{name} ms" for name in peers]
    head += ["compile s", "memory MB"]
    rows = [
        [
            result.name,
            str(result.threads),
            _milliseconds(result, "compiled"),
            _spread(result.engines.get("compiled")),
            "-" if result.share is None else f"{result.share:.0%}",
            *(_milliseconds(result, name) for name in ("interpreted", *peers)),
            f"{result.prepare['compiled']:.2f}",
            f"{result.peak_bytes / 1e6:.1f}",
        ]
        for result in results
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(cells, widths) for cells in (head, rule, *rows))


def rates(results: Sequence[Result]) -> str:
    """The best rate of each ceiling that was measured, by number of threads."""
    best: dict[tuple[int, str], float] = {}
    for result in results:
        for name, times in result.ceilings.items():
            key = (result.threads, name)
            work = result.bytes or result.flops
            best[key] = max(best.get(key, 0), work / times.median / 1e9)
    units = {"fma_peak": "GFLOP/s"}
    texts = [
        f"{name} {rate:.0f} {units.get(name, 'GB/s')} ({threads} threads)"
        for (threads, name), rate in sorted(best.items())
    ]
    return "ceilings: " + ", ".join(texts) if texts else ""


def errors(results: Sequence[Result]) -> list[str]:
    """A line for each engine that failed on a row."""
    return [
        f"{result.name}, {result.threads} threads: {name}: {text}"
        for result in results
        for name, text in result.errors.items()
    ]


def as_json(results: Sequence[Result], versions: Mapping[str, str]) -> dict[str, object]:
    """Everything: machine, versions, and results in seconds."""
    rows = [{**asdict(result), "share": result.share} for result in results]
    return {"machine": machine(), "versions": dict(versions), "results": rows}


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


def _engines(results: Sequence[Result]) -> list[str]:
    names = (name for result in results for name in (*result.engines, *result.errors))
    return list(dict.fromkeys(names))


def _milliseconds(result: Result, name: str) -> str:
    if name in result.engines:
        return f"{result.engines[name].median * 1e3:.3f}"
    return "failed" if name in result.errors else "-"


def _spread(times: Times | None) -> str:
    """Half the distance of the quartiles, relative to the median."""
    if times is None or times.calls < 2:
        return "-"
    return f"±{(times.high - times.low) / 2 / times.median:.0%}"


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
