"""One set of fetches and feeds as stages: compiled clusters, and host ops between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from time import perf_counter_ns
from typing import Any, SupportsIndex, TypeAlias

import numpy as np

from tensorkiln.compiler.ir.function import Function
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.arrays import Array, make_array
from tensorkiln.frontends.graph.cluster import Cluster
from tensorkiln.frontends.graph.cluster_lowering import Signature, lower_cluster
from tensorkiln.frontends.graph.host import HostContext
from tensorkiln.frontends.graph.lowering import variable_of
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.schedule import needed
from tensorkiln.frontends.graph.stages import Stage, is_free, split
from tensorkiln.frontends.graph.step import MakeStep
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.runtime.errors import UnsupportedError

Watch: TypeAlias = Callable[[Sequence[Operation], bool, int, int], None]
"""Told of each host op and each cluster that ran: its ops, whether it ran on the host, and its
start and end in nanoseconds of `perf_counter_ns`."""


class FetchedArray(np.ndarray):
    """An array of one element, which converts to a Python number whatever its rank.

    numpy 2.4 and later refuse that for arrays with dims, while TensorFlow 1 programs print such
    values with "%f".
    """

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Pickled and copied as a plain array: the class's name is no place to find it by."""
        return np.asarray(self).__reduce_ex__(protocol)


# numpy prints an array with the name of its class.
FetchedArray.__name__ = FetchedArray.__qualname__ = "array"


class Plan:
    """The stages of a run.  Tensors that pass from one to another have places in a list of arrays:
    the feeds first, then what each stage leaves for later ones and for the caller."""

    def __init__(
        self,
        fetched: Sequence[Tensor],
        targets: Sequence[Operation],
        fed: Sequence[Tensor],
        context: HostContext,
        make_step: MakeStep,
    ) -> None:
        self._places: dict[Tensor, int] = {}
        for tensor in fed:
            self._place(tensor)
        known = set(fed)
        wanted = [tensor for tensor in fetched if tensor not in known]
        stages = split(needed([*(tensor.op for tensor in wanted), *targets], known), known)
        self.parts: list[ClusterPart | HostPart] = []
        for stage in stages:
            if stage.on_host:
                part = HostPart(stage, wanted, context, known, self._place)
                if part.operations:
                    self.parts.append(part)
                continue
            # The last cluster gives the variables' values, which are those at the end of the run.
            last = stage is next(s for s in reversed(stages) if not s.on_host)
            elsewhere = set(_read_outside(stage, stages, known)) | set(wanted)
            outputs = [
                tensor
                for tensor in elsewhere
                if (last if variable_of(tensor) else tensor.op in stage.own)
            ]
            outputs.sort(key=lambda tensor: (tensor.op.number, tensor.value_index))
            if outputs or any(not is_free(op) for op in stage.own):
                cluster = ClusterPart(stage, outputs, context, make_step, known, self._place)
                self.parts.append(cluster)
        self._results = [(self._places[tensor], tensor in known) for tensor in fetched]
        self._empty = [np.empty(0)] * (len(self._places) - len(fed))

    def _place(self, tensor: Tensor) -> int:
        return self._places.setdefault(tensor, len(self._places))

    def run(self, feeds: Sequence[Array], watch: Watch | None = None) -> list[object]:
        """The fetched tensors' values, in order."""
        values: list[Array] = [*feeds, *self._empty]
        for part in self.parts:
            part.run(values, watch)
        results: list[object] = []
        for place, is_fed in self._results:
            array = values[place]
            if not array.ndim:
                results.append(array[()])
            elif is_fed:
                results.append(array.copy())
            else:
                results.append(array.view(FetchedArray) if array.size == 1 else array)
        return results

    def lower(self, shapes: Sequence[tuple[int, ...]]) -> Function:
        """The one function that `run` calls for feeds of these shapes."""
        if len(self.parts) != 1 or not isinstance(self.parts[0], ClusterPart):
            names = [op.name for part in self.parts for op in part.host_operations()]
            raise UnsupportedError(f"host ops split this run into several functions: {names}")
        return self.parts[0].lower(shapes)


class ClusterPart:
    """A cluster's place in a plan."""

    def __init__(
        self,
        stage: Stage,
        outputs: Sequence[Tensor],
        context: HostContext,
        make_step: MakeStep,
        fed: Collection[Tensor],
        place: Callable[[Tensor], int],
    ) -> None:
        inputs = tuple(_inputs(stage, fed))
        self.operations = [op for op in stage.operations() if op in stage.own]
        self._signature = Signature(stage.order, inputs, tuple(outputs))
        self._store = context.store
        self._cluster = Cluster(self._signature, context.store, make_step)
        self._from = [place(tensor) for tensor in inputs]
        self._to = [place(tensor) for tensor in outputs]

    def run(self, values: list[Array], watch: Watch | None) -> None:
        """Reads and writes the places of the tensors that come in and go out."""
        start = perf_counter_ns() if watch else 0
        made = self._cluster.run([values[k] for k in self._from])
        for k, array in zip(self._to, made):  # noqa: B905 (hot path)
            values[k] = array
        if watch:
            watch(self.operations, False, start, perf_counter_ns())

    def lower(self, shapes: Sequence[tuple[int, ...]]) -> Function:
        """The function, where `shapes` are those of the plan's feeds."""
        arrays = [np.empty(shapes[k]) for k in self._from]
        return lower_cluster(self._signature, [a.shape for a in arrays], self._store).function

    def host_operations(self) -> Sequence[Operation]:
        """None."""
        return ()


class HostPart:
    """Host ops that run one after another, constants aside: readers have their values."""

    def __init__(
        self,
        stage: Stage,
        wanted: Collection[Tensor],
        context: HostContext,
        fed: Collection[Tensor],
        place: Callable[[Tensor], int],
    ) -> None:
        self.operations = [
            op
            for op in stage.operations()
            if op.type != "Const" or any(t in wanted for t in op.outputs)
        ]
        self._context = context
        self._calls = [
            (op, [_source(t, fed, place) for t in op.inputs], [place(t) for t in op.outputs])
            for op in self.operations
        ]

    def run(self, values: list[Array], watch: Watch | None) -> None:
        """Reads and writes the places of the tensors that come in and go out."""
        for op, sources, places in self._calls:
            start = perf_counter_ns() if watch else 0
            arrays = [self._read(source, values) for source in sources]
            assert op.kind.host is not None
            made = op.kind.host(self._context, op, arrays)
            for tensor, k, value in zip(op.outputs, places, made, strict=True):
                values[k] = _host_array(tensor, value)
            if watch:
                watch([op], True, start, perf_counter_ns())

    def _read(self, source: int | Operation | Array, values: Sequence[Array]) -> Array:
        if isinstance(source, int):
            return values[source]
        if isinstance(source, Operation):
            return self._context.variable(source)
        return source

    def host_operations(self) -> Sequence[Operation]:
        """The ops."""
        return self.operations


def _source(
    tensor: Tensor, fed: Collection[Tensor], place: Callable[[Tensor], int]
) -> int | Operation | Array:
    """A place, the variable whose value is read, or a constant's value."""
    if tensor in fed:
        return place(tensor)
    variable = variable_of(tensor)
    if variable is not None:
        return variable
    if tensor.op.type == "Const":
        value = tensor.op.attributes["value"]
        assert isinstance(value, np.ndarray)
        return value
    return place(tensor)


def _inputs(stage: Stage, fed: Collection[Tensor]) -> Iterable[Tensor]:
    """The tensors that a cluster is given, each once."""
    members = set(stage.operations())
    return dict.fromkeys(
        tensor
        for op in stage.operations()
        for tensor in op.inputs
        if not (op.kind.texts and tensor.dtype.base_dtype is dtypes.string)
        if tensor in fed or (variable_of(tensor) is None and tensor.op not in members)
    )


def _read_outside(
    stage: Stage, stages: Sequence[Stage], fed: Collection[Tensor]
) -> Iterable[Tensor]:
    """The tensors that other stages read, variables and constants aside."""
    for other in stages:
        if other is stage:
            continue
        if not other.on_host:
            yield from (tensor for tensor in _inputs(other, fed) if tensor not in fed)
            continue
        for op in other.operations():
            for tensor in op.inputs:
                free = tensor.op.type == "Const" or variable_of(tensor) is not None
                if tensor not in fed and not free:
                    yield tensor


def _host_array(tensor: Tensor, value: object) -> Array:
    """What a host op made, as an array of the tensor's dtype."""
    if tensor.dtype.base_dtype is dtypes.string:
        return make_array(value, dtypes.string)
    return np.asarray(value, dtype=tensor.dtype.numpy, order="C")
