"""What a call costs: of a Session, and of the C function of an artifact, on a trivial model."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tensorkiln.benchmarks import micro
from tensorkiln.compiler.codegen.artifact import write_artifact
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.pipeline import compile_function
from tensorkiln.frontends.cli.bench.engines import Timed, on_processors
from tensorkiln.frontends.cli.bench.result import COMPILED, INTERPRETED, Result, Times
from tensorkiln.frontends.graph.config import ConfigProto
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.ops_constant import placeholder
from tensorkiln.frontends.graph.session import Session
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.errors import TensorKilnError

SESSION_LIMIT = 10e-6
C_LIMIT = 0.2e-6
_SECONDS = 0.1
_CALLS = 10_000
_CALLS_A_SAMPLE = 10_000

_PROGRAM = r"""
#define _POSIX_C_SOURCE 199309L
#include "trivial.h"
#include <stdio.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

int main(void) {
  float x[4] = {1, 2, 3, 4}, y[4];
  trivial_inputs inputs = {0};
  trivial_outputs outputs = {0};
  inputs.x = x;
  outputs.y = y;
  for (int sample = 0; sample < ROUNDS; ++sample) {
    double begin = now();
    for (int call = 0; call < CALLS; ++call)
      if (trivial_run(&inputs, &outputs, NULL, THREADS)) return 1;
    printf("%.12g\n", (now() - begin) / CALLS);
  }
  return y[3] == 5 ? 0 : 2;
}
"""


def session_overhead(threads: int, rounds: int, processors: Sequence[int]) -> Result:
    """Session.run of one addition, fed and fetched."""
    result = Result("overhead_session", threads, "overhead", limit=SESSION_LIMIT)
    fed = np.arange(4, dtype=np.float32)
    for name, interpreted in ((COMPILED, False), (INTERPRETED, True)):
        graph = Graph()
        with graph.as_default():
            x = placeholder(np.float32, [4])
            y = x + 1.0
        config = ConfigProto(intra_op_parallelism_threads=threads, interpreted=interpreted)
        samples: list[float] = []
        with Session(graph=graph, config=config) as session, on_processors(processors[:threads]):
            feeds: dict[object, object] = {x: fed}
            found = session.run(y, feeds)
            if not np.array_equal(np.asarray(found), fed + 1):
                result.errors[name] = f"gave {found}"
                continue
            call = Timed(lambda run=session.run, y=y, feeds=feeds: run(y, feeds))  # type: ignore[misc]
            for _ in range(rounds):
                samples += call.times(_SECONDS, _CALLS)
        result.engines[name] = Times.of(samples)
    return result


def c_overhead(threads: int, rounds: int, processors: Sequence[int]) -> Result:
    """The model's C function, called by a C program that is made for it."""
    result = Result("overhead_c", threads, "overhead", limit=C_LIMIT)
    compiler = shutil.which("cc")
    if compiler is None:
        result.errors["c"] = "there is no C compiler `cc` on this machine"
        return result
    function = import_model(micro.trivial(), name="trivial")
    with tempfile.TemporaryDirectory(prefix="tensorkiln-") as name:
        folder = Path(name)
        host = target_named("host")
        write_artifact(compile_function(function), host, folder / "trivial.so", prefix="trivial")
        (folder / "main.c").write_text(_PROGRAM, encoding="ascii")
        sizes = (f"-DROUNDS={20 * rounds}", f"-DCALLS={_CALLS_A_SAMPLE}", f"-DTHREADS={threads}")
        command = [compiler, "-O2", *sizes, "main.c", "./trivial.so", "-Wl,-rpath,.", "-o", "main"]
        _output([*command, "-lm", "-lpthread"], folder)
        with on_processors(processors[:threads]):
            times = [float(line) for line in _output(["./main"], folder).split()]
    result.engines[COMPILED] = Times.of(times[len(times) // 10 :])
    return result


def _output(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TensorKilnError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr}")
    return done.stdout
