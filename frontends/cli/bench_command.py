"""`tensorkiln bench`: compiled models against interpreted mode and other engines."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tensorkiln import __version__
from tensorkiln.benchmarks.suite import Row
from tensorkiln.compiler.codegen.target import NAMES, target_named
from tensorkiln.frontends.cli.bench.html import page
from tensorkiln.frontends.cli.bench.machine_rates import machine_rates
from tensorkiln.frontends.cli.bench.measure import Measurement, Options
from tensorkiln.frontends.cli.bench.overheads import c_overhead, session_overhead
from tensorkiln.frontends.cli.bench.peer import PEERS, Peer, pythons_of, start_peers
from tensorkiln.frontends.cli.bench.report import Report, line, machine, own_versions, text
from tensorkiln.frontends.cli.bench.result import COMPILED, Result
from tensorkiln.frontends.cli.bench.rows import C_CALL, CEILINGS, SESSION, chosen, listing
from tensorkiln.frontends.cli.commands import HELP, UsageError
from tensorkiln.frontends.cli.progress import Progress
from tensorkiln.frontends.cli.usage import (
    Commands,
    add_dims,
    add_json,
    dims_of,
    threads,
)
from tensorkiln.runtime.errors import TensorKilnError
from tensorkiln.runtime.processor import missing_features

_OVERHEADS: dict[str, Callable[[int, int, Sequence[int]], Result]] = {
    SESSION: session_overhead,
    C_CALL: c_overhead,
}


def add(commands: Commands) -> argparse.ArgumentParser:
    """Adds the command's arguments."""
    parser = commands.add_parser(
        "bench",
        help=HELP["bench"],
        description="Runs rows of the suite, or ONNX files, by compiled code, by the interpreter"
        " and by other engines, in turns. Times are medians of single calls; `of peak` is the share"
        " of what this machine reaches with multiply-adds, copies or reads alone, measured in the"
        " same turns. Answers are compared with the interpreter's first; the exit code is 1 if"
        " compiled code is wrong.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME",
        help="rows of the suite, patterns of names ('light_*'), or ONNX files"
        " (default: all rows but those named growth_* and compile_*)",
    )  # fmt: skip
    parser.add_argument("--list", action="store_true", help="print the names of the suite's rows")
    parser.add_argument(
        "--threads", type=_counts, default=[1], metavar="N,...",
        help="numbers of threads, such as 1,2 (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--peers", type=_names, default=[], metavar="NAME,...",
        help=f"other engines to measure: all, or some of {', '.join(PEERS)}; those not installed"
        " are left out, and the report says so",
    )  # fmt: skip
    parser.add_argument(
        "--peer-python", action="append", default=[], metavar="[NAME=]PYTHON",
        help="the Python in which the other engines, or the one named, are installed"
        " (default: this one)",
    )  # fmt: skip
    parser.add_argument("--repeat", type=_positive, default=7, metavar="N", help="rounds of turns")
    parser.add_argument(
        "--also-target", action="append", default=[], metavar="NAME", dest="levels",
        help="measure code for another target of this machine too, such as x86-64-v3, with a"
        " multiply-add peak of its own; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--end-to-end", action="store_true",
        help="also time calls that take numpy arrays and give new ones",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="save JSON to FILE, after every row"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="save a report with curves")
    parser.add_argument(
        "--merge", action="append", type=Path, default=[], metavar="FILE",
        help="take over the results of a JSON file of this machine: rows in it are not measured"
        " again; may be repeated, and may be the file of -o",
    )  # fmt: skip
    parser.add_argument(
        "--report-only", action="store_true", help="measure nothing: report what was merged"
    )
    add_dims(parser)
    add_json(parser)
    return parser


def run(options: Any) -> int:
    """Measures and prints; 1 if compiled code is wrong somewhere."""
    if options.list:
        print(listing())
        return 0
    _check(options)
    rows = [] if options.report_only else chosen(options.names)
    report = Report(machine(), own_versions(__version__))
    for path in options.merge:
        report.merge(path)
    with Progress(options.verbose) as progress:
        _measure(rows, options, report, progress)
    if options.html is not None:
        _write(options.html, page(report))
    print(json.dumps(report.as_json(), indent=1) if options.json else text(report))
    return int(any(result.wrong for result in report.results))


def _check(options: Any) -> None:
    """UsageError for what does not fit together, before anything is measured."""
    if options.peers == ["all"]:
        options.peers = list(PEERS)
    unknown = [name for name in options.peers if name not in PEERS]
    if unknown:
        raise UsageError(f"--peers {','.join(unknown)}: there are {', '.join(PEERS)}, and all")
    for level in options.levels:
        if level not in NAMES or level == "host":
            raise UsageError(f"--also-target {level}: there are {', '.join(NAMES[1:])}")
        if missing_features(target_named(level).features):
            raise UsageError(f"--also-target {level}: this machine cannot run its code")
    for path in filter(None, (options.output, options.html)):
        if not path.parent.is_dir():
            raise UsageError(f"{path}: its folder does not exist")
    count = len(Options().processors)
    if max(options.threads) > count:
        raise UsageError(
            f"--threads {max(options.threads)}: this process may use {count} processors"
        )


def _measure(
    rows: Sequence[Row | str], options: Any, report: Report, progress: Progress
) -> None:  # fmt: skip
    how = Options(options.repeat, levels=tuple(options.levels), end_to_end=options.end_to_end)
    known = {(result.name, result.threads) for result in report.results}
    peers: dict[int, tuple[list[Peer], dict[str, str]]] = {}
    with ExitStack() as stack:
        for number, row in enumerate(rows):
            name = row if isinstance(row, str) else row.name
            counts = [n for n in options.threads if (_known_as(name), n) not in known]
            if not counts:
                continue
            for count in counts if isinstance(row, Row) else ():
                if count not in peers:
                    progress.step(f"starting other engines for {count} threads")
                    found, missing = _start(options, count, how)
                    for peer in found:
                        stack.callback(peer.close)
                        report.versions[peer.name] = peer.version
                    peers[count] = found, missing
            progress.step(f"row {number + 1} of {len(rows)}: {name}")
            for result in _results(row, counts, peers, how, dims_of(options), progress):
                report.results.append(result)
                progress.clear()
                progress.step(f"row {number + 1} of {len(rows)}: {line(result)}")
                if options.output is not None:
                    _write(options.output, json.dumps(report.as_json(), indent=1))
    if options.output is not None:
        _write(options.output, json.dumps(report.as_json(), indent=1))


def _known_as(name: str) -> str:
    """The name of a result that shows that the row was measured."""
    return "ceiling fma_peak" if name == CEILINGS else name


def _start(options: Any, count: int, how: Options) -> tuple[list[Peer], dict[str, str]]:
    pythons = pythons_of(options.peer_python, PEERS)
    return start_peers(options.peers, count, pythons, how.processors)


def _results(
    row: Row | str, counts: Sequence[int], peers: dict[int, tuple[list[Peer], dict[str, str]]],
    how: Options, dims: dict[str, int], progress: Progress,
) -> Iterator[Result]:  # fmt: skip
    """One row with all numbers of threads; what goes wrong is a result, too, and the rows that
    follow are measured all the same."""
    done: list[int] = []
    try:
        if isinstance(row, Row):
            with tempfile.TemporaryDirectory(prefix="tensorkiln-") as folder:
                measurement = Measurement(row, Path(folder), dims, progress, how)
                for count in counts:
                    yield measurement.run(count, *peers[count])
                    done.append(count)
            return
        for count in counts:
            if row == CEILINGS:
                yield from machine_rates(count, how.rounds, how.processors, how.levels)
            else:
                yield _OVERHEADS[row](count, how.rounds, how.processors)
            done.append(count)
    except Exception as error:
        name, group = (row.name, row.group) if isinstance(row, Row) else (row, "overhead")
        for count in counts[len(done) :]:
            said = str(error) if isinstance(error, TensorKilnError) else repr(error)
            yield Result(name, count, group, errors={COMPILED: said})


def _write(path: Path, content: str) -> None:
    """Writes the file whole or not at all."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        part.write_text(content + "\n", encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _counts(given: str) -> list[int]:
    counts = [threads(part) for part in given.split(",")]
    if 0 in counts or len(set(counts)) != len(counts):
        raise argparse.ArgumentTypeError(f"{given!r}: numbers of threads, each once")
    return counts


def _names(given: str) -> list[str]:
    return [name for name in dict.fromkeys(given.split(",")) if name]


def _positive(given: str) -> int:
    if not (given.isascii() and given.isdigit() and 0 < int(given) <= 1000):
        raise argparse.ArgumentTypeError(f"{given!r} is not a number from 1 to 1000")
    return int(given)
