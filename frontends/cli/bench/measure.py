"""Measures one row: all engines and ceilings in turns, after their answers were compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tensorkiln.benchmarks.suite import Row
from tensorkiln.compiler.ir.function import Function
from tensorkiln.frontends.cli.arrays import draw, write_archive
from tensorkiln.frontends.cli.bench.engines import (
    Array,
    CompiledEngine,
    InterpretedEngine,
    ceilings,
    on_processors,
)
from tensorkiln.frontends.cli.bench.peer import Peer, PeerError
from tensorkiln.frontends.cli.bench.rest import wait_for_rest
from tensorkiln.frontends.cli.bench.result import (
    COMPILED,
    INTERPRETED,
    KernelTime,
    Point,
    Result,
    Times,
)
from tensorkiln.frontends.cli.profile import profile
from tensorkiln.frontends.cli.progress import Progress
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.errors import TensorKilnError
from tensorkiln.runtime.manifest import TensorSpec

# A turn of one engine; its calls follow each other, so caches are as warm as in a loop.
_TURN_SECONDS = 0.1
_TURN_CALLS = 300
_LONGEST_INTERPRETED = 0.5
_PROFILE_SECONDS = 0.5
_KERNELS = 5

# times(seconds, most) of one engine in one form
_Turn = Callable[[float, int], list[float]]


@dataclass(frozen=True)
class Options:
    """How rows are measured.

    `processors` are those of which N threads use the first N; `levels` the other targets whose
    code is measured too; `end_to_end` asks for calls on numpy arrays as well.
    """

    rounds: int = 7
    processors: tuple[int, ...] = tuple(sorted(os.sched_getaffinity(0)))
    levels: tuple[str, ...] = ()
    end_to_end: bool = False


@dataclass
class _Contestant:
    """An engine in one form (`whole`: from numpy to numpy), and its samples."""

    engine: str
    turn: _Turn
    process: int
    whole: bool = False
    samples: list[float] = field(default_factory=list)


class Measurement:
    """A row's model, compiled and interpreted once, to be timed with several thread counts."""

    def __init__(
        self, row: Row, folder: Path, dims: Mapping[str, int], progress: Progress,
        options: Options | None = None,
    ) -> None:  # fmt: skip
        self._row = row
        self._progress = progress
        self._options = options or Options()
        self._whole = self._options.end_to_end or row.group == "overhead"
        progress.step(f"{row.name}: making the model")
        model = row.model()
        self._model = folder / "model.onnx"
        self._model.write_bytes(model.SerializeToString())
        self._function = import_model(model, dims=dims, name=row.name)
        self._feeds = feeds_for(self._function)
        self._inputs = folder / "inputs.npz"
        with self._inputs.open("wb") as file:
            write_archive(file, self._feeds)
        self._outputs = folder / "outputs.npz"
        progress.step(f"{row.name}: interpreting")
        self._interpreted = InterpretedEngine(self._function, self._feeds)
        self.reference = self._interpreted.outputs
        self._compiled: dict[str, CompiledEngine] = {}
        self._failed: dict[str, str] = {}
        for target in ("host", *self._options.levels):
            name = COMPILED if target == "host" else f"{COMPILED} {target}"
            progress.step(f"{row.name}: compiling for {target}")
            try:
                self._compiled[name] = CompiledEngine(self._function, self._feeds, target)
            except TensorKilnError as error:
                self._failed[name] = str(error)

    def run(self, threads: int, peers: Sequence[Peer], missing: Mapping[str, str]) -> Result:
        """Times all engines in turns, one turn each in every round.

        `missing` says of peers that are not there why not.
        """
        result = self._result(threads)
        contestants = self._own(result, threads)
        for peer in peers:
            self._progress.step(f"{result.name}: preparing {peer.name}")
            if self._prepare(result, peer):
                contestants.append(_Contestant(peer.name, peer.times, peer.process))
                if self._whole:
                    whole = peer.end_to_end_times
                    contestants.append(_Contestant(peer.name, whole, peer.process, True))
        bounds = [
            _Contestant(bound.name, bound.times, os.getpid())
            for bound in ceilings(
                result.flops, result.bytes, threads,
                # What models move is mostly their weights.
                only_read=self._row.only_read or not (self._row.flops or self._row.bytes),
                levels=self._options.levels,
            )
        ]  # fmt: skip
        self._rounds(result, [*contestants, *bounds], peers)
        for c in contestants:
            if c.engine not in result.errors:
                into = result.end_to_end if c.whole else result.engines
                into[c.engine] = Times.of(c.samples)
        result.ceilings = {c.engine: Times.of(c.samples) for c in bounds}
        for peer in peers:
            peer.release()
        result.missing.update(missing)
        if result.ratio is not None and result.ratio > 1:
            result.kernels = self._kernels(threads)
        return result

    def _result(self, threads: int) -> Result:
        row, compiled = self._row, self._compiled.get(COMPILED)
        result = Result(row.name, threads, row.group, row.flops, row.bytes)
        result.limit = row.limit or None
        if row.series:
            result.point = Point(row.series, row.axis, row.x)
        if compiled is not None:
            result.peak_bytes = compiled.memory.peak
            if not row.flops and not row.bytes:
                result.flops, result.bytes = compiled.flops, compiled.least_bytes
        result.errors.update(self._failed)
        return result

    def _own(self, result: Result, threads: int) -> list[_Contestant]:
        """Our code, for each target, and the interpreter."""
        found: list[_Contestant] = []
        for name, compiled in self._compiled.items():
            result.prepare[name] = compiled.compile_seconds
            ours = compiled.with_threads(threads)
            ours.times(0, 1)
            if self._check(result, name, compiled.outputs):
                found.append(_Contestant(name, ours.times, os.getpid()))
                if self._whole:
                    whole = compiled.end_to_end(threads).times
                    found.append(_Contestant(name, whole, os.getpid(), True))
        if self._interpreted.first_seconds < _LONGEST_INTERPRETED:
            found.append(_Contestant(INTERPRETED, self._interpreted.times, os.getpid()))
        else:
            result.engines[INTERPRETED] = Times.of([self._interpreted.first_seconds])
        return found

    def _rounds(
        self, result: Result, contestants: Sequence[_Contestant], peers: Sequence[Peer]
    ) -> None:
        """All turns; after each, its engine's process comes to rest before the next."""
        used = self._options.processors[: result.threads]
        for process in {os.getpid(), *(peer.process for peer in peers)}:
            wait_for_rest(process)
        rests: dict[str, list[float]] = {}
        for number in range(self._options.rounds):
            self._progress.step(
                f"{result.name}, {result.threads} threads:"
                f" round {number + 1} of {self._options.rounds}"
            )
            for c in contestants:
                if c.engine in result.errors:
                    continue
                try:
                    with on_processors(used):
                        c.samples += c.turn(_TURN_SECONDS, _TURN_CALLS)
                except PeerError as error:
                    result.errors[c.engine] = str(error)
                    continue
                rests.setdefault(c.engine, []).append(wait_for_rest(c.process))
        result.rest = {name: float(np.median(seconds)) for name, seconds in rests.items()}

    def _prepare(self, result: Result, peer: Peer) -> bool:
        try:
            outputs, seconds = peer.prepare(self._model, self._inputs, self._outputs)
        except PeerError as error:
            result.errors[peer.name] = str(error)
            return False
        result.prepare[peer.name] = seconds
        return self._check(result, peer.name, outputs)

    def _check(self, result: Result, name: str, outputs: Sequence[Array]) -> bool:
        """Whether outputs are the reference's but for rounding."""
        worst = difference(outputs, self.reference)
        result.differences[name] = worst
        if worst > self._row.tolerance:
            result.errors[name] = (
                f"differs from the reference by {worst:.1e} of its largest element"
            )
            return False
        return True

    def _kernels(self, threads: int) -> list[KernelTime]:
        """The kernels that take longest."""
        self._progress.step(f"{self._row.name}: timing kernels")
        with on_processors(self._options.processors[:threads]):
            found = profile(self._function, self._feeds, threads, _PROFILE_SECONDS)
        longest = sorted(found.timings, key=lambda t: -t.seconds)[:_KERNELS]
        return [
            KernelTime(t.kernel, ", ".join(t.nodes), t.seconds, t.share, t.peak, t.bandwidth)
            for t in longest
        ]


def difference(outputs: Sequence[Array], reference: Sequence[Array]) -> float:
    """The largest difference of any output, relative to its reference's largest element."""
    worst = 0.0
    for found, wanted in zip(outputs, reference, strict=True):
        if found.shape != wanted.shape:
            return float("inf")
        scale = float(np.abs(wanted).max(initial=0)) or 1.0
        gap = np.abs(found.astype(np.float64) - wanted.astype(np.float64)).max(initial=0)
        worst = max(worst, float(gap) / scale) if np.isfinite(gap) else float("inf")
    return worst


def feeds_for(function: Function) -> dict[str, Array]:
    """Random inputs, the same every time."""
    generator = np.random.default_rng(0)
    specs = [TensorSpec(v.name, v.shape, v.dtype.name) for v in function.parameters]
    return {spec.name: draw(spec, generator) for spec in specs}
