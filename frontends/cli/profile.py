"""Times of a compiled model's kernels, and how near they come to what the machine can do."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.codegen.ceilings import copy_ceiling, fma_ceiling
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.kernel.program import Call, Program
from tensorkiln.compiler.pipeline import generate, lower
from tensorkiln.frontends.cli.arrays import Array
from tensorkiln.frontends.cli.bench.engines import BoundEngine, aligned_copy, aligned_empty
from tensorkiln.runtime.compiled import Compiled
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.feeds import address
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.trace import Trace

_EVENTS = 1 << 20
_COPIED_FLOATS = 1 << 23  # 32 MB each way: past the caches of one core
_CEILING_SECONDS = 0.3
KEPT_RUNS = 10


@dataclass(frozen=True, slots=True)
class Span:
    """One run of a call in one run of the model: nanoseconds since the model started."""

    call: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Timing:
    """One call of a kernel.

    `seconds` is the median over the runs of what the call took in a run (summed up where it is in
    a loop), `share` its part of all. `after` are the calls whose results it reads.
    """

    number: int
    kernel: str
    nodes: tuple[str, ...]
    operations: tuple[str, ...]
    runs: float
    seconds: float
    share: float
    flops: int
    bytes: int
    peak: float
    bandwidth: float
    after: tuple[int, ...]
    results: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """A model's kernels in order.

    `seconds` is the median of a whole run with the hooks, `between` its part outside of kernels,
    `plain` a run without hooks. `peak` is the machine's multiply-add rate in operations a second,
    `copying` its rate of bytes read and written, with `threads` threads. `spans` are the events of
    the last runs, a list a run.
    """

    model: str
    threads: int
    runs: int
    seconds: float
    plain: float
    between: float
    peak: float
    copying: float
    timings: tuple[Timing, ...]
    spans: tuple[tuple[Span, ...], ...]


def profile(
    function: Function, feeds: Mapping[str, Array], threads: int, seconds: float
) -> Profile:
    """Runs the model for about `seconds` on `feeds` and times its kernels."""
    host = target_named("host")
    stages = lower(function, host, traced=True)
    trace = Trace(_EVENTS)
    traced = load_compiled(generate(function, stages, host), threads, trace.symbols)
    plain = load_compiled(generate(function, lower(function, host), host), threads)
    unclocked = BoundEngine(plain, _arrays(plain, feeds), 0)
    totals, runs = _measure(traced, trace, feeds, seconds)
    peak, copying = machine_rates(traced.threads)
    calls = stages.program.calls
    taken = _durations(runs, len(calls))
    gaps = [total - row.sum() for total, (row, _) in zip(totals, taken, strict=True)]
    medians = np.median([row for row, _ in taken], axis=0)
    counts = np.median([row for _, row in taken], axis=0)
    return Profile(
        model=function.name,
        threads=traced.threads,
        runs=len(totals),
        seconds=float(np.median(totals)),
        plain=float(np.median(unclocked.times(seconds / 4, 1000))),
        between=float(np.median(gaps)),
        peak=peak,
        copying=copying,
        timings=_timings(stages.program, stages.fused, medians, counts, peak, copying),
        spans=tuple(tuple(run) for run in runs[-KEPT_RUNS:]),
    )


def _arrays(executable: Executable, feeds: Mapping[str, Array]) -> list[Array]:
    """Arrays for the inputs and the outputs; state is updated in place."""
    inputs = [aligned_copy(feeds[spec.name]) for spec in executable.inputs]
    outputs = [
        aligned_empty(spec) if spec.alias is None else inputs[spec.alias]
        for spec in executable.outputs
    ]
    return [*inputs, *outputs]


def _measure(
    executable: Executable, trace: Trace, feeds: Mapping[str, Array], seconds: float
) -> tuple[list[float], list[list[Span]]]:
    """Seconds of single runs, and their spans."""
    arrays = _arrays(executable, feeds)
    frame = executable.frame()
    frame.set_pointers([address(array) for array in arrays])
    frame.call()
    totals: list[float] = []
    runs: list[list[Span]] = []
    end = time.perf_counter() + seconds
    while not totals or (time.perf_counter() < end and len(totals) < 10_000):
        trace.start()
        begin = time.perf_counter()
        frame.call()
        totals.append(time.perf_counter() - begin)
        runs.append(_spans(trace.events()))
    return totals, runs


def _spans(events: NDArray[np.int64]) -> list[Span]:
    """Events come in pairs: calls do not nest."""
    pairs = events[: len(events) // 2 * 2].reshape(-1, 4)
    if not len(pairs):
        return []
    origin = int(pairs[0, 1])
    return [Span(int(p[0]) // 2, int(p[1]) - origin, int(p[3]) - origin) for p in pairs]


def _durations(
    runs: Sequence[Sequence[Span]], calls: int
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """For each run, the seconds of each call and how often it ran."""
    found = []
    for run in runs:
        seconds, counts = np.zeros(calls), np.zeros(calls)
        for span in run:
            seconds[span.call] += (span.end - span.start) * 1e-9
            counts[span.call] += 1
        found.append((seconds, counts))
    return found


def machine_rates(threads: int) -> tuple[float, float]:
    """Multiply-add operations and copied bytes a second that this machine reaches."""
    host = target_named("host")
    copies = [copy_ceiling(host, _COPIED_FLOATS, streaming) for streaming in (False, True)]
    copying = max(_rate(compiled, compiled.manifest.bytes, threads) for compiled in copies)
    fma = fma_ceiling(host)
    return _rate(fma, fma.manifest.flops, threads), copying


def _rate(compiled: Compiled, work: int, threads: int) -> float:
    executable = load_compiled(compiled, threads)
    arrays = [aligned_empty(spec) for spec in (*executable.inputs, *executable.outputs)]
    for array in arrays:
        array.fill(0.5)
    return work / min(BoundEngine(executable, arrays, threads).times(_CEILING_SECONDS, 100))


def _timings(
    program: Program, fused: Function, seconds: NDArray[np.float64], counts: NDArray[np.float64],
    peak: float, copying: float,
) -> tuple[Timing, ...]:  # fmt: skip
    total = float(seconds.sum()) or 1.0
    after = _sources(program, fused)
    timings = []
    for number, call in enumerate(program.calls):
        taken = float(seconds[number])
        runs = float(counts[number])
        operations, results = _contents(call)
        timings.append(
            Timing(
                number=number,
                kernel=program.kernels[call.kernel].name,
                nodes=call.nodes,
                operations=operations,
                runs=runs,
                seconds=taken,
                share=taken / total,
                flops=call.flops,
                bytes=call.bytes,
                peak=call.flops * runs / taken / peak if taken else 0.0,
                bandwidth=call.bytes * runs / taken / copying if taken else 0.0,
                after=after[number],
                results=results,
            )
        )
    return tuple(timings)


def _contents(call: Call) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of a group's ops, and its results with their types."""
    if call.op is None:
        return ("copy",), ()
    names = [op.name for op in call.op.regions[0].ops if op.name != "constant"]
    return tuple(names), tuple(f"%{v.name}: {v.type}" for v in call.op.results)


def _sources(program: Program, fused: Function) -> list[tuple[int, ...]]:
    """For each call, the calls that made its operands, reshapes looked through."""
    reshaped = {op.result: op.operands[0] for op in fused.ops if op.name == "reshape"}
    makers = {
        value: number
        for number, call in enumerate(program.calls)
        if call.op is not None
        for value in call.op.results
    }
    found = []
    for call in program.calls:
        sources: dict[int, None] = {}
        for value in call.op.operands if call.op is not None else ():
            root = value
            while root in reshaped and root not in makers:
                root = reshaped[root]
            if root in makers:
                sources[makers[root]] = None
        found.append(tuple(sources))
    return found
