"""Checks that need nothing but a cluster's inputs: they run before it, as a function of their own.

So the usual check, of fed labels and indices, costs the step itself nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.effects import Effect
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.step import MakeStep, OpenStep, Step

_MOST_OPS = 64
# What a step computes should not be computed before it once more.
_COSTLY = frozenset({
    "dot_general", "convolution", "recurrence", "sort", "fft", "lu", "cholesky", "eigh",
    "log_determinant", "matrix_inverse", "linear_solve", "triangular_solve", "sort_by",
    "householder_qr", "qr", "jacobi_eigen", "jacobi_svd", "svd",
})  # fmt: skip


@dataclass(frozen=True)
class Guard:
    """A function from some of the inputs (`places` among them) to the values that its checks look
    at: for each check those of the message, then whether it holds."""

    function: Function
    places: tuple[int, ...]
    checks: tuple[Effect, ...]


def split_guard(lowering: Lowering, inputs: Sequence[Value]) -> tuple[Guard | None, list[Effect]]:
    """The checks that only need few ops on inputs, and all other effects."""
    makers = {value: op for op in lowering.builder.ops for value in op.results}
    places = {value: k for k, value in enumerate(inputs)}
    checks, others, needed = [], [], set[Op]()
    for effect in lowering.effects:
        ops = None
        if effect.holds is not None:
            ops = _slice((*effect.values, effect.holds), makers, places)
        if ops is None:
            others.append(effect)
        else:
            checks.append(effect)
            needed |= ops
    if not checks:
        return None, others
    before = len(lowering.builder.ops)
    seen = [value for c in checks for value in (*c.values, c.holds) if value is not None]
    results = [lowering.identity(value) for value in seen]
    own = [op for k, op in enumerate(lowering.builder.ops) if op in needed or k >= before]
    read = {operand for op in own for operand in op.operands}
    parameters = [value for value in inputs if value in read]
    names = tuple(f"observed_{k}" for k in range(len(results)))
    function = Function("guard", tuple(parameters), tuple(own), tuple(results), names, {}, ())
    return Guard(function, tuple(places[p] for p in parameters), tuple(checks)), others


def _slice(
    values: Sequence[Value], makers: dict[Value, Op], inputs: Collection[Value]
) -> set[Op] | None:
    """The ops that make the values from inputs, None if there are many or they need state."""
    found: set[Op] = set()
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if value in inputs:
            continue
        op = makers.get(value)
        if op is None or len(found) > _MOST_OPS or op.name in _COSTLY:
            return None
        if op not in found:
            found.add(op)
            waiting += op.operands
    return found


class RunsGuard(Protocol):
    """A guard that can be run."""

    def run(self, arrays: Sequence[Array]) -> None:
        """Raises what the first check that fails raises; the arrays are a cluster's inputs."""
        ...


class GuardStep:
    """A guard, compiled."""

    def __init__(self, guard: Guard, make_step: MakeStep) -> None:
        self._checks = guard.checks
        self._places = guard.places
        self._step: Step = make_step(guard.function)
        count = len(guard.places)
        self._observed = [np.empty(v.shape, v.dtype.numpy) for v in guard.function.results]
        for k, array in enumerate(self._observed):
            self._step.bind(count + k, array)

    def run(self, arrays: Sequence[Array]) -> None:
        """See RunsGuard."""
        for k, place in enumerate(self._places):
            self._step.bind(k, arrays[place])
        self._step.run()
        _react(self._checks, self._observed, lambda: self._checks)


class OpenGuardStep:
    """A guard, compiled for a range of sizes."""

    def __init__(self, guard: Guard, step: OpenStep) -> None:
        self._guard = guard
        self._step = step
        self._observed: list[Array] = []
        self._exact: Callable[[], Guard] = lambda: guard

    def tell(self, sizes: Mapping[str, int], exact: Callable[[], Guard]) -> None:
        """The sizes of the calls that follow; `exact` gives the guard for just these."""
        step, results = self._step, self._guard.function.results
        step.tell(sizes)
        first = len(self._guard.places) + len(step.sizes.ranges)
        self._observed = []
        for k, (shape, value) in enumerate(zip(step.sizes.outputs, results, strict=True)):
            array = np.empty(shape.at(sizes), value.dtype.numpy)
            self._observed.append(array)
            step.bind(first + k, array)
        self._exact = exact

    def run(self, arrays: Sequence[Array]) -> None:
        """See RunsGuard."""
        for k, place in enumerate(self._guard.places):
            self._step.bind(k, arrays[place])
        self._step.run()
        _react(self._guard.checks, self._observed, lambda: self._exact().checks)


def _react(
    checks: Sequence[Effect], observed: Sequence[Array], told: Callable[[], Sequence[Effect]]
) -> None:
    """Lets the checks that failed, as `told` gives them, react to what was observed."""
    start = 0
    for number, check in enumerate(checks):
        end = start + len(check.values)
        if not observed[end]:
            told()[number].react([array.copy() for array in observed[start:end]])
        start = end + 1
