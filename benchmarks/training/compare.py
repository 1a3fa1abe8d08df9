"""Training steps of five networks, compiled and by other engines, in turns.

    python -m tensorkiln.benchmarks.training.compare --threads 1,2 --peers all \\
        --peer-python PYTHON --peer-python tensorflow=PYTHON -o training.json

A step is forward, backward and update, fed a numpy minibatch, its loss read back. All engines
start with the same parameters, and before they are timed their first losses are compared with
those of interpreted mode. The JSON is that of `tensorkiln bench`, whose --merge reads it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

import tensorkiln as tf
from tensorkiln.benchmarks.training.networks import ROWS, Row
from tensorkiln.benchmarks.training.profile import function_of
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.pipeline import manifest_of, optimize_function
from tensorkiln.compiler.schedules.program import lower_function
from tensorkiln.frontends.cli.arrays import write_archive
from tensorkiln.frontends.cli.bench.engines import Timed, ceilings
from tensorkiln.frontends.cli.bench.measure import Options, difference, feeds_for, kernels_of
from tensorkiln.frontends.cli.bench.peer import Peer, PeerError, pythons_of, start_peers
from tensorkiln.frontends.cli.bench.report import Report, line, machine, own_versions, text
from tensorkiln.frontends.cli.bench.result import COMPILED, INTERPRETED, Result, Times
from tensorkiln.frontends.cli.bench.turns import Contestant, take_turns
from tensorkiln.frontends.cli.progress import Progress

PEERS = ("jax", "torch_eager", "torch_compile", "tensorflow", "tensorflow_xla")
_FOLDER = Path(__file__).parent
_COMPARED = 4  # losses, as many as peers/losses.py gives
_TOLERANCE = 2e-3
_DROPOUT_TOLERANCE = 0.3  # where engines draw masks of their own
_DROPOUT = ("cnn_b128",)
_LONGEST_INTERPRETED = 0.5

Array = np.ndarray


class Step:
    """A session that trains a row's network from given parameters."""

    def __init__(self, row: Row, threads: int, interpreted: bool, start: Sequence[Array]) -> None:
        graph = tf.Graph()
        with graph.as_default():
            tf.set_random_seed(1)
            training = row.build(tf)
            initializer = tf.global_variables_initializer()
            variables = tf.trainable_variables()
        config = tf.ConfigProto(intra_op_parallelism_threads=threads, interpreted=interpreted)
        self._session = tf.Session(graph=graph, config=config)
        self._session.run(initializer)
        for variable, value in zip(variables, start, strict=False):
            variable.load(value, self._session)
        self.parameters = [np.array(v) for v in self._session.run(variables)]
        images, labels = row.data()
        self._feeds = {training.images: images, training.labels: labels}
        self._fetches = [training.train, training.loss]

    def __call__(self) -> float:
        """One step; the loss before its update."""
        return float(self._session.run(self._fetches, self._feeds)[1])

    def losses(self) -> Array:
        """The losses of the next steps."""
        return np.array([self() for _ in range(_COMPARED)])


class Training:
    """A row with its reference, to be timed with several numbers of threads."""

    def __init__(self, row: Row, folder: Path, progress: Progress) -> None:
        self.row = row
        self._progress = progress
        progress.step(f"{row.name}: interpreting")
        interpreted = Step(row, 1, True, ())
        self.parameters = interpreted.parameters
        start = time.perf_counter()
        self.reference = interpreted.losses()
        self._interpreted_seconds = (time.perf_counter() - start) / _COMPARED
        self._inputs, self._outputs = folder / "inputs.npz", folder / "outputs.npz"
        images, labels = row.data()
        named = {f"parameter{k}": value for k, value in enumerate(self.parameters)}
        with self._inputs.open("wb") as file:
            write_archive(file, {"images": images, "labels": labels, **named})
        progress.step(f"{row.name}: lowering")
        self._function: Function = function_of(row)
        host = target_named("host")
        program = lower_function(optimize_function(self._function), host)
        self._manifest = manifest_of(self._function, program, host)

    def run(
        self, threads: int, peers: Sequence[Peer], missing: Mapping[str, str], rounds: int
    ) -> Result:
        """Times all engines in turns."""
        row, used = self.row, Options().processors[:threads]
        result = Result(
            f"train_{row.name}", threads, "training", self._manifest.flops, 0,
            self._manifest.peak_bytes, missing=dict(missing),
        )  # fmt: skip
        contestants: list[Contestant] = []
        self._progress.step(f"{row.name}: compiling")
        start = time.perf_counter()
        ours = Step(row, threads, False, self.parameters)
        losses = ours.losses()
        result.prepare[COMPILED] = time.perf_counter() - start
        if self._agrees(result, COMPILED, losses):
            contestants.append(Contestant(COMPILED, Timed(ours).times))
        if self._interpreted_seconds < _LONGEST_INTERPRETED:
            interpreted = Step(row, threads, True, self.parameters)
            contestants.append(Contestant(INTERPRETED, Timed(interpreted).times))
        else:
            result.engines[INTERPRETED] = Times.of([self._interpreted_seconds])
        for peer in peers:
            self._progress.step(f"{row.name}: preparing {peer.name}")
            try:
                (losses,), seconds = peer.prepare(row.name, self._inputs, self._outputs)
            except PeerError as error:
                result.errors[peer.name] = str(error)
                continue
            result.prepare[peer.name] = seconds
            if self._agrees(result, peer.name, losses):
                contestants.append(Contestant(peer.name, peer.times, peer.process))
        bounds = [Contestant(c.name, c.times) for c in ceilings(result.flops, 0, threads)]
        started: Callable[[int], None] = lambda number: self._progress.step(  # noqa: E731
            f"{row.name}, {threads} threads: round {number + 1}"
        )
        failed, result.rest = take_turns([*contestants, *bounds], rounds, used, started)
        result.errors.update(failed)
        result.engines.update({c.engine: c.times for c in contestants if c.engine not in failed})
        result.ceilings = {c.engine: c.times for c in bounds}
        for peer in peers:
            peer.release()
        if result.ratio is not None and result.ratio > 1:
            result.kernels = kernels_of(self._function, feeds_for(self._function), threads, used)
        return result

    def _agrees(self, result: Result, name: str, losses: Array) -> bool:
        """Whether the first losses are those of interpreted mode."""
        worst = difference([np.asarray(losses)], [self.reference])
        result.differences[name] = worst
        masks = self.row.name in _DROPOUT and name != COMPILED
        if worst <= (_DROPOUT_TOLERANCE if masks else _TOLERANCE):
            return True
        result.errors[name] = f"losses {losses.tolist()} differ from {self.reference.tolist()}"
        return False


def main(words: Sequence[str] | None = None) -> int:
    """Prints a table; 1 if compiled steps are wrong."""
    options = _parser().parse_args(words)
    if options.peers == ["all"]:
        options.peers = list(PEERS)
    unknown = [name for name in options.peers if name not in PEERS]
    if unknown:
        _parser().error(f"--peers {','.join(unknown)}: there are {', '.join(PEERS)}, and all")
    rows = [r for r in ROWS if any(fnmatchcase(r.name, p) for p in options.rows or ["*"])]
    if not rows:
        _parser().error(f"no such rows; there are {', '.join(row.name for row in ROWS)}")
    report = Report(machine(), own_versions(tf.__version__))
    for path in options.merge:
        report.merge(path)
    with Progress(options.verbose) as progress, ExitStack() as stack:
        _measure(rows, options, report, progress, stack)
    print(text(report))
    return int(any(result.wrong for result in report.results))


def _measure(
    rows: Sequence[Row], options: Any, report: Report, progress: Progress, stack: ExitStack
) -> None:
    known = {(result.name, result.threads) for result in report.results}
    pythons = pythons_of(options.peer_python, PEERS)
    if "tensorflow" in pythons:
        pythons.setdefault("tensorflow_xla", pythons["tensorflow"])
    peers: dict[int, tuple[list[Peer], dict[str, str]]] = {}
    for row in rows:
        counts = [n for n in options.threads if (f"train_{row.name}", n) not in known]
        for count in counts:
            if count not in peers:
                progress.step(f"starting other engines for {count} threads")
                folders = [_FOLDER / "peers", _FOLDER]
                peers[count] = start_peers(
                    options.peers, count, pythons, Options().processors, folders
                )
                for peer in peers[count][0]:
                    stack.callback(peer.close)
                    report.versions[peer.name] = peer.version
        with tempfile.TemporaryDirectory(prefix="tensorkiln-") as folder:
            training = Training(row, Path(folder), progress) if counts else None
            for count in counts:
                assert training is not None
                result = training.run(count, *peers[count], options.repeat)
                report.results.append(result)
                progress.step(line(result))
                if options.output is not None:
                    options.output.write_text(json.dumps(report.as_json(), indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tensorkiln.benchmarks.training.compare",
        description="Milliseconds of training steps, compiled and by other engines, in turns.",
    )
    parser.add_argument("rows", nargs="*", help="names or patterns of rows; all by default")
    parser.add_argument("--threads", type=_numbers, default=[1], metavar="N,...")
    parser.add_argument(
        "--peers", type=lambda given: given.split(","), default=[], metavar="NAME,...",
        help=f"all, or some of {', '.join(PEERS)}",
    )  # fmt: skip
    parser.add_argument(
        "--peer-python", action="append", default=[], metavar="[NAME=]PYTHON",
        help="where other engines, or the one named, are installed (default: this Python)",
    )  # fmt: skip
    parser.add_argument("--repeat", type=int, default=7, metavar="N", help="rounds of turns")
    parser.add_argument("-o", "--output", type=Path, help="save JSON after every row")
    parser.add_argument(
        "--merge", action="append", type=Path, default=[], metavar="FILE",
        help="take over the results of a JSON file: rows in it are not measured again",
    )  # fmt: skip
    parser.add_argument("-v", "--verbose", action="store_true", help="tell each step on stderr")
    return parser


def _numbers(given: str) -> list[int]:
    counts = [int(part) for part in given.split(",")]
    most = len(Options().processors)
    if not all(0 < count <= most for count in counts):
        raise argparse.ArgumentTypeError(f"{given!r}: this process may use {most} processors")
    return counts


if __name__ == "__main__":
    raise SystemExit(main())
