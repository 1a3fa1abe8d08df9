"""A part of a trained graph as a function: placeholders in, tensors out, variables as constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.fetches import Fetches
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.schedule import batches, needed
from tensorkiln.frontends.graph.session import BaseSession
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.runtime.errors import ModelError, UnsupportedError


def freeze(
    graph: Graph,
    outputs: Sequence[object],
    session: BaseSession | None = None,
    dims: Mapping[str, int] | None = None,
    name: str = "main",
) -> Function:
    """The function that computes `outputs` (tensors, or names of tensors or ops) of `graph`.

    Parameters are the placeholders that the outputs need, in the order they were made, results the
    outputs; both have the names of their ops. Variables become constants with the values they have
    in `session`. `dims` gives sizes to the open dims of placeholders, called `placeholder.axis`.
    ModelError for open dims without a size, outputs that are no tensors, and variables without a
    session; UnsupportedError where an output draws random numbers or changes a variable.
    """
    fetched = _tensors(graph, outputs)
    ops = needed([tensor.op for tensor in fetched], set())
    placeholders = [op for op in ops if op.type == "Placeholder"]
    types = _types(placeholders, dict(dims or {}))
    values = _values([op for op in ops if op.type == "VariableV2"], session)
    lowering = Lowering({}, lambda variable: values[variable].shape)
    lowering.builder.name = name
    for op, kind in types.items():
        lowering.values[op.outputs[0]] = lowering.builder.parameter(op.name, kind)
    for op, value in values.items():
        lowering.values[op.outputs[0]] = lowering.builder.constant(value)
    rest = [op for op in ops if op not in types]
    lowering.lower(batches(rest, {op.outputs[0] for op in types}))
    for op in (*lowering.written, *lowering.counters):
        raise UnsupportedError(
            f"'{op.name}' ({op.location}) changes from run to run, but a compiled model has no "
            "state: choose outputs that do not depend on it"
        )
    names = [tensor.op.name if tensor.value_index == 0 else tensor.name for tensor in fetched]
    return lowering.builder.finish([lowering.value(tensor) for tensor in fetched], names)


def _tensors(graph: Graph, outputs: Sequence[object]) -> list[Tensor]:
    if not outputs:
        raise ModelError("a graph is compiled for its outputs: name some tensors in outputs=[...]")
    wanted = [f"{o}:0" if isinstance(o, str) and ":" not in o else o for o in outputs]
    fetches = Fetches(graph, wanted)
    if fetches.targets:
        raise ModelError(f"the output {fetches.targets[0].name!r} is an operation, not a tensor")
    if len(fetches.tensors) != len(wanted):
        raise ModelError("an output is named twice")
    return fetches.tensors


def _types(placeholders: Sequence[Operation], dims: dict[str, int]) -> dict[Operation, TensorType]:
    types: dict[Operation, TensorType] = {}
    missing: list[str] = []
    for op in placeholders:
        tensor = op.outputs[0]
        if tensor.dtype.base_dtype is dtypes.string:
            raise UnsupportedError(f"the placeholder {op.name!r} holds strings")
        if tensor.sizes is None:
            raise ModelError(f"the placeholder {op.name!r} ({op.location}) has no shape; give one")
        shape: list[int] = []
        for axis, size in enumerate(tensor.sizes):
            key = f"{op.name}.{axis}"
            if size is None and key not in dims:
                missing.append(key)
            shape.append(dims.pop(key, 0) if size is None else size)
        types[op] = TensorType(tuple(shape), tensor.dtype.ir)
    if missing:
        example = ", ".join(f"{key!r}: 1" for key in missing)
        raise ModelError(f"open dims have no size; give them as in dims={{{example}}}")
    if dims:
        raise ModelError(f"no placeholder that the outputs need has an open dim {', '.join(dims)}")
    return types


def _values(
    variables: Sequence[Operation], session: BaseSession | None
) -> dict[Operation, np.ndarray]:
    if not variables:
        return {}
    if session is None:
        raise ModelError(
            f"the outputs need the variable {variables[0].name!r}: give the session that holds its "
            "value as session=..."
        )
    arrays = session.run([op.outputs[0] for op in variables])
    assert isinstance(arrays, list)
    return {op: np.asarray(array) for op, array in zip(variables, arrays, strict=True)}
