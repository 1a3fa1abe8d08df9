"""One signature of a session's run - fetches, feeds and their shapes - as one compiled step."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.schedule import batches, needed
from tensorkiln.frontends.graph.step import MakeStep
from tensorkiln.frontends.graph.store import Store, uninitialized
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.runtime.errors import UnsupportedError


class FetchedArray(np.ndarray):
    """An array of one element, which converts to a Python number whatever its rank.

    numpy 2.4 and later refuse that for arrays with dims, while TensorFlow 1 programs print such
    values with "%f".
    """

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())


# numpy prints an array with the name of its class.
FetchedArray.__name__ = FetchedArray.__qualname__ = "array"


class StalePlanError(Exception):
    """A variable without a static shape has got another shape since the plan was made."""


class Plan:
    """A compiled step, bound to the arrays of a store."""

    def __init__(
        self,
        fetched: Sequence[Tensor],
        targets: Sequence[Operation],
        fed: Sequence[Tensor],
        shapes: Sequence[tuple[int, ...]],
        store: Store,
        make_step: MakeStep,
    ) -> None:
        self._lock = threading.Lock()
        self._store = store
        self._generation = -1
        self._host = {k: _host_value(t) for k, t in enumerate(fetched) if _is_host(t, fed)}
        self._from_feed = {k: fed.index(t) for k, t in enumerate(fetched) if t in fed}
        computed = [
            (k, t)
            for k, t in enumerate(fetched)
            if k not in self._host and k not in self._from_feed
        ]
        self._count = len(fetched)
        lowered = lower_run([t for _, t in computed], targets, fed, shapes, store)
        function, self._lowering = lowered
        self.function = function
        parameters = {value: k for k, value in enumerate(function.parameters)}
        self._feeds = [
            (k, parameters[self._lowering.values[tensor]])
            for k, tensor in enumerate(fed)
            if tensor.dtype.base_dtype is not dtypes.string
        ]
        first = len(parameters)
        self._fetches = [
            (k, first + n, tensor_type.shape, tensor_type.dtype.numpy)
            for n, (k, _) in enumerate(computed)
            for tensor_type in (function.results[n],)
        ]
        self._state_position = first + len(computed)
        self._parameters = parameters
        self._first_values: list[Operation] = []
        self._step = make_step(function) if function.results else None

    def run(self, feeds: Sequence[Array]) -> list[object]:
        """The fetched tensors' values, in order."""
        results: list[object] = [None] * self._count
        with self._lock:
            step = self._step
            if step is not None:
                if self._generation != self._store.generation:
                    self._bind()
                for number, position in self._feeds:
                    step.bind(position, feeds[number])
                for number, position, shape, dtype in self._fetches:
                    array = np.empty(shape, dtype)
                    step.bind(position, array)
                    results[number] = array
                step.run()
                if self._first_values:
                    self._mark_initialized()
        for number, _, shape, _ in self._fetches:
            array = results[number]  # type: ignore[assignment]
            if not shape:
                results[number] = array[()]
            elif array.size == 1:
                results[number] = array.view(FetchedArray)
        for number, value in self._host.items():
            results[number] = value
        for number, feed in self._from_feed.items():
            results[number] = feeds[feed][()] if feeds[feed].ndim == 0 else feeds[feed].copy()
        return results

    def _bind(self) -> None:
        """Points the step to the arrays of the store."""
        store, lowering, step = self._store, self._lowering, self._step
        assert step is not None
        generation = store.generation
        for variable, value in lowering.variables.items():
            if variable not in lowering.unchecked and not store.is_initialized(variable):
                raise uninitialized(variable)
            array = store.slot(variable).array
            if array.shape != value.shape:
                raise StalePlanError
            step.bind(self._parameters[value], array)
        for variable, value in lowering.flags.items():
            step.bind(self._parameters[value], store.slot(variable).initialized)
        for op, value in lowering.counters.items():
            step.bind(self._parameters[value], store.random_state(op))
        position = self._state_position
        for variable, value in lowering.written.items():
            step.bind(position, store.slot(variable, value.shape).array)
            position += 1
        for op in lowering.next_counters:
            step.bind(position, store.random_state(op))
            position += 1
        self._first_values = [v for v in lowering.written if not store.is_initialized(v)]
        # As of the start: where a variable got another shape above, the next run binds anew.
        self._generation = generation

    def _mark_initialized(self) -> None:
        for variable in self._first_values:
            self._store.mark_initialized(variable)
        self._first_values = []


def _is_host(tensor: Tensor, fed: Sequence[Tensor]) -> bool:
    return tensor not in fed and tensor.dtype.base_dtype is dtypes.string


def _host_value(tensor: Tensor) -> object:
    """A string constant's value; other string ops are not there yet."""
    if tensor.op.type != "Const":
        raise UnsupportedError(
            f"'{tensor.op.name}' ({tensor.op.location}): strings can be fetched from constants "
            f"only, not from {tensor.op.type}"
        )
    value = tensor.op.attributes["value"]
    assert isinstance(value, np.ndarray)
    return value[()] if value.ndim == 0 else value.copy()


def lower_run(
    fetched: Sequence[Tensor],
    targets: Sequence[Operation],
    fed: Sequence[Tensor],
    shapes: Sequence[tuple[int, ...]],
    store: Store,
) -> tuple[Function, Lowering]:
    """The function of one run: parameters are feeds, variables, flags and random states; results
    the fetched tensors, then the variables' new values, then the next random states."""
    kinds = {
        tensor: TensorType(shape, tensor.dtype.ir)
        for tensor, shape in zip(fed, shapes, strict=True)
        if tensor.dtype.base_dtype is not dtypes.string
    }
    lowering = Lowering(kinds, store.shape)
    ops = needed([*(tensor.op for tensor in fetched), *targets], set(fed))
    lowering.lower(batches(ops, set(fed)))
    results: list[Value] = [lowering.value(tensor) for tensor in fetched]
    names = [tensor.name for tensor in fetched]
    parameters = {value: k for k, value in enumerate(lowering.builder.parameters)}
    aliases: dict[int, int] = {}
    for variable, new in lowering.written.items():
        old = lowering.variables.get(variable)
        if old is not None and old.type == new.type:
            aliases[len(results)] = parameters[old]
        results.append(new)
        names.append(f"{variable.name}/new")
    for op, new in lowering.next_counters.items():
        aliases[len(results)] = parameters[lowering.counters[op]]
        results.append(new)
        names.append(f"{op.name}/next_state")
    return lowering.builder.finish(results, names, aliases), lowering
