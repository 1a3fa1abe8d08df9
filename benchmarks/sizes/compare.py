"""A model compiled for ranges of sizes beside the same model compiled for one size, in turns.

    python -m tensorkiln.benchmarks.sizes.compare mlp --dim batch=1..64 --at batch=1 --at batch=23

MODEL is an ONNX file or a generated network with an open batch (bert_base: tokens as well). The
table has the milliseconds of a call of both, and the speed of the range as a share of the other's:
by the least times and by the median of rounds in which they take turns. Results are compared too.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tensorkiln.benchmarks.models import MODELS, bert_base
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.frontends.cached import compile_onnx
from tensorkiln.frontends.onnx.load import Loaded, load_model
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.open_executable import OpenExecutable, opened

Array = np.ndarray
Run = Executable | OpenExecutable
_ROUND_SECONDS = 0.02  # of one engine, before the other has its turn


def main(words: Sequence[str] | None = None) -> int:
    """Prints the table; 1 if a size is slower than 0.9 of the static version or differs from it."""
    parser = argparse.ArgumentParser(
        prog="python -m tensorkiln.benchmarks.sizes.compare",
        description="Speed of a model for ranges of sizes beside that of the same for one size.",
    )
    parser.add_argument("model", help=f"an ONNX file, or one of {', '.join(sorted(MODELS))}")
    parser.add_argument(
        "--dim", action="append", required=True, metavar="NAME=LOW..HIGH", help="an open size"
    )
    parser.add_argument(
        "--at", action="append", required=True, metavar="NAME=N,...", help="sizes to measure"
    )
    parser.add_argument("--layers", type=int, default=12, help="of bert_base (default: 12)")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each row (default: 2)")
    parser.add_argument("--threads", type=int, default=1, help="of a call (default: 1)")
    options = parser.parse_args(words)
    source = _source(options.model, options.layers)
    ranges = {name: _range(text) for name, text in map(_pair, options.dim)}
    target = target_named("host")
    began = time.perf_counter()
    compiled = compile_onnx(source, target, dims=ranges)
    print(
        f"compiled in {time.perf_counter() - began:.0f} s: {len(compiled.object_code) / 1e6:.2f} MB"
        f" of code, {compiled.constants.nbytes / 1e6:.1f} MB of constants"
    )
    both = opened(load_compiled(compiled, options.threads))
    print(f"{'sizes':24s} {'one size ms':>11s} {'range ms':>11s} {'least':>6s} {'median':>6s}")
    status = 0
    for text in options.at:
        sizes = {name: int(size) for name, size in map(_pair, text.split(","))}
        alone = load_compiled(compile_onnx(source, target, dims=sizes), options.threads)
        arrays = _inputs(alone)
        agree = _agree(alone(*arrays), both(*arrays))
        one, other, median = _in_turns((alone, both), arrays, options.seconds)
        least = one / other
        print(
            f"{text:24s} {one * 1e3:11.4f} {other * 1e3:11.4f} {least:6.2f} {median:6.2f}"
            + ("" if agree else "  DIFFERS"),
            flush=True,
        )
        status |= not agree or max(least, median) < 0.9
    return status


def _source(name: str, layers: int) -> Loaded:
    if name == "bert_base":
        return Loaded(bert_base("batch", tokens="tokens", layers=layers), None)
    if name in MODELS:
        return Loaded(MODELS[name]("batch", 0), None)
    return Loaded(*load_model(Path(name)))


def _pair(text: str) -> tuple[str, str]:
    name, equals, rest = text.partition("=")
    if not equals or not name or not rest:
        raise SystemExit(f"{text!r}: write NAME=SIZE or NAME=LOW..HIGH")
    return name, rest


def _range(text: str) -> tuple[int, int] | int:
    low, dots, high = text.partition("..")
    return (int(low), int(high)) if dots else int(low)


def _inputs(executable: Executable) -> list[Array]:
    """Normal numbers; of integers, such as models of language take."""
    random = np.random.default_rng(0)
    return [
        random.standard_normal(spec.shape).astype(spec.numpy)
        if spec.numpy.kind == "f"
        else (
            np.ones(spec.shape) if "mask" in spec.name else random.integers(0, 1000, spec.shape)
        ).astype(spec.numpy)
        for spec in executable.inputs
    ]


def _agree(one: Sequence[Array], other: Sequence[Array]) -> bool:
    return all(
        a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-3 * max(1e-3, abs(a).max()))
        for a, b in zip(one, other, strict=True)
        if a.size
    )


def _in_turns(
    engines: tuple[Run, Run], arrays: Sequence[Array], seconds: float
) -> tuple[float, float, float]:
    """The least seconds of a call of each, and the median ratio of rounds."""
    calls = [max(1, round(_ROUND_SECONDS / _seconds(engine, arrays, 3))) for engine in engines]
    end = time.perf_counter() + seconds
    rounds: list[tuple[float, float]] = []
    while len(rounds) < 5 or time.perf_counter() < end:
        one, other = (_seconds(e, arrays, count) for e, count in zip(engines, calls, strict=True))
        rounds.append((one, other))
    least = [min(times) for times in zip(*rounds, strict=True)]
    return least[0], least[1], statistics.median(one / other for one, other in rounds)


def _seconds(engine: Run, arrays: Sequence[Array], calls: int) -> float:
    """The least time of a call."""
    best = float("inf")
    for _ in range(calls):
        began = time.perf_counter()
        engine(*arrays)
        best = min(best, time.perf_counter() - began)
    return best


if __name__ == "__main__":
    raise SystemExit(main())
