"""`tensorkiln profile`: where a model's time goes, kernel by kernel."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tensorkiln.frontends.cli.commands import HELP, UsageError
from tensorkiln.frontends.cli.profile import Profile, Timing, profile
from tensorkiln.frontends.cli.profile_artifact import artifact_table, profile_artifact
from tensorkiln.frontends.cli.profile_html import page
from tensorkiln.frontends.cli.progress import Progress
from tensorkiln.frontends.cli.usage import (
    Commands,
    add_dims,
    add_inputs,
    add_json,
    add_threads,
    add_training,
    check_folder,
    check_training,
    dims_of,
    feeds_of,
    model_and_feeds,
    sizes_at,
)
from tensorkiln.frontends.cli.verify_training import trained_inputs
from tensorkiln.runtime.load import load
from tensorkiln.runtime.trainer import Trainer

_LONGEST_NODES = 48


def add(commands: Commands) -> argparse.ArgumentParser:
    """Adds the command's arguments."""
    parser = commands.add_parser(
        "profile",
        help=HELP["profile"],
        description="Compiles an ONNX model for this machine with a clock around every kernel, runs"
        " it for a while, and prints for each kernel the median time, its share, and the shares it"
        " reaches of the multiply-add peak (f32) and of the rate of copying in memory. Data that"
        " stays in caches can be read faster than it can be copied in memory: over 100%. Of a shared"
        " object, whose kernels have no clocks, it times the calls.",
    )
    parser.add_argument("model", help="an ONNX file, or a shared object made by `compile`")
    add_inputs(parser)
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
    add_training(parser, "profile the training step made of the model")
    add_dims(parser)
    add_threads(parser)
    add_json(parser)
    return parser


def run(options: Any) -> int:
    """Profiles and prints."""
    check_training(options)
    if not 0 < options.seconds <= 3600:
        raise UsageError("--seconds must be more than 0 and at most 3600")
    if options.model.endswith(".so"):
        return _artifact(options)
    check_folder(options.trace)
    check_folder(options.html)
    with Progress(options.verbose) as progress:
        progress.step(f"reading {options.model}")
        function, feeds = model_and_feeds(options, Path(options.model).stem)
        progress.step("compiling and running")
        found = profile(function, feeds, options.threads, options.seconds)
    if options.trace is not None:
        options.trace.write_text(json.dumps(chrome_trace(found)), encoding="utf-8")
    if options.html is not None:
        options.html.write_text(page(found), encoding="utf-8")
    print(json.dumps(_report(found)) if options.json else table(found))
    return 0


def _artifact(options: Any) -> int:
    """Times the functions of a shared object."""
    if options.train or options.trace is not None or options.html is not None:
        raise UsageError("--train, --trace and --html are for ONNX models, not for shared objects")
    model = load(options.model, options.threads)
    dims = dims_of(options)
    if isinstance(model, Trainer):
        specs = list(trained_inputs(model, dims).values())
        manifest = model.manifest
        most = {s.name: s for s in (*manifest.step.inputs, *manifest.predict.inputs)}
        largest = all(most[spec.name] == spec for spec in specs)
    else:
        specs = list(sizes_at(model, dims)[0])
        largest = specs == list(model.manifest.inputs[: len(specs)])
    with Progress(options.verbose) as progress:
        progress.step("running")
        found = profile_artifact(model, feeds_of(options, specs), options.seconds, largest)
    print(json.dumps(asdict(found)) if options.json else artifact_table(found))
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
