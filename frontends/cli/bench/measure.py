"""Measures one row: all engines and ceilings in turns, after their answers were compared."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tensorkiln.benchmarks.suite import Row
from tensorkiln.compiler.ir.function import Function
from tensorkiln.frontends.cli.arrays import draw, write_archive
from tensorkiln.frontends.cli.bench.engines import (
    Array,
    CompiledEngine,
    Engine,
    InterpretedEngine,
    Peer,
    PeerError,
    ceilings,
)
from tensorkiln.frontends.cli.progress import Progress
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.manifest import TensorSpec

# A turn of one engine; its calls follow each other, so caches are as warm as in a loop.
_TURN_SECONDS = 0.1
_TURN_CALLS = 50
_PAUSE_SECONDS = 0.01  # in which threads of the engine before fall asleep
_LONGEST_INTERPRETED = 0.5


@dataclass(frozen=True)
class Times:
    """Median and quartiles of single calls, in seconds."""

    median: float
    low: float
    high: float
    calls: int

    @staticmethod
    def of(samples: Sequence[float]) -> Times:
        """From single times."""
        low, median, high = np.percentile(samples, [25, 50, 75]).tolist()
        return Times(median, low, high, len(samples))


@dataclass
class Result:
    """One row with one number of threads.

    `engines` has "compiled", "interpreted" and peers; `ceilings` the least times by kind of
    ceiling; `errors` what went wrong, by engine; `differences` from the reference, relative to its
    largest element; `prepare` the seconds that each took before the first call.
    """

    name: str
    threads: int
    flops: int
    bytes: int
    peak_bytes: int
    engines: dict[str, Times] = field(default_factory=dict)
    ceilings: dict[str, Times] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    prepare: dict[str, float] = field(default_factory=dict)

    @property
    def share(self) -> float | None:
        """The share of the best ceiling that compiled code reaches."""
        if not self.ceilings or "compiled" not in self.engines:
            return None
        best = min(times.median for times in self.ceilings.values())
        return best / self.engines["compiled"].median

    @property
    def wrong(self) -> bool:
        """Whether compiled code differs from the reference."""
        return "compiled" in self.errors


class Measurement:
    """A row's model, compiled and interpreted once, to be timed with several thread counts."""

    def __init__(self, row: Row, folder: Path, dims: Mapping[str, int], progress: Progress) -> None:
        self._row = row
        self._progress = progress
        progress.step(f"{row.name}: making the model")
        model = row.model()
        self._model = folder / "model.onnx"
        self._model.write_bytes(model.SerializeToString())
        function = import_model(model, dims=dims, name=row.name)
        self._feeds = feeds_for(function)
        self._inputs = folder / "inputs.npz"
        with self._inputs.open("wb") as file:
            write_archive(file, self._feeds)
        self._outputs = folder / "outputs.npz"
        progress.step(f"{row.name}: interpreting")
        self._interpreted = InterpretedEngine(function, self._feeds)
        self.reference = self._interpreted.outputs
        progress.step(f"{row.name}: compiling")
        self._compiled = CompiledEngine(function, self._feeds)

    def run(self, threads: int, peers: Sequence[Peer], rounds: int) -> Result:
        """Times all engines in turns, one turn each in every round."""
        row, compiled = self._row, self._compiled
        flops = row.flops or (0 if row.bytes else compiled.flops)
        result = Result(row.name, threads, flops, row.bytes, compiled.memory.peak)
        result.prepare["compiled"] = compiled.compile_seconds
        engines: dict[str, Engine] = {}
        ours = compiled.with_threads(threads)
        ours.times(0, 1)
        if self._check(result, "compiled", compiled.outputs):
            engines["compiled"] = ours
        if self._interpreted.first_seconds < _LONGEST_INTERPRETED:
            engines["interpreted"] = self._interpreted
        else:
            result.engines["interpreted"] = Times.of([self._interpreted.first_seconds])
        for peer in peers:
            self._progress.step(f"{row.name}: preparing {peer.name}")
            if self._prepare(result, peer):
                engines[peer.name] = peer
        bounds = {ceiling.name: ceiling for ceiling in ceilings(flops, row.bytes, threads)}
        samples: dict[str, list[float]] = {name: [] for name in (*engines, *bounds)}
        for number in range(rounds):
            self._progress.step(f"{row.name}, {threads} threads: round {number + 1} of {rounds}")
            for name, engine in (*engines.items(), *bounds.items()):
                if name in result.errors:
                    continue
                time.sleep(_PAUSE_SECONDS)
                try:
                    samples[name] += engine.times(_TURN_SECONDS, _TURN_CALLS)
                except PeerError as error:
                    result.errors[name] = str(error)
        timed = [name for name in engines if name not in result.errors]
        result.engines.update({name: Times.of(samples[name]) for name in timed})
        result.ceilings = {name: Times.of(samples[name]) for name in bounds}
        for peer in peers:
            peer.release()
        return result

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
        worst = 0.0
        for found, wanted in zip(outputs, self.reference, strict=True):
            scale = float(np.abs(wanted).max(initial=0)) or 1.0
            gap = np.abs(found.astype(np.float64) - wanted.astype(np.float64)).max(initial=0)
            worst = max(worst, float(gap) / scale) if np.isfinite(gap) else float("inf")
        result.differences[name] = worst
        if worst > self._row.tolerance:
            result.errors[name] = (
                f"differs from the reference by {worst:.1e} of its largest element"
            )
            return False
        return True


def feeds_for(function: Function) -> dict[str, Array]:
    """Random inputs, the same every time."""
    generator = np.random.default_rng(0)
    specs = [TensorSpec(v.name, v.shape, v.dtype.name) for v in function.parameters]
    return {spec.name: draw(spec, generator) for spec in specs}
