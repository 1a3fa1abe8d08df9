"""Graph definitions cut down, frozen and written: tf.graph_util and tf.train.write_graph."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping, Sequence

from google.protobuf import text_format

from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.files import aside
from tensorkiln.frontends.graph.files.attributes import attribute_proto
from tensorkiln.frontends.graph.files.data_types import name_of
from tensorkiln.frontends.graph.files.import_graph import as_graph_def
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.node_order import parse_input
from tensorkiln.frontends.graph.files.proto_graph import GraphDef
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.session import BaseSession

_LOGGER = logging.getLogger("tensorflow")
_VARIABLES = ("VariableV2", "Variable", "VarHandleOp")


def extract_sub_graph(graph_def: Proto, dest_nodes: Sequence[str]) -> Proto:
    """The nodes that `dest_nodes` need, in their order; AssertionError for an unknown name."""
    definition = as_graph_def(graph_def)
    if isinstance(dest_nodes, str):
        raise TypeError("dest_nodes must be a list.")
    nodes = {node.name: node for node in definition.node}
    waiting = list(dest_nodes)
    needed: set[str] = set()
    for name in waiting:
        if name not in nodes:
            raise AssertionError(f"{name} is not in graph")
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        if name in nodes:
            waiting += [parse_input(text)[0] for text in nodes[name].input]
    return _copy(definition, [node for node in definition.node if node.name in needed])


def _copy(definition: Proto, nodes: Sequence[Proto]) -> Proto:
    result = GraphDef()
    result.node.extend(nodes)
    result.versions.CopyFrom(definition.versions)
    if definition.HasField("library"):
        result.library.CopyFrom(definition.library)
    return result


def convert_variables_to_constants(
    sess: BaseSession,
    input_graph_def: Proto,
    output_node_names: Sequence[str],
    variable_names_whitelist: Collection[str] | None = None,
    variable_names_blacklist: Collection[str] | None = None,
) -> Proto:
    """The part of a graph that the outputs need, its variables replaced by their values in `sess`.

    A whitelist or a blacklist of names limits which variables are replaced.
    """
    part = extract_sub_graph(input_graph_def, output_node_names)
    values: dict[str, Array] = {}
    for node in part.node:
        listed = variable_names_whitelist is None or node.name in variable_names_whitelist
        barred = variable_names_blacklist is not None and node.name in variable_names_blacklist
        if node.op in _VARIABLES and listed and not barred:
            found = sess.graph.get_operation_by_name(str(node.name))
            values[str(node.name)] = sess.variable_value(found)
    _LOGGER.info("Froze %d variables.", len(values))
    return _copy(part, [_frozen(node, values) for node in part.node])


def _frozen(node: Proto, values: Mapping[str, Array]) -> Proto:
    result = type(node)()
    if node.name in values:
        result.name, result.op, result.device = node.name, "Const", node.device
        result.attr["dtype"].CopyFrom(node.attr["dtype"])
        result.attr["value"].CopyFrom(attribute_proto(values[str(node.name)], "tensor"))
        return result
    result.CopyFrom(node)
    if node.op == "ReadVariableOp" and node.input[0] in values:
        result.op = "Identity"
        result.attr["T"].CopyFrom(node.attr["dtype"])
        del result.attr["dtype"]
    return result


def remove_training_nodes(input_graph: Proto, protected_nodes: Collection[str] = ()) -> Proto:
    """The graph without its CheckNumerics and Identity nodes, whose readers read their inputs.

    `protected_nodes` and nodes with control inputs, or that others wait for, stay.
    """
    definition = as_graph_def(input_graph)
    awaited = {
        source
        for node in definition.node
        for source, index in map(parse_input, node.input)
        if index is None
    }
    inputs: dict[str, str] = {}
    for node in definition.node:
        passes_on = node.op in ("CheckNumerics", "Identity") and len(node.input) == 1
        kept = node.name in awaited or node.name in (protected_nodes or ())
        if passes_on and not kept and not node.input[0].startswith("^"):
            inputs[str(node.name)] = str(node.input[0])
    nodes = []
    for node in definition.node:
        if node.name in inputs:
            continue
        changed = type(node)()
        changed.CopyFrom(node)
        for number, text in enumerate(node.input):
            changed.input[number] = _resolved(str(text), inputs)
        nodes.append(changed)
    return _copy(definition, nodes)


def _resolved(text: str, inputs: Mapping[str, str]) -> str:
    seen: set[str] = set()
    name = text.removesuffix(":0")
    while name in inputs and name not in seen:
        seen.add(name)
        text = inputs[name]
        name = text.removesuffix(":0")
    return text


# Attributes that hold the type of what these nodes work on; for numbers of 32 bits and texts
# TensorFlow's kernels for a GPU keep their operands in the host's memory.
_HOST_TYPES: dict[str, tuple[str, ...]] = {
    "Const": ("dtype",),
    "DynamicStitch": ("T",),
    "ParallelDynamicStitch": ("T",),
}
_HOST_TYPES |= {"Cast": ("SrcT", "DstT")}


def must_run_on_cpu(node: Proto, pin_variables_on_cpu: bool = False) -> bool:
    """True for nodes that TensorFlow computes on the processor even where there is a GPU."""
    if node.op in _VARIABLES:
        return pin_variables_on_cpu
    kinds = {name_of(node.attr[key].type) for key in _HOST_TYPES.get(node.op, ())}
    return "DT_INT32" in kinds or (node.op == "Const" and "DT_STRING" in kinds)


def tensor_shape_from_node_def_name(graph: Graph, input_name: str) -> object:
    """The static shape of a tensor, named as a node's input."""
    name = input_name if ":" in input_name else f"{input_name}:0"
    return graph.get_tensor_by_name(name).get_shape()


def write_graph(graph_or_graph_def: object, logdir: str, name: str, as_text: bool = True) -> str:
    """Writes a graph's definition to `logdir`/`name`, as text or binary; the result is the path."""
    if isinstance(graph_or_graph_def, Graph):
        definition = graph_or_graph_def.as_graph_def()
    else:
        definition = as_graph_def(graph_or_graph_def)
    os.makedirs(logdir or ".", exist_ok=True)
    path = os.path.join(logdir, name)
    data = definition.SerializeToString()
    if as_text:
        data = text_format.MessageToString(definition).encode()
    aside.write_whole(path, data)
    return path
