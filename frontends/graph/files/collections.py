"""A graph's collections as messages (CollectionDef) and back."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.proto_checkpoint import SaverDef
from tensorkiln.frontends.graph.files.proto_meta import CollectionDef, VariableDef
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.graph_keys import GraphKeys
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variables import Variable

_LOGGER = logging.getLogger("tensorflow")

VARIABLE_KEYS = frozenset(
    (
        GraphKeys.GLOBAL_VARIABLES, GraphKeys.LOCAL_VARIABLES, GraphKeys.MODEL_VARIABLES,
        GraphKeys.TRAINABLE_VARIABLES, GraphKeys.MOVING_AVERAGE_VARIABLES,
        GraphKeys.METRIC_VARIABLES, GraphKeys.GLOBAL_STEP,
    )
)  # fmt: skip
"""Collections whose variables are written with all their operations."""


def collection_def(key: str, items: Sequence[object]) -> Proto:
    """A collection as a message; None, with a warning, if its items are no data."""
    message = CollectionDef()
    if key in VARIABLE_KEYS and all(isinstance(item, Variable) for item in items):
        message.bytes_list.value.extend(
            variable_def(item).SerializeToString() for item in items if isinstance(item, Variable)
        )
    elif key == GraphKeys.SAVERS and all(hasattr(item, "to_proto") for item in items):
        message.bytes_list.value.extend(
            item.to_proto().SerializeToString()  # type: ignore[attr-defined]
            for item in items
        )
    elif all(isinstance(item, Tensor | Operation | Variable) for item in items):
        message.node_list.value.extend(str(item.name) for item in items)  # type: ignore[attr-defined]
    elif all(isinstance(item, str | bytes) for item in items):
        message.bytes_list.value.extend(
            item.encode() if isinstance(item, str) else item
            for item in items
            if isinstance(item, str | bytes)
        )
    elif all(isinstance(item, int) for item in items):
        message.int64_list.value.extend(item for item in items if isinstance(item, int))
    elif all(isinstance(item, int | float) for item in items):
        message.float_list.value.extend(item for item in items if isinstance(item, int | float))
    else:
        kinds = sorted({type(item).__name__ for item in items})
        _LOGGER.warning("collection %r is not written: it holds %s", key, ", ".join(kinds))
        return None
    return message


def variable_def(variable: Variable) -> Proto:
    """The names of a variable's operations."""
    return VariableDef(
        variable_name=variable.name,
        initializer_name=variable.initializer.name,
        snapshot_name=variable.value().name,
        initial_value_name=variable.initial_value.name,
        trainable=variable.trainable,
    )


def restore_collection(
    graph: Graph, key: str, message: Proto, scope: str, variables: dict[str, Variable]
) -> None:
    """Adds a message's items to the collection of `graph`; names get `scope` in front.

    One Variable is made for each name, and kept in `variables`.  Nodes that are not in the graph
    are left out with a warning.
    """
    kind = message.WhichOneof("kind")
    if kind == "node_list":
        for name in message.node_list.value:
            try:
                graph.add_to_collection(key, graph.as_graph_element(f"{scope}{name}"))
            except (KeyError, ValueError):
                _LOGGER.warning("collection %r names %r, which is not in the graph", key, name)
    elif kind == "bytes_list" and key in VARIABLE_KEYS:
        for data in message.bytes_list.value:
            definition = VariableDef.FromString(data)
            try:
                made = _variable(graph, definition, scope, variables)
            except (KeyError, ValueError) as error:
                name = definition.variable_name
                _LOGGER.warning("the variable %r is left out of %r: %s", name, key, error)
            else:
                graph.add_to_collection(key, made)
    elif kind == "bytes_list" and key == GraphKeys.SAVERS:
        for data in message.bytes_list.value:
            graph.add_to_collection(key, SaverDef.FromString(data))
    elif kind is not None:
        for item in getattr(message, kind).value:
            graph.add_to_collection(key, item)


def _variable(
    graph: Graph, definition: Proto, scope: str, variables: dict[str, Variable]
) -> Variable:
    name = f"{scope}{definition.variable_name}"
    if name not in variables:
        initial = definition.initial_value_name
        initializer = graph.get_operation_by_name(f"{scope}{definition.initializer_name}")
        variables[name] = Variable.of_operations(
            graph.get_tensor_by_name(name),
            initializer,
            graph.get_tensor_by_name(f"{scope}{definition.snapshot_name}"),
            graph.get_tensor_by_name(f"{scope}{initial}") if initial else initializer.inputs[1],
            bool(definition.trainable),
        )
    return variables[name]
