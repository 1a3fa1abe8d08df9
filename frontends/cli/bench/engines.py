"""What is measured: compiled code, the interpreter, ceilings, and other engines."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tensorkiln.compiler.codegen.ceilings import copy_ceiling, fma_ceiling
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.pipeline import compile_function
from tensorkiln.frontends.cli.bench.peers.worker import timed
from tensorkiln.runtime.compiled import Compiled, aligned_bytes
from tensorkiln.runtime.errors import TensorKilnError
from tensorkiln.runtime.executable import Executable, Memory
from tensorkiln.runtime.feeds import address
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.manifest import TensorSpec

Array = npt.NDArray[Any]
PEERS = ("onnxruntime", "openvino", "torch", "jax")
_SECONDS_TO_END = 5
_PEERS_FOLDER = Path(__file__).with_name("peers")


class Engine(Protocol):
    """Something that runs a row's model again and again on the same bound arrays."""

    def times(self, seconds: float, most: int) -> list[float]:
        """Seconds of single calls, at most so many and for about so long."""
        ...


class PeerError(Exception):
    """A peer cannot run a model; the message is its own."""


class CompiledEngine:
    """Our compiled code; `compile_seconds` is what compiling took."""

    def __init__(self, function: Function, feeds: Mapping[str, Array]) -> None:
        start = time.perf_counter()
        compiled = compile_function(function)
        self._executable = load_compiled(compiled)
        self.compile_seconds = time.perf_counter() - start
        self._inputs = [aligned_copy(feeds[spec.name]) for spec in self._executable.inputs]
        self.outputs = [aligned_empty(spec) for spec in self._executable.outputs]

    @property
    def flops(self) -> int:
        """Arithmetic of one call, as the compiler counted it."""
        return self._executable.cost().flops

    @property
    def memory(self) -> Memory:
        """What a call needs."""
        return self._executable.memory()

    def with_threads(self, threads: int) -> Engine:
        """Calls with this number of threads."""
        return BoundEngine(self._executable, [*self._inputs, *self.outputs], threads)


class BoundEngine:
    """An executable with its arrays bound."""

    def __init__(self, executable: Executable, arrays: Sequence[Array], threads: int) -> None:
        self._frame = executable.frame(threads)
        self._arrays = arrays
        self._frame.set_pointers([address(array) for array in arrays])

    def times(self, seconds: float, most: int) -> list[float]:
        """See Engine."""
        return timed(self._frame.call, seconds, most)


class InterpretedEngine:
    """The reference interpreter, whose first run gives the reference outputs."""

    def __init__(self, function: Function, feeds: Mapping[str, Array]) -> None:
        self._function = function
        self._arrays = [feeds[value.name] for value in function.parameters]
        start = time.perf_counter()
        self.outputs = [np.asarray(array) for array in evaluate(function, self._arrays)]
        self.first_seconds = time.perf_counter() - start

    def times(self, seconds: float, most: int) -> list[float]:
        """See Engine."""
        return timed(lambda: evaluate(self._function, self._arrays), seconds, most)


class Ceiling:
    """The least time for so many flops or bytes, by a kernel that does nothing else."""

    def __init__(self, compiled: Compiled, threads: int, work: int) -> None:
        executable = load_compiled(compiled)
        self.name = executable.manifest.model
        done = executable.manifest.flops or executable.manifest.bytes
        self._factor = work / done
        specs = (*executable.inputs, *executable.outputs)
        self.arrays = [aligned_empty(spec) for spec in specs]
        for number, array in enumerate(self.arrays):
            array.fill(0.5 - number)
        self._bound = BoundEngine(executable, self.arrays, threads)

    def times(self, seconds: float, most: int) -> list[float]:
        """See Engine; the times that the row's work would take at this rate."""
        return [time * self._factor for time in self._bound.times(seconds, most)]


def ceilings(flops: int, moved: int, threads: int) -> list[Ceiling]:
    """The ceilings of a row: copies of as many bytes as it moves, or multiply-adds."""
    host = target_named("host")
    if moved:
        kinds = [copy_ceiling(host, moved // 8, streaming) for streaming in (False, True)]
        return [Ceiling(compiled, threads, moved) for compiled in kinds]
    return [Ceiling(fma_ceiling(host), threads, flops)] if flops else []


class Peer:
    """Another engine in a process of its own, for one number of threads."""

    def __init__(self, name: str, threads: int, python: str) -> None:
        self.name = name
        self._threads = threads
        self._process = subprocess.Popen(
            [python, str(_PEERS_FOLDER / "worker.py"), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.version = str(self._ask({"do": "version"})["version"])

    def prepare(self, model: Path, inputs: Path, outputs: Path) -> tuple[list[Array], float]:
        """Loads a model and runs it once; its outputs, and the seconds that this took."""
        request = {
            "do": "prepare", "model": str(model), "inputs": str(inputs), "outputs": str(outputs),
            "threads": self._threads,
        }  # fmt: skip
        seconds = float(self._ask(request)["seconds"])
        with np.load(outputs) as archive:
            return [archive[name] for name in archive.files], seconds

    def times(self, seconds: float, most: int) -> list[float]:
        """See Engine."""
        answer = self._ask({"do": "time", "seconds": seconds, "most": most})
        return [float(value) for value in answer["times"]]

    def release(self) -> None:
        """Frees the model."""
        with contextlib.suppress(PeerError):
            self._ask({"do": "release"})

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _ask(self, request: dict[str, object]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError as error:
            raise PeerError(f"its process ended: {error}") from error
        if not line:
            raise PeerError("its process ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer


def start_peers(names: Sequence[str], threads: int, python: str | None) -> list[Peer]:
    """The peers that are installed; TensorKilnError if `python` cannot be started."""
    found = []
    for name in names:
        try:
            found.append(Peer(name, threads, python or sys.executable))
        except PeerError:
            continue
        except OSError as error:
            raise TensorKilnError(f"--peer-python {python}: cannot be started: {error}") from error
    return found


def aligned_copy(array: Array) -> Array:
    """A dense copy that starts at a multiple of 64."""
    copy: Array = aligned_bytes(array.nbytes).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def aligned_empty(spec: TensorSpec) -> Array:
    """An array for an input or output that starts at a multiple of 64."""
    empty: Array = aligned_bytes(spec.bytes).view(spec.numpy).reshape(spec.shape)
    return empty
