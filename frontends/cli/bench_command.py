"""`tensorkiln bench`: compiled models against interpreted mode and other engines."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import onnx

from tensorkiln import __version__
from tensorkiln.benchmarks.suite import SUITE, Row
from tensorkiln.frontends.cli.bench.engines import PEERS, Peer, start_peers
from tensorkiln.frontends.cli.bench.measure import Measurement, Result
from tensorkiln.frontends.cli.bench.report import as_json, errors, own_versions, rates, table
from tensorkiln.frontends.cli.progress import Progress
from tensorkiln.frontends.cli.usage import (
    Commands,
    UsageError,
    add_dims,
    add_json,
    dims_of,
    threads,
)
from tensorkiln.frontends.onnx.load import load_model


def add(commands: Commands) -> argparse.ArgumentParser:
    """Adds the command's arguments."""
    parser = commands.add_parser(
        "bench",
        help="measure compiled models beside interpreted mode and installed engines",
        description="Runs rows of the suite, or ONNX files, by compiled code, by the interpreter"
        " and by other engines, in turns. Times are medians of single calls; `of peak` is the share"
        " of what this machine reaches with multiply-adds or copies alone, measured in the same"
        " turns. Answers are compared with the interpreter's first; the exit code is 1 if compiled"
        " code is wrong.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="rows of the suite, or ONNX files (default: all)"
    )
    parser.add_argument("--list", action="store_true", help="print the names of the suite's rows")
    parser.add_argument(
        "--threads", type=_counts, default=[1], metavar="N,...",
        help="numbers of threads, such as 1,2 (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--peers", type=_names, default=[], metavar="NAME,...",
        help=f"other engines to measure, of {', '.join(PEERS)}; those not installed are left out",
    )  # fmt: skip
    parser.add_argument(
        "--peer-python", metavar="PYTHON",
        help="the Python in which the other engines are installed (default: this one)",
    )  # fmt: skip
    parser.add_argument("--repeat", type=_positive, default=7, metavar="N", help="rounds of turns")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="also save JSON to FILE")
    add_dims(parser)
    add_json(parser)
    return parser


def run(options: Any) -> int:
    """Measures and prints; 1 if compiled code is wrong somewhere."""
    if options.list:
        print("\n".join(row.name for row in SUITE))
        return 0
    unknown = [name for name in options.peers if name not in PEERS]
    if unknown:
        raise UsageError(f"--peers {','.join(unknown)}: there are {', '.join(PEERS)}")
    rows = _rows(options.names)
    if options.output is not None and not options.output.parent.is_dir():
        raise UsageError(f"--output {options.output}: its folder does not exist")
    versions = own_versions(__version__)
    with Progress(options.verbose) as progress:
        results = _measure(rows, options, versions, progress)
    report = json.dumps(as_json(results, versions), indent=1)
    if options.output is not None:
        _write(options.output, report)
    if options.json:
        print(report)
    else:
        print("\n".join(filter(None, [table(results), "", rates(results), *errors(results)])))
    return int(any(result.wrong for result in results))


def _measure(
    rows: Sequence[Row], options: Any, versions: dict[str, str], progress: Progress
) -> list[Result]:
    peers: dict[int, list[Peer]] = {}
    results: list[Result] = []
    try:
        for count in options.threads:
            progress.step("starting other engines")
            peers[count] = start_peers(options.peers, count, options.peer_python)
            versions.update({peer.name: peer.version for peer in peers[count]})
        for row in rows:
            with tempfile.TemporaryDirectory(prefix="tensorkiln-") as folder:
                measurement = Measurement(row, Path(folder), dims_of(options), progress)
                results += [
                    measurement.run(count, peers[count], options.repeat)
                    for count in options.threads
                ]
    finally:
        for peer in (peer for found in peers.values() for peer in found):
            peer.close()
    return results


def _rows(names: Sequence[str]) -> list[Row]:
    known = {row.name: row for row in SUITE}
    found = []
    for name in names or known:
        if name.endswith(".onnx"):
            load_model(name)  # its errors are told before anything is measured
            found.append(Row(Path(name).stem, partial(onnx.load, name)))
        elif name in known:
            found.append(known[name])
        else:
            raise UsageError(f"the suite has no row {name!r}; see `tensorkiln bench --list`")
    return found


def _write(path: Path, text: str) -> None:
    """Writes the file whole or not at all."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        part.write_text(text + "\n", encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _counts(text: str) -> list[int]:
    counts = [threads(part) for part in text.split(",")]
    if 0 in counts or len(set(counts)) != len(counts):
        raise argparse.ArgumentTypeError(f"{text!r}: numbers of threads, each once")
    return counts


def _names(text: str) -> list[str]:
    return [name for name in dict.fromkeys(text.split(",")) if name]


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000")
    return int(text)
