"""Measures one row: all engines and ceilings in turns, after their answers were compared."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from tensorkiln.frontends.cli.bench.result import (
    COMPILED,
    INTERPRETED,
    KernelTime,
    Point,
    Result,
    Times,
)
from tensorkiln.frontends.cli.bench.turns import Contestant, in_order, shares, take_turns
from tensorkiln.frontends.cli.profile import profile
from tensorkiln.frontends.cli.progress import Progress
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.errors import TensorKilnError
from tensorkiln.runtime.manifest import TensorSpec

_LONGEST_INTERPRETED = 0.5
_PROFILE_SECONDS = 0.5
_KERNELS = 5


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
        row, result = self._row, self._result(threads)
        contestants = self._own(result, threads)
        for peer in peers:
            self._progress.step(f"{result.name}: preparing {peer.name}")
            if self._prepare(result, peer):
                contestants.append(Contestant(peer.name, peer.times, peer.process))
                if self._whole:
                    whole = peer.end_to_end_times
                    contestants.append(Contestant(peer.name, whole, peer.process, whole=True))
        bounds = [
            Contestant(bound.name, bound.times)
            for bound in ceilings(
                result.flops, result.bytes, threads,
                # What models move is mostly their weights.
                only_read=row.only_read or not (row.flops or row.bytes),
                levels=self._options.levels,
            )
        ]  # fmt: skip
        failed, result.rest = take_turns(
            in_order(contestants, bounds), self._options.rounds, self._options.processors[:threads],
            lambda number: self._progress.step(f"{row.name}, {threads} threads: round {number + 1}"),
        )  # fmt: skip
        result.errors.update(failed)
        for c in contestants:
            if c.engine not in failed:
                (result.end_to_end if c.whole else result.engines)[c.engine] = c.times
        result.ceilings = {c.engine: c.times for c in bounds}
        result.shares = shares(contestants, bounds)
        for peer in peers:
            peer.release()
        result.missing.update(missing)
        if result.ratio is not None and result.ratio > 1:
            self._progress.step(f"{row.name}: timing kernels")
            used = self._options.processors[:threads]
            result.kernels = kernels_of(self._function, self._feeds, threads, used)
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

    def _own(self, result: Result, threads: int) -> list[Contestant]:
        """Our code, for each target, and the interpreter."""
        found: list[Contestant] = []
        for name, compiled in self._compiled.items():
            result.prepare[name] = compiled.compile_seconds
            ours = compiled.with_threads(threads)
            ours.times(0, 1)
            if self._check(result, name, compiled.outputs):
                found.append(Contestant(name, ours.times))
                if self._whole:
                    whole = compiled.end_to_end(threads).times
                    found.append(Contestant(name, whole, whole=True))
        if self._interpreted.first_seconds < _LONGEST_INTERPRETED:
            found.append(Contestant(INTERPRETED, self._interpreted.times))
        else:
            result.engines[INTERPRETED] = Times.of([self._interpreted.first_seconds])
        return found

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


def kernels_of(
    function: Function, feeds: Mapping[str, Array], threads: int, processors: Sequence[int]
) -> list[KernelTime]:
    """The kernels that take longest."""
    with on_processors(processors):
        found = profile(function, feeds, threads, _PROFILE_SECONDS)
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
