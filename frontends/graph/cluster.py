"""A cluster of a run: ops compiled as one function for each set of input shapes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Function
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.cluster_lowering import Lowered, Signature, lower_cluster
from tensorkiln.frontends.graph.effects import Effect
from tensorkiln.frontends.graph.guards import Guard, GuardStep, OpenGuardStep, RunsGuard
from tensorkiln.frontends.graph.lowering import UnknownValueError
from tensorkiln.frontends.graph.open_cluster import (
    SPECIALISED,
    OpenDims,
    Shapes,
    compile_cluster,
    open_dims,
)
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.step import (
    CompiledSteps,
    InterpretedStep,
    MakeStep,
    OpenStep,
    Step,
)
from tensorkiln.frontends.graph.store import Store, uninitialized
from tensorkiln.runtime.errors import UnsupportedError


class StalePlanError(Exception):
    """A variable without a static shape has got another shape since the function was made."""


class NoValueYetError(Exception):
    """Variables that only branches read or write have no value, and the function takes no care of
    that."""

    def __init__(self, variables: Sequence[Operation]) -> None:
        super().__init__()
        self.variables = frozenset(variables)


class Cluster:
    """The compiled forms of one cluster, by the shapes of its inputs and the values that shapes
    depend on."""

    def __init__(self, signature: Signature, store: Store, make_step: MakeStep) -> None:
        self.signature = signature
        self._store = store
        self._make_step = make_step
        self._lock = threading.Lock()
        self._fixed: list[int] = []
        self._forms: dict[object, CompiledCluster] = {}
        self._last: tuple[Shapes, CompiledCluster] | None = None
        self._seen: list[Shapes] = []
        self._open: list[OpenForm] = []
        self._opens = isinstance(make_step, CompiledSteps)
        self._lenient: frozenset[Operation] = frozenset()

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs for the inputs' arrays."""
        with self._lock:
            if self._lenient:
                self._be_lenient(v for v in self._lenient if not self._store.is_initialized(v))
            try:
                return self.form(arrays).run(arrays)
            except StalePlanError:
                self._forms, self._last, self._open = {}, None, []
                return self.form(arrays).run(arrays)
            except NoValueYetError as error:
                self._be_lenient(error.variables)
                return self.form(arrays).run(arrays)

    def _be_lenient(self, variables: Iterable[Operation]) -> None:
        """From now on runs check that branches have values of these variables to read."""
        lenient = frozenset(variables)
        if lenient != self._lenient:
            self._lenient, self._last = lenient, None

    def form(self, arrays: Sequence[Array]) -> CompiledCluster:
        """The function for inputs like these, compiled if it is the first time."""
        shapes = tuple([array.shape for array in arrays])
        last = self._last
        if last is not None and last[0] == shapes and not self._fixed:
            return last[1]
        while True:
            key = (shapes, tuple((k, arrays[k].tobytes()) for k in self._fixed), self._lenient)
            form = self._forms.get(key)
            if form is None and self._opens and not self._fixed and not self._lenient:
                form = self._open_form(shapes)
            if form is None:
                fixed = {self.signature.inputs[k]: arrays[k] for k in self._fixed}
                try:
                    lowered = lower_cluster(
                        self.signature, shapes, self._store, fixed, self._lenient
                    )
                except UnknownValueError as error:
                    if not error.tensors:
                        raise
                    self._fixed += [self.signature.inputs.index(t) for t in error.tensors]
                    continue
                form = self._forms[key] = CompiledCluster(lowered, self._store, self._make_step)
                self._seen.append(shapes)
            self._last = (shapes, form)
            return form

    def _open_form(self, shapes: Shapes) -> OpenForm | None:
        """Code for a range of sizes that has `shapes`, made where the rule says so."""
        for form in self._open:
            if form.dims.sizes(shapes) is not None:
                return form
        if len(self._seen) < SPECIALISED or not isinstance(self._make_step, CompiledSteps):
            return None
        dims = open_dims([*self._seen[-SPECIALISED:], shapes])
        if dims is None:
            return None
        made = self._make_open(shapes, dims, self._make_step)
        if made is None:
            self._opens = False
        else:
            self._open.append(made)
        return made

    def _make_open(self, shapes: Shapes, dims: OpenDims, steps: CompiledSteps) -> OpenForm | None:
        lowered = self._lowered(shapes)
        if is_copy(lowered.function):
            return None
        guard = None
        if lowered.guard is not None:
            compiled = compile_cluster(self._guard, dims)
            if compiled is None:
                return None
            guard = OpenGuardStep(lowered.guard, steps.open(compiled))
        compiled = compile_cluster(lambda at: self._lowered(at).function, dims)
        if compiled is None:
            return None
        return OpenForm(lowered, dims, self._store, steps.open(compiled), guard, self._lowered)

    def _lowered(self, shapes: Shapes) -> Lowered:
        return lower_cluster(self.signature, shapes, self._store)

    def _guard(self, shapes: Shapes) -> Function:
        guard = self._lowered(shapes).guard
        if guard is None:
            raise UnsupportedError("nothing is checked before it")
        return guard.function


# Functions that only move data are not worth compiling: the interpreter's copies are as fast.
_MOVES = frozenset({"constant", "identity", "reshape", "broadcast_in_dim", "stop_gradient"})


def is_copy(function: Function) -> bool:
    """True if the function only moves data."""
    return all(op.name in _MOVES for op in function.ops)


class CompiledCluster:
    """A cluster's function, bound to the arrays of a store; not for two threads at once."""

    def __init__(
        self,
        lowered: Lowered,
        store: Store,
        make_step: MakeStep,
        opened: OpenStep | None = None,
        guard: RunsGuard | None = None,
    ) -> None:
        """The steps are `opened` and `guard` if the first is given, else those that `make_step`
        makes."""
        self.function = lowered.function
        self._lowering = lowered.lowering
        self._store = store
        self._generation = -1
        parameters = {value: k for k, value in enumerate(self.function.parameters)}
        self._parameters = parameters
        self._inputs = [parameters[value] for value in lowered.inputs]
        first = len(parameters) + (len(opened.sizes.ranges) if opened is not None else 0)
        self._made = [
            (first + n, value.shape, value.dtype.numpy)
            for n, value in enumerate(self.function.results[: lowered.outputs + lowered.observed])
        ]
        self._outputs = lowered.outputs
        self._state_position = first + len(self._made)
        self._effects = lowered.effects
        self._guard = guard
        if opened is None and lowered.guard is not None:
            self._guard = GuardStep(lowered.guard, make_step)
        self._first_values: list[Operation] = []
        self._step: Step
        if opened is not None:
            self._step = opened
        elif is_copy(self.function):
            self._step = InterpretedStep(self.function)
        else:
            self._step = make_step(self.function)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs for the inputs' arrays; the store's variables are updated."""
        step = self._step
        if self._guard is not None:
            self._guard.run(arrays)
        if self._generation != self._store.generation:
            self._bind()
        for position, array in zip(self._inputs, arrays):  # noqa: B905 (hot path)
            step.bind(position, array)
        made = []
        for position, shape, dtype in self._made:
            array = np.empty(shape, dtype)
            step.bind(position, array)
            made.append(array)
        step.run()
        if self._effects:
            self._react(made[self._outputs :])
            del made[self._outputs :]
        if self._first_values:
            for variable in self._first_values:
                self._store.mark_initialized(variable)
            self._first_values = []
        return made

    def _react(self, observed: list[Array]) -> None:
        """Does what is to be done on the host: printing in graph order, then the first error."""
        failed = []
        for number, effect in enumerate(self._effects):
            count = len(effect.values)
            values = observed[:count]
            del observed[:count]
            if effect.holds is None:
                effect.react(values)
            elif not observed.pop(0):
                failed.append((number, values))
        for number, values in failed:
            self._checks()[number].react(values)

    def _checks(self) -> Sequence[Effect]:
        """The effects, as those of checks that fail are to be told of."""
        return self._effects

    def _bind(self) -> None:
        """Points the step to the arrays of the store."""
        store, lowering, step = self._store, self._lowering, self._step
        generation = store.generation
        for variable in lowering.variables:
            if variable not in lowering.unchecked and not store.is_initialized(variable):
                raise uninitialized(variable)
        missing = [
            v
            for v in lowering.conditional
            if v not in lowering.lenient and not store.is_initialized(v)
        ]
        if missing:
            raise NoValueYetError([*missing, *lowering.lenient])
        for variable, value in lowering.variables.items():
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
        self._first_values = [
            v for v in lowering.written if not store.is_initialized(v) and v not in lowering.readies
        ]
        # As of the start: where a variable got another shape above, the next run binds anew.
        self._generation = generation


class OpenForm(CompiledCluster):
    """A cluster's function for a range of sizes."""

    def __init__(
        self,
        lowered: Lowered,
        dims: OpenDims,
        store: Store,
        step: OpenStep,
        guard: OpenGuardStep | None,
        lower: Callable[[Shapes], Lowered],
    ) -> None:
        """`lower` lowers the cluster for shapes, of which messages of errors tell."""
        super().__init__(lowered, store, InterpretedStep, step, guard)
        self.dims = dims
        self._opened = step
        self._open_guard = guard
        self._lower = lower
        self._sizes: dict[str, int] | None = None

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """See CompiledCluster."""
        sizes = self.dims.sizes(tuple([array.shape for array in arrays]))
        assert sizes is not None
        if sizes != self._sizes:
            self._opened.tell(sizes)
            shapes = [shape.at(sizes) for shape in self._opened.sizes.outputs]
            self._made = [
                (position, shapes[k], dtype) for k, (position, _, dtype) in enumerate(self._made)
            ]
            if self._open_guard is not None:
                self._open_guard.tell(sizes, self._exact_guard)
            self._sizes = sizes
        return super().run(arrays)

    def _checks(self) -> Sequence[Effect]:
        return self._exact().effects

    def _exact_guard(self) -> Guard:
        guard = self._exact().guard
        assert guard is not None
        return guard

    def _exact(self) -> Lowered:
        """The cluster lowered for the sizes of the run."""
        assert self._sizes is not None
        return self._lower(self.dims.shapes(self._sizes))
