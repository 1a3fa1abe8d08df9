"""A cluster's function for inputs of given shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import Builder, shorthand
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.effects import Effect
from tensorkiln.frontends.graph.guards import Guard, split_guard
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.store import Store
from tensorkiln.frontends.graph.tensor import Tensor


@dataclass(frozen=True)
class Signature:
    """What a cluster computes: its ops in batches, the tensors it is given and those it gives."""

    order: Sequence[Sequence[Operation]]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Lowered:
    """A cluster's function; its results are the outputs, what effects get, the new states."""

    function: Function
    lowering: Lowering
    inputs: tuple[Value, ...]
    outputs: int
    observed: int
    effects: tuple[Effect, ...]
    guard: Guard | None


def lower_cluster(
    signature: Signature,
    shapes: Sequence[tuple[int, ...]],
    store: Store,
    fixed: dict[Tensor, Array] | None = None,
    lenient: frozenset[Operation] = frozenset(),
) -> Lowered:
    """The function of a cluster: parameters are the inputs, variables, flags and random states;
    results the outputs, what the host looks at afterwards, then the variables' new values, then
    the next random states.  `lenient`: see Lowering."""
    kinds = {
        tensor: TensorType(shape, tensor.dtype.ir)
        for tensor, shape in zip(signature.inputs, shapes, strict=True)
    }
    lowering = Lowering(kinds, store.shape, fixed=fixed)
    lowering.lenient = lenient
    lowering.lower(signature.order)
    results = [lowering.value(tensor) for tensor in signature.outputs]
    names = [tensor.name for tensor in signature.outputs]
    inputs = tuple(lowering.values[tensor] for tensor in signature.inputs)
    guard, effects = split_guard(lowering, inputs)
    all_hold = _all_hold(lowering.builder, effects)
    effects += _first_values(lowering, all_hold, store)
    for number, effect in enumerate(effects):
        observed = (*effect.values, *([] if effect.holds is None else [effect.holds]))
        results += [lowering.identity(value) for value in observed]
        names += [f"{effect.op.name}/observed_{number}_{k}" for k in range(len(observed))]
    count = len(results)
    parameters = {value: k for k, value in enumerate(lowering.builder.parameters)}
    aliases: dict[int, int] = {}
    for variable, value in lowering.written.items():
        old, new = lowering.variables.get(variable), value
        if old is not None and old.type == new.type:
            aliases[len(results)] = parameters[old]
            if all_hold is not None:
                new = shorthand.select(lowering.builder, all_hold, new, old)
        results.append(new)
        names.append(f"{variable.name}/new")
    for op, new in lowering.next_counters.items():
        aliases[len(results)] = parameters[lowering.counters[op]]
        results.append(new)
        names.append(f"{op.name}/next_state")
    function = lowering.builder.finish(results, names, aliases)
    outputs = len(signature.outputs)
    return Lowered(
        function, lowering, inputs, outputs, count - outputs, tuple(effects), guard
    )  # fmt: skip


def _all_hold(builder: Builder, effects: Sequence[Effect]) -> Value | None:
    """Whether all checks hold, or None if there are none."""
    found: Value | None = None
    for effect in effects:
        if effect.holds is not None:
            holds = effect.holds
            found = holds if found is None else builder.one("and", (found, holds))
    return found


def _first_values(lowering: Lowering, all_hold: Value | None, store: Store) -> list[Effect]:
    """Notes afterwards which variables got their first value in a branch."""

    def noted(variable: Operation, ready: Value) -> Effect:
        def react(arrays: Sequence[Array]) -> None:
            if arrays[0] and not store.is_initialized(variable):
                store.mark_initialized(variable)

        if all_hold is not None:
            ready = lowering.builder.one("and", (ready, all_hold))
        return Effect(variable, (ready,), react)

    return [noted(variable, ready) for variable, ready in lowering.readies.items()]
