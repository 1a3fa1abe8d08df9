"""`tensorkiln profile`: where a model's time goes, kernel by kernel."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tensorkiln.frontends.cli.arrays import read_inputs
from tensorkiln.frontends.cli.profile import Profile, Timing, profile
from tensorkiln.frontends.cli.profile_html import page
from tensorkiln.frontends.cli.progress import Progress
from tensorkiln.frontends.cli.usage import (
    Commands,
    UsageError,
    add_dims,
    add_json,
    add_threads,
    dims_of,
    named_files,
)
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.manifest import TensorSpec

_LONGEST_NODES = 48


def add(commands: Commands) -> argparse.ArgumentParser:
    """Adds the command's arguments."""
    parser = commands.add_parser(
        "profile",
        help="time a model's kernels and compare them with what the machine can do",
        description="Compiles an ONNX model for this machine with a clock around every kernel, runs"
        " it for a while, and prints for each kernel the median time, its share, and the shares it"
        " reaches of the multiply-add peak (f32) and of the rate of copying in memory. Data that"
        " stays in caches can be read faster than it can be copied in memory: over 100%.",
    )
    parser.add_argument("model", help="an ONNX file")
    parser.add_argument(
        "arrays", nargs="*", metavar="FILE",
        help="inputs: .npz by name, .npy in the model's order (others: random)",
    )  # fmt: skip
    parser.add_argument(
        "-i", "--input", action="append", default=[], metavar="NAME=FILE.npy", dest="named",
        help="one input by name; may be repeated",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs (default: 0)")
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="how long to run the model (default: 2)"
    )
    parser.add_argument(
        "--trace", type=Path, metavar="FILE.json",
        help="write the last runs as a Chrome trace (chrome://tracing, ui.perfetto.dev)",
    )  # fmt: skip
    parser.add_argument(
        "--html", type=Path, metavar="FILE.html",
        help="write a report with the graph of kernels; one file, no network",
    )  # fmt: skip
    add_dims(parser)
    add_threads(parser)
    add_json(parser)
    return parser


def run(options: Any) -> int:
    """Profiles and prints."""
    if not 0 < options.seconds <= 3600:
        raise UsageError("--seconds must be more than 0 and at most 3600")
    with Progress(options.verbose) as progress:
        progress.step(f"reading {options.model}")
        name = Path(options.model).stem
        function = import_model(options.model, dims=dims_of(options), name=name)
        specs = [TensorSpec(v.name, v.shape, v.dtype.name) for v in function.parameters]
        feeds = read_inputs(specs, options.arrays, named_files(options.named), options.seed)
        progress.step("compiling and running")
        found = profile(function, feeds, options.threads, options.seconds)
    if options.trace is not None:
        options.trace.write_text(json.dumps(chrome_trace(found)), encoding="utf-8")
    if options.html is not None:
        options.html.write_text(page(found), encoding="utf-8")
    print(json.dumps(_report(found)) if options.json else table(found))
    return 0


def _report(found: Profile) -> dict[str, object]:
    report = asdict(found)
    del report["spans"]
    return report


def table(found: Profile) -> str:
    """The kernels, the longest first, and a line on the whole."""
    head = ("ms", "share", "GFLOP/s", "of peak", "GB/s", "of copy", "kernel", "nodes")
    rows: list[tuple[str, ...]] = [head]
    rows += [_row(t) for t in sorted(found.timings, key=lambda t: -t.seconds)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(width) if k < 6 else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    between = found.between / found.seconds if found.seconds else 0.0
    lines.append(
        f"{found.model}: {found.plain * 1e3:.3f} ms a run ({found.seconds * 1e3:.3f} with clocks,"
        f" {between:.1%} between kernels), {found.threads} threads, median of {found.runs} runs;"
        f" peak {found.peak / 1e9:.0f} GFLOP/s, copying {found.copying / 1e9:.1f} GB/s"
    )
    return "\n".join(lines)


def _row(t: Timing) -> tuple[str, ...]:
    nodes = ", ".join(t.nodes)
    if len(nodes) > _LONGEST_NODES:
        nodes = nodes[: _LONGEST_NODES - 3] + "..."
    per_second = t.runs / t.seconds / 1e9 if t.seconds else 0.0
    return (
        f"{t.seconds * 1e3:.4f}", f"{t.share:.1%}", f"{t.flops * per_second:.1f}", f"{t.peak:.0%}",
        f"{t.bytes * per_second:.1f}", f"{t.bandwidth:.0%}", t.kernel, nodes,
    )  # fmt: skip


def chrome_trace(found: Profile) -> dict[str, object]:
    """Events of the kept runs, one after the other, in the Trace Event Format (times in us)."""
    events: list[dict[str, object]] = []
    begin = 0.0
    for number, spans in enumerate(found.spans):
        end = max((span.end for span in spans), default=0) * 1e-3
        events.append(
            {"name": f"run {number}", "ph": "X", "ts": begin, "dur": end, "pid": 0, "tid": 0}
        )
        for span in spans:
            t = found.timings[span.call]
            taken = max(span.end - span.start, 1)
            events.append(
                {
                    "name": t.kernel, "cat": "kernel", "ph": "X", "pid": 0, "tid": 0,
                    "ts": begin + span.start * 1e-3, "dur": taken * 1e-3,
                    "args": {
                        "nodes": ", ".join(t.nodes), "GFLOP/s": t.flops / taken,
                        "GB/s": t.bytes / taken, "call": t.number,
                    },
                }
            )  # fmt: skip
        begin += end + 10.0
    return {"traceEvents": events, "displayTimeUnit": "ns"}
