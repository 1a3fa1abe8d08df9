"""How long the functions of a shared object take, whole: its kernels have no clocks in them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tensorkiln.frontends.cli.arrays import Array
from tensorkiln.frontends.cli.profile import machine_rates
from tensorkiln.frontends.cli.verify_training import some_feeds
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.manifest import Manifest
from tensorkiln.runtime.open_executable import OpenExecutable
from tensorkiln.runtime.trainer import Trainer

_MOST_RUNS = 100_000


@dataclass(frozen=True, slots=True)
class FunctionTime:
    """The median time of a call, and the work that the compiler counted for one.

    `peak` and `bandwidth` are the shares of what the machine can do; all four are 0 for calls with
    other sizes than the largest, whose work is not known.
    """

    name: str
    runs: int
    seconds: float
    flops: int
    bytes: int
    peak: float
    bandwidth: float
    kernels: int


@dataclass(frozen=True, slots=True)
class ArtifactProfile:
    """The functions of a shared object; rates as in `Profile`."""

    model: str
    threads: int
    peak: float
    copying: float
    functions: tuple[FunctionTime, ...]


def profile_artifact(
    model: Executable | OpenExecutable | Trainer,
    feeds: Mapping[str, Array],
    seconds: float,
    largest: bool,
) -> ArtifactProfile:
    """Runs every function for about `seconds`, a trained one from its initial state.

    `largest` tells that the feeds have the largest sizes, for which work is counted.
    """
    peak, copying = machine_rates(model.threads)
    calls: list[tuple[str, Manifest, Callable[[], object]]]
    if isinstance(model, Trainer):
        step = some_feeds(feeds, model.train_inputs)
        predict = some_feeds(feeds, model.predict_inputs)
        model.init()
        calls = [
            ("train_step", model.manifest.step, lambda: model.train_step(step)),
            ("predict", model.manifest.predict, lambda: model.predict(predict)),
        ]
        name = model.manifest.artifact.prefix
    else:
        calls = [("run", model.manifest, lambda: model.run(feeds))]
        name = model.manifest.model
    timed = [_timed(*call, seconds / len(calls), peak, copying, largest) for call in calls]
    return ArtifactProfile(name, model.threads, peak, copying, tuple(timed))


def _timed(
    name: str,
    manifest: Manifest,
    call: Callable[[], object],
    seconds: float,
    peak: float,
    copying: float,
    largest: bool,
) -> FunctionTime:
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or (time.perf_counter() < end and len(times) < _MOST_RUNS):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    median = float(np.median(times))
    flops, moved = (manifest.flops, manifest.bytes) if largest else (0, 0)
    return FunctionTime(
        name, len(times), median, flops, moved, flops / median / peak, moved / median / copying,
        len(manifest.kernels),
    )  # fmt: skip


def artifact_table(found: ArtifactProfile) -> str:
    """A line a function, and where the times of kernels are to be had."""
    lines = []
    for f in found.functions:
        rates = ""
        if f.flops or f.bytes:
            rates = (
                f"  {f.flops / f.seconds / 1e9:.1f} GFLOP/s ({f.peak:.0%} of peak),"
                f" {f.bytes / f.seconds / 1e9:.1f} GB/s ({f.bandwidth:.0%} of copying)"
            )
        lines.append(
            f"{f.name:<10}  {f.seconds * 1e3:.4f} ms, median of {f.runs} runs,"
            f" {f.kernels} kernels{rates}"
        )
    lines.append(
        f"{found.model}: {found.threads} threads; peak {found.peak / 1e9:.0f} GFLOP/s, copying"
        f" {found.copying / 1e9:.1f} GB/s. Times of kernels: profile the ONNX file"
    )
    return "\n".join(lines)
