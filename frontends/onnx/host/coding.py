"""A model of texts as a model of their codes.

Element types, initializers, constants and the attributes that hold texts become those of i64; the
nodes that look into texts stay as they are and are run by the host.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    TypeProto,
    helper,
    numpy_helper,
)

from tensorkiln.frontends.onnx.host.texts import Texts
from tensorkiln.frontends.onnx.schemas import schema_domain, schema_of
from tensorkiln.frontends.onnx.structure import describe, subgraphs
from tensorkiln.frontends.onnx.support import HOST_OPS
from tensorkiln.runtime.errors import ModelError, UnsupportedError

_STRING, _CODE = TensorProto.STRING, TensorProto.INT64
ML = "ai.onnx.ml"

# Attributes of texts, and what they are called for integers.
_LISTS = {
    ("LabelEncoder", "keys_strings"): "keys_int64s",
    ("LabelEncoder", "values_strings"): "values_int64s",
    ("TfIdfVectorizer", "pool_strings"): "pool_int64s",
}
# Operators of lists and optionals, whose results are of texts if their first input is.
_THROUGH = frozenset(
    {"SequenceConstruct", "SequenceInsert", "SequenceAt", "SequenceErase", "ConcatFromSequence",
     "SplitToSequence", "Optional", "OptionalGetElement"}
)  # fmt: skip
_ELEMENT_ATTRIBUTES = {("Cast", "to"), ("SequenceEmpty", "dtype")}


@dataclass(frozen=True, slots=True)
class Coded:
    """A model of codes: its texts, the names of values that are codes, and the host's nodes.

    A node of `host` is named by its first result.
    """

    model: ModelProto
    texts: Texts
    names: frozenset[str]
    host: frozenset[str]


def first_result(node: NodeProto) -> str:
    """The name of the node's first result that has one, which no other node of its graph has."""
    return next((str(name) for name in node.output if name), "")


def is_hosted(model: ModelProto) -> bool:
    """True if a tensor of the model is of texts or a node is one for the host."""
    if any(_is_text(value.type) for value in (*model.graph.input, *model.graph.output)):
        return True
    bodies = [model.graph.node, *(function.node for function in model.functions)]
    return _has_text(model.graph) or any(map(_is_of_text, _all_nodes(bodies)))


def coded(model: ModelProto) -> Coded:
    """The model of codes; UnsupportedError names a host's node inside of a subgraph or function."""
    copy = ModelProto()
    copy.CopyFrom(model)
    texts = Texts()
    opsets = {schema_domain(opset.domain): opset.version for opset in model.opset_import}
    names = _text_names(copy.graph, set(), opsets)
    host = frozenset(first_result(n) for n in copy.graph.node if _needs_host(n, names))
    inner = [graph.node for node in copy.graph.node for graph in subgraphs(node)]
    inner += [function.node for function in copy.functions]
    for node in _all_nodes(inner):
        if _needs_host(node, names):
            raise UnsupportedError(
                f"{describe(node)} works on texts or files inside of a subgraph or function, where"
                " it cannot be run by the host"
            )
    _encode_graph(copy.graph, texts, host)
    for function in copy.functions:
        for node in function.node:
            _encode_node(node, texts)
    return Coded(copy, texts, frozenset(names), host)


def _is_text(kind: TypeProto) -> bool:
    for wrapper in ("optional_type", "sequence_type"):
        if kind.WhichOneof("value") == wrapper:
            kind = getattr(kind, wrapper).elem_type
    return kind.tensor_type.elem_type == _STRING


def _has_text(graph: GraphProto) -> bool:
    return any(tensor.data_type == _STRING for tensor in graph.initializer)


def _all_nodes(bodies: Iterable[Iterable[NodeProto]]) -> Iterator[NodeProto]:
    """All nodes, those of subgraphs included; without recursion, as files may nest deeply."""
    waiting = list(bodies)
    while waiting:
        for node in waiting.pop():
            yield node
            waiting += [graph.node for graph in subgraphs(node)]


def _is_of_text(node: NodeProto) -> bool:
    """True for a node that by itself tells that there are texts or files."""
    if node.op_type in HOST_OPS and schema_domain(node.domain) == "":
        return True
    return any(_attribute_is_text(node, attribute) for attribute in node.attribute) or any(
        map(_has_text, subgraphs(node))
    )


def _attribute_is_text(node: NodeProto, attribute: AttributeProto) -> bool:
    if (node.op_type, attribute.name) in _LISTS:
        return True
    if attribute.type == AttributeProto.TENSOR:
        return bool(attribute.t.data_type == _STRING)
    if (node.op_type, attribute.name) in _ELEMENT_ATTRIBUTES:
        return bool(attribute.i == _STRING)
    if attribute.type == AttributeProto.TYPE_PROTO:
        return _is_text(attribute.tp)
    return node.op_type == "Constant" and attribute.name in ("value_string", "value_strings")


def _needs_host(node: NodeProto, names: Collection[str]) -> bool:
    domain = schema_domain(node.domain)
    if domain:
        return False
    if node.op_type in HOST_OPS:
        return True
    return node.op_type in ("Cast", "CastLike") and any(
        name in names for name in (*node.input, *node.output)
    )


def _text_names(graph: GraphProto, around: set[str], opsets: dict[str, int]) -> set[str]:
    """The names of all values of a graph and its subgraphs that are texts."""
    names = around | {value.name for value in graph.input if _is_text(value.type)}
    names |= {tensor.name for tensor in graph.initializer if tensor.data_type == _STRING}
    names |= {value.name for value in graph.output if _is_text(value.type)}
    changed = True
    while changed:  # nodes need not be in order
        before = len(names)
        for node in graph.node:
            for inner in subgraphs(node):
                names |= _text_names(inner, names, opsets)
            names.update(_text_results(node, names, opsets))
        changed = len(names) > before
    return names


def _text_results(node: NodeProto, names: Collection[str], opsets: dict[str, int]) -> list[str]:
    """The names of the results of a node that are texts."""
    domain = schema_domain(node.domain)
    schema = schema_of(node, opsets.get(domain, 0))
    if schema is None:
        return []
    if node.op_type in _THROUGH and node.input and node.input[0] in names:
        return list(node.output)
    if node.op_type in ("Constant", "LabelEncoder", "Cast", "SequenceEmpty", "Optional"):
        makes = any(
            _attribute_is_text(node, a) and not a.name.startswith(("keys_", "default_"))
            for a in node.attribute
        )
        return list(node.output) if makes else []
    results = []
    kinds = {
        schema.inputs[min(k, len(schema.inputs) - 1)].type_str
        for k, name in enumerate(node.input)
        if name in names
    }
    if any(subgraphs(node)):
        bodies = [[_is_text(value.type) for value in g.output] for g in subgraphs(node)]
        flags = bodies[0][-len(node.output) :] if node.output else []
        return [name for name, text in zip(node.output, flags, strict=False) if text]
    for k, name in enumerate(node.output):
        formal = schema.outputs[min(k, len(schema.outputs) - 1)]
        if formal.type_str in kinds or list(formal.types) == ["tensor(string)"]:
            results.append(name)
    return [name for name in results if name]


def _encode_graph(graph: GraphProto, texts: Texts, left: Collection[str] = ()) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info):
        _encode_type(value.type)
    for tensor in graph.initializer:
        _encode_tensor(tensor, texts)
    for node in graph.node:
        if first_result(node) not in left:
            _encode_node(node, texts)


def _encode_type(kind: TypeProto) -> None:
    for wrapper in ("optional_type", "sequence_type"):
        if kind.WhichOneof("value") == wrapper:
            kind = getattr(kind, wrapper).elem_type
    if kind.tensor_type.elem_type == _STRING:
        kind.tensor_type.elem_type = _CODE


def _encode_tensor(tensor: TensorProto, texts: Texts) -> None:
    if tensor.data_type != _STRING:
        return
    shape, held = tuple(tensor.dims), len(tensor.string_data)
    if min(shape, default=0) < 0 or math.prod(shape) != held:
        raise ModelError(f"tensor {tensor.name!r} has shape {list(shape)} and {held} texts")
    codes = texts.encoded(np.array(list(tensor.string_data), object)).reshape(shape)
    tensor.CopyFrom(numpy_helper.from_array(codes, tensor.name))


def _encode_node(node: NodeProto, texts: Texts) -> None:
    if node.op_type == "LabelEncoder" and schema_domain(node.domain) == ML:
        _state_default(node)
    for attribute in node.attribute:
        _encode_attribute(node, attribute, texts)
    for graph in subgraphs(node):
        _encode_graph(graph, texts)


def _state_default(node: NodeProto) -> None:
    """The default of a LabelEncoder that gives texts, whose code no schema knows."""
    given = {attribute.name for attribute in node.attribute}
    if "values_strings" in given and "default_string" not in given:
        node.attribute.append(helper.make_attribute("default_string", "_Unused"))


def _encode_attribute(node: NodeProto, attribute: AttributeProto, texts: Texts) -> None:
    name = attribute.name
    if attribute.type == AttributeProto.TENSOR:
        _encode_tensor(attribute.t, texts)
    elif attribute.type == AttributeProto.TYPE_PROTO:
        _encode_type(attribute.tp)
    elif (node.op_type, name) == ("SequenceEmpty", "dtype"):
        attribute.i = _CODE if attribute.i == _STRING else attribute.i
    elif renamed := _LISTS.get((node.op_type, name)):
        codes = [texts.code(text) for text in attribute.strings]
        attribute.CopyFrom(helper.make_attribute(renamed, codes, attr_type=AttributeProto.INTS))
    elif (node.op_type, name) == ("LabelEncoder", "default_string"):
        attribute.CopyFrom(helper.make_attribute("default_int64", texts.code(attribute.s)))
    elif (node.op_type, name) == ("Constant", "value_string"):
        attribute.CopyFrom(helper.make_attribute("value_int", texts.code(attribute.s)))
    elif (node.op_type, name) == ("Constant", "value_strings"):
        codes = [texts.code(text) for text in attribute.strings]
        attribute.CopyFrom(
            helper.make_attribute("value_ints", codes, attr_type=AttributeProto.INTS)
        )
