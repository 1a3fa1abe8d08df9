"""A graph's training step as a model over the state of a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tensorkiln.compiler.ir.function import Array, Function, Value
from tensorkiln.compiler.training import TrainingModel
from tensorkiln.frontends.graph.fetches import Fetches
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.schedule import needed
from tensorkiln.frontends.graph.session import BaseSession
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.trained import fetched_tensors, placeholder_shapes, tensor_name
from tensorkiln.runtime.errors import ModelError, UnsupportedError

_STATE = "/state"  # what a random op's name ends in as a parameter


def train_graph(
    graph: Graph,
    *,
    train: Sequence[object],
    loss: object,
    outputs: Sequence[object],
    session: BaseSession,
    dims: Mapping[str, int] | None = None,
) -> TrainingModel:
    """The graph's training as functions: a step runs `train` (operations) and gives `loss`.

    A prediction gives `outputs`. Variables and random streams are the state, which starts with the
    values in `session`; fed are the placeholders. `dims` gives sizes to their open dims, as in
    `tensorkiln.compile`. ModelError and UnsupportedError name what cannot be done so.
    """
    losses, results = fetched_tensors(graph, [loss]), fetched_tensors(graph, list(outputs))
    operations = Fetches(graph, list(train)).targets
    if len(operations) != len(train):
        raise ModelError("train=[...] names operations, each once; tensors are outputs")
    ops = needed([*(t.op for t in (*losses, *results)), *operations], set())
    placeholders = [op for op in ops if op.type == "Placeholder"]
    shapes = placeholder_shapes(placeholders, dims or {})
    step = _lower(session, [*losses, *operations], placeholders, shapes, "train_step")
    predict = _lower(session, list(results), placeholders, shapes, "predict")
    step = _with_all_state(step, graph)
    predict = _named(predict, results)
    step = _named(step, losses)
    state: dict[str, Array] = {}
    fed = {op.name for op in placeholders}
    for function in (step, predict):
        for value in function.parameters:
            if value.name not in fed and value.name not in state:
                state[value.name] = _value(session, graph, value.name)
    if predict.aliases:
        raise UnsupportedError(
            "the outputs draw random numbers or change variables, which a prediction cannot do:"
            f" {', '.join(predict.parameters[k].name for k in predict.aliases.values())}"
        )
    return TrainingModel(state, step, predict)


def _lower(
    session: BaseSession,
    fetches: list[object],
    placeholders: Sequence[Operation],
    shapes: Mapping[str, tuple[int, ...]],
    name: str,
) -> Function:
    """The function that a run of `fetches` calls, with only the placeholders that it needs."""
    feeds: dict[object, object] = {
        op.outputs[0]: np.zeros(shapes[op.name], op.outputs[0].dtype.numpy) for op in placeholders
    }
    function = session.lower(fetches, feeds)
    observed = [n for n in function.result_names if "/observed_" in n]
    if observed:
        node = observed[0].partition("/observed_")[0]
        raise UnsupportedError(f"{node!r} prints or checks something, which C code does not do")
    names = {op.outputs[0].name: op.name for op in placeholders}
    renamed = {v: Value(names.get(v.name, v.name), v.type) for v in function.parameters}
    used = {v for op in function.ops for v in op.operands} | set(function.results)
    aliased = {function.parameters[k] for k in function.aliases.values()}
    kept = [v for v in function.parameters if v in used or v in aliased]
    ops = tuple(
        replace(op, operands=tuple(renamed.get(v, v) for v in op.operands)) for op in function.ops
    )
    return replace(
        function,
        name=name,
        parameters=tuple(renamed[v] for v in kept),
        ops=ops,
        results=tuple(renamed.get(v, v) for v in function.results),
        aliases={k: kept.index(function.parameters[p]) for k, p in function.aliases.items()},
    )


def _with_all_state(step: Function, graph: Graph) -> Function:
    """The step with a parameter for every variable that it writes without reading it."""
    parameters, aliases = list(step.parameters), dict(step.aliases)
    for position, (name, value) in enumerate(zip(step.result_names, step.results, strict=True)):
        if position in aliases or not name.endswith("/new"):
            continue
        variable = name.removesuffix("/new")
        if any(v.name == variable for v in parameters):
            raise UnsupportedError(f"the step changes the shape of the variable {variable!r}")
        aliases[position] = len(parameters)
        parameters.append(Value(variable, value.type))
    return replace(step, parameters=tuple(parameters), aliases=aliases)


def _named(function: Function, tensors: Sequence[Tensor]) -> Function:
    """The function with the results that are `tensors` named after their ops."""
    names = {tensor.name: tensor_name(tensor) for tensor in tensors}
    return replace(
        function, result_names=tuple(names.get(name, name) for name in function.result_names)
    )


def _value(session: BaseSession, graph: Graph, name: str) -> Array:
    """The value in `session` of a variable or a random op's state."""
    if name.endswith(_STATE):
        random = _operation(graph, name.removesuffix(_STATE))
        if random is not None and random.type != "VariableV2":
            return session.random_state(random)
    if name.endswith("/is_initialized"):
        raise UnsupportedError(f"the step asks whether {name.rpartition('/')[0]!r} is initialized")
    variable = _operation(graph, name)
    if variable is None:
        raise ModelError(f"the step takes {name!r}, which is no variable of the graph")
    return session.variable_value(variable)


def _operation(graph: Graph, name: str) -> Operation | None:
    try:
        return graph.get_operation_by_name(name)
    except KeyError:
        return None
