"""Our own engines: compiled code, the interpreter, and ceilings."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tensorkiln.compiler.codegen.ceilings import copy_ceiling, fma_ceiling, read_ceiling
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.pipeline import compile_function
from tensorkiln.frontends.cli.bench.peers.worker import timed
from tensorkiln.runtime.compiled import Compiled, aligned_bytes
from tensorkiln.runtime.executable import Executable, Memory
from tensorkiln.runtime.feeds import address
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.manifest import TensorSpec

Array = npt.NDArray[Any]
_MOST_COPIED = 1 << 28  # bytes that a ceiling's arrays take; for more the time is scaled
_LEAST_COPIED = 1 << 16


class Engine(Protocol):
    """Something that runs a row's model again and again on the same bound arrays."""

    def times(self, seconds: float, most: int) -> list[float]:
        """Seconds of single calls, at most so many and for about so long."""
        ...


class Timed:
    """An engine that is a Python function."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call

    def times(self, seconds: float, most: int) -> list[float]:
        """See Engine."""
        return timed(self._call, seconds, most)


class CompiledEngine:
    """Our compiled code; `compile_seconds` is what compiling took."""

    def __init__(
        self, function: Function, feeds: Mapping[str, Array], target: str = "host"
    ) -> None:
        start = time.perf_counter()
        self._compiled = compile_function(function, target)
        self.executable = load_compiled(self._compiled)
        self.compile_seconds = time.perf_counter() - start
        self._feeds = feeds
        self._inputs = [aligned_copy(feeds[spec.name]) for spec in self.executable.inputs]
        self.outputs = [aligned_empty(spec) for spec in self.executable.outputs]

    @property
    def flops(self) -> int:
        """Arithmetic of one call, as the compiler counted it."""
        return self.executable.cost().flops

    @property
    def least_bytes(self) -> int:
        """What a call reads and writes at least: inputs, outputs and constants, each once."""
        memory = self.memory
        return memory.inputs + memory.outputs + memory.constants

    @property
    def memory(self) -> Memory:
        """What a call needs."""
        return self.executable.memory()

    def with_threads(self, threads: int) -> Engine:
        """Calls on bound arrays with this number of threads."""
        return BoundEngine(self.executable, [*self._inputs, *self.outputs], threads)

    def end_to_end(self, threads: int) -> Engine:
        """Calls on numpy arrays, whose results are new arrays."""
        # A number of threads given with each call would be resolved anew in each call.
        executable, feeds = load_compiled(self._compiled, threads), self._feeds
        return Timed(lambda: executable.run(feeds))


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

    def __init__(self, compiled: Compiled, threads: int, work: int, name: str = "") -> None:
        executable = load_compiled(compiled)
        self.name = name or executable.manifest.model
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


def ceilings(
    flops: int, moved: int, threads: int, *, only_read: bool = False, levels: Sequence[str] = ()
) -> list[Ceiling]:
    """The ceilings of a row: multiply-adds, here and for the targets `levels`, and as many bytes
    read, or read and written."""
    host = target_named("host")
    found: list[Ceiling] = []
    if flops:
        found.append(Ceiling(fma_ceiling(host), threads, flops))
        found += [
            Ceiling(fma_ceiling(target_named(level)), threads, flops, f"fma_peak {level}")
            for level in levels
        ]
    if moved:
        used = min(max(moved, _LEAST_COPIED), _MOST_COPIED)
        if only_read:
            kinds = [read_ceiling(host, used // 4)]
        else:
            kinds = [copy_ceiling(host, used // 8, streaming) for streaming in (False, True)]
        found += [Ceiling(compiled, threads, moved) for compiled in kinds]
    return found


@contextmanager
def on_processors(processors: Sequence[int]) -> Iterator[None]:
    """Keeps the calling thread on these processors for a while."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def aligned_copy(array: Array) -> Array:
    """A dense copy that starts at a multiple of 64."""
    copy: Array = aligned_bytes(array.nbytes).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def aligned_empty(spec: TensorSpec) -> Array:
    """An array for an input or output that starts at a multiple of 64."""
    empty: Array = aligned_bytes(spec.bytes).view(spec.numpy).reshape(spec.shape)
    return empty
