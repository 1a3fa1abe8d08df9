"""Makes an op of the table from whatever the program passed as its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.convert import Convertible, convert_to_tensor
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.kinds import TABLE, Argument, OpKind
from tensorkiln.frontends.graph.stack import get_default_graph

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.graph import Graph
    from tensorkiln.frontends.graph.operation import Operation
    from tensorkiln.frontends.graph.tensor import Tensor


def apply_op(
    kind_name: str,
    inputs: Sequence[object] = (),
    name: str | None = None,
    attributes: Mapping[str, object] | None = None,
) -> Operation:
    """A new op in the inputs' graph.

    Python values become constants named after the input; shared types are checked as TensorFlow
    does (TypeError), shapes by the op's table entry (ValueError).
    """
    kind = TABLE[kind_name]
    graph = graph_of(inputs)
    with graph.as_default(), graph.name_scope(name or kind.name) as scope:
        tensors = _convert(kind, inputs)
        return graph.create_op(kind, tensors, dict(attributes or {}), scope)


def make(
    kind_name: str, inputs: Sequence[object] = (), name: str | None = None, **attributes: object
) -> Tensor:
    """The only output of a new op."""
    (output,) = apply_op(kind_name, inputs, name, attributes).outputs
    return output


def graph_of(inputs: object) -> Graph:
    """The graph of the tensors among the inputs, or the default graph; ValueError if they differ."""
    first: Tensor | None = None
    for tensor in _tensors(inputs):
        if first is None:
            first = tensor
        elif tensor.graph is not first.graph:
            raise ValueError(f"{tensor} must be from the same graph as {first}.")
    return get_default_graph() if first is None else first.graph


def _tensors(value: object) -> list[Tensor]:
    if isinstance(value, Convertible):
        return [value._as_tensor()]
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in _tensors(item)]
    return []


def _convert(kind: OpKind, inputs: Sequence[object]) -> list[Tensor]:
    letters: dict[str, tuple[DType, Argument]] = {}
    tensors: list[Tensor] = []
    for argument, value in zip(kind.arguments, inputs, strict=True):
        if argument.is_list:
            if not isinstance(value, list | tuple):
                raise TypeError(
                    f"Expected list for '{argument.name}' argument to '{kind.name}' Op, not {value}."
                )
            dtype = None
            if argument.type != "any":
                dtype = _known(argument, letters) or _list_dtype(value)
            names = [f"{argument.name}_{index}" for index in range(len(value))]
            found = [
                _constant(kind, argument, item, dtype, own)
                for item, own in zip(value, names, strict=True)
            ]
        else:
            found = [_single(kind, argument, value, letters)]
        for tensor in found:
            _check(kind, argument, tensor, letters)
        tensors += found
    return tensors


def _single(
    kind: OpKind, argument: Argument, value: object, letters: Mapping[str, tuple[DType, Argument]]
) -> Tensor:
    if isinstance(value, Convertible):
        tensor = value._as_tensor(argument.is_ref)
        if argument.is_ref and not tensor.dtype.is_ref:
            raise TypeError(
                f"'{kind.name}' Op requires that input '{argument.name}' be a mutable tensor "
                "(e.g.: a tf.Variable)"
            )
        return tensor
    dtype = _known(argument, letters)
    return _constant(kind, argument, value, dtype, argument.name)


def _constant(
    kind: OpKind, argument: Argument, value: object, dtype: DType | None, name: str
) -> Tensor:
    """`value` as a tensor for an argument; errors name the argument and the op."""
    preferred = dtypes.int32 if argument.type == "index" else None
    try:
        return convert_to_tensor(value, dtype, name, preferred)
    except TypeError as error:
        if dtype is None:
            raise
        raise TypeError(
            f"Expected {dtype.name} passed to parameter '{argument.name}' of op '{kind.name}', got "
            f"{value!r} of type '{type(value).__name__}' instead. Error: {error}"
        ) from None
    except ValueError as error:
        if isinstance(value, Convertible):
            raise
        raise ValueError(
            f"Tried to convert '{argument.name}' to a tensor and failed. Error: {error}"
        ) from None


def _known(argument: Argument, letters: Mapping[str, tuple[DType, Argument]]) -> DType | None:
    if argument.type in letters:
        return letters[argument.type][0]
    if argument.is_variable_type or argument.type in ("index", "any"):
        return None
    return dtypes.as_dtype(argument.type)


def _list_dtype(values: Sequence[object]) -> DType | None:
    for value in values:
        if isinstance(value, Convertible):
            return value._as_tensor().dtype.base_dtype
    return None


def _check(
    kind: OpKind, argument: Argument, tensor: Tensor, letters: dict[str, tuple[DType, Argument]]
) -> None:
    dtype = tensor.dtype.base_dtype
    if argument.is_variable_type:
        known = letters.setdefault(argument.type, (dtype, argument))
        if known[0] is not dtype:
            raise TypeError(
                f"Input '{argument.name}' of '{kind.name}' Op has type {dtype.name} that does not "
                f"match type {known[0].name} of argument '{known[1].name}'."
            )
        allowed = kind.types.get(argument.type)
    elif argument.type == "any":
        allowed = None
    else:
        if argument.type != "index" and dtype is not dtypes.as_dtype(argument.type):
            raise TypeError(
                f"Input '{argument.name}' of '{kind.name}' Op has type {dtype.name} that does not "
                f"match expected type of {argument.type}."
            )
        allowed = dtypes.INDEXES if argument.type == "index" else None
    if allowed is not None and dtype not in allowed:
        names = ", ".join(item.name for item in allowed)
        raise TypeError(
            f"Value passed to parameter '{argument.name}' has DataType {dtype.name} not in list of "
            f"allowed values: {names}"
        )
