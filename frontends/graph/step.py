"""One function of a session, ready to be called on arrays in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from tensorkiln.compiler.cache import default_cache
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.pipeline import jit
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.runtime.compiled import Compiled
from tensorkiln.runtime.jit import load_compiled


class Step(Protocol):
    """A callable function with one array bound to each parameter and each result.

    Positions count the parameters first, then the results.  Arrays are dense and of the exact
    type.  An aliased result has its parameter's array.  Not for two threads at once.
    """

    def bind(self, position: int, array: Array) -> None:
        """Uses `array` for a parameter or a result from now on."""
        ...

    def run(self) -> None:
        """Computes the results into their arrays."""
        ...


MakeStep: TypeAlias = Callable[[Function], Step]


class InterpretedStep:
    """Runs the reference interpreter."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._split = len(function.parameters)
        self._arrays: list[Array] = [np.empty(0)] * (self._split + len(function.results))

    def bind(self, position: int, array: Array) -> None:
        """See Step."""
        self._arrays[position] = array

    def run(self) -> None:
        """See Step."""
        parameters, targets = self._arrays[: self._split], self._arrays[self._split :]
        # Results may be views of parameters that are about to be overwritten.
        results = [
            np.array(r) if any(np.may_share_memory(r, p) for p in parameters) else r
            for r in evaluate(self._function, parameters)
        ]
        for result, target in zip(results, targets, strict=True):
            np.copyto(target, result)


class CompiledStep:
    """Calls compiled code by pointers."""

    def __init__(self, function: Function, threads: int) -> None:
        executable = jit(function, threads, default_cache())
        self._frame = executable.frame()
        count = len(function.parameters) + len(function.results)
        self._alive: list[Array] = [np.empty(0)] * count
        self.run = self._frame.call
        self._bind = self._frame.bind

    def bind(self, position: int, array: Array) -> None:
        """See Step."""
        self._alive[position] = array
        self._bind(position, array)


class OpenStep:
    """Calls code for a range of sizes by pointers; the sizes lie behind the parameters."""

    def __init__(self, compiled: Compiled, threads: int) -> None:
        executable = load_compiled(compiled, threads)
        assert executable.manifest.sizes is not None
        self.sizes = executable.manifest.sizes
        self.parameters = len(self.sizes.inputs)
        self._scalars = [np.zeros((), np.int32) for _ in self.sizes.ranges]
        self._frame = executable.frame()
        count = len(executable.manifest.inputs) + len(executable.manifest.outputs)
        self._alive: list[Array] = [np.empty(0)] * count
        for number, scalar in enumerate(self._scalars):
            self.bind(self.parameters + number, scalar)
        self.run = self._frame.call

    def bind(self, position: int, array: Array) -> None:
        """Sets the array of a parameter or, behind them and the sizes, of a result."""
        self._alive[position] = array
        self._frame.bind(position, array)

    def tell(self, sizes: Mapping[str, int]) -> None:
        """The sizes of the calls that follow."""
        for size, scalar in zip(self.sizes.ranges, self._scalars, strict=True):
            scalar[...] = sizes[size.name]


@dataclass(frozen=True, slots=True)
class CompiledSteps:
    """Makes steps of compiled code with this number of threads (0: all processors)."""

    threads: int

    def __call__(self, function: Function) -> Step:
        """A step for one function."""
        return CompiledStep(function, self.threads)

    def open(self, compiled: Compiled) -> OpenStep:
        """A step for code that takes a range of sizes."""
        return OpenStep(compiled, self.threads)


def step_maker(interpreted: bool, threads: int) -> MakeStep:
    """How a session with these options makes its steps."""
    return InterpretedStep if interpreted else CompiledSteps(threads)
