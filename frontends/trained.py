"""Trained graphs as models: which placeholders and dims an export has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.function import Function
from tensorkiln.frontends.graph.export import freeze
from tensorkiln.frontends.graph.fetches import Fetches
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.schedule import needed
from tensorkiln.frontends.graph.session import BaseSession, Session
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.runtime.errors import ModelError


def graph_function(
    graph: Graph,
    outputs: Sequence[object],
    session: BaseSession | None,
    dims: Mapping[str, int],
    name: str,
) -> Function:
    """The function that computes `outputs` (tensors, or names of tensors or ops) of `graph`.

    Its inputs are the placeholders that the outputs need, in the order they were made. Inputs and
    outputs have the names of their ops. Variables become constants with the values they have in
    `session`. `dims` gives sizes to the open dims of placeholders, called `placeholder.axis`.
    ModelError for open dims without a size, outputs that are no tensors, and variables without a
    session; UnsupportedError where an output draws random numbers or changes a variable.
    """
    fetched = fetched_tensors(graph, outputs)
    ops = needed([tensor.op for tensor in fetched], set())
    placeholders = [op for op in ops if op.type == "Placeholder"]
    variables = [op for op in ops if op.type == "VariableV2"]
    if variables and session is None:
        raise ModelError(
            f"the outputs need the variable {variables[0].name!r}: give the session that holds its "
            "value as session=..."
        )
    return freeze(
        session or Session(graph=graph),
        {op.name: op.outputs[0] for op in placeholders},
        {tensor_name(tensor): tensor for tensor in fetched},
        placeholder_shapes(placeholders, dims),
        name,
    )


def fetched_tensors(graph: Graph, outputs: Sequence[object]) -> list[Tensor]:
    """The tensors named; ModelError for operations and for none at all."""
    if not outputs:
        raise ModelError("a graph is compiled for its outputs: name some tensors in outputs=[...]")
    wanted = [f"{o}:0" if isinstance(o, str) and ":" not in o else o for o in outputs]
    fetches = Fetches(graph, wanted)
    if fetches.targets:
        raise ModelError(f"the output {fetches.targets[0].name!r} is an operation, not a tensor")
    if len(fetches.tensors) != len(wanted):
        raise ModelError("an output is named twice")
    return fetches.tensors


def tensor_name(tensor: Tensor) -> str:
    """What an export calls a tensor: its op's name, or its own if it is not the first output."""
    return tensor.op.name if tensor.value_index == 0 else tensor.name


def placeholder_shapes(
    placeholders: Sequence[Operation], dims: Mapping[str, int]
) -> dict[str, tuple[int, ...]]:
    """The placeholders' shapes by name, open dims with the sizes given."""
    sizes = dict(dims)
    shapes: dict[str, tuple[int, ...]] = {}
    missing: list[str] = []
    for op in placeholders:
        known = op.outputs[0].sizes
        if known is None:
            raise ModelError(f"the placeholder {op.name!r} ({op.location}) has no shape; give one")
        keys = [f"{op.name}.{axis}" for axis in range(len(known))]
        missing += [k for k, n in zip(keys, known, strict=True) if n is None and k not in sizes]
        shapes[op.name] = tuple(
            sizes.pop(key, 0) if size is None else size
            for key, size in zip(keys, known, strict=True)
        )
    if missing:
        example = ", ".join(f"{key!r}: 1" for key in missing)
        raise ModelError(f"open dims have no size; give them as in dims={{{example}}}")
    if sizes:
        raise ModelError(f"no placeholder that the outputs need has an open dim {', '.join(sizes)}")
    return shapes
