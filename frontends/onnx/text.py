"""Checks that the names in a model are text: protobuf hands over bytes where they are not UTF-8."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto

from tensorkiln.runtime.errors import ModelError


def check_text(model: ModelProto) -> None:
    """ModelError if a name of a value, node, operator, attribute or domain is not UTF-8."""
    for name in _model_names(model):
        if not isinstance(name, str):
            raise ModelError(f"a name in the model is not UTF-8 text: {str(name)[:60]}")


def _model_names(model: ModelProto) -> Iterator[object]:
    yield from (opset.domain for opset in model.opset_import)
    for function in model.functions:
        yield from (function.name, function.domain, *function.input, *function.output)
        yield from function.attribute
        yield from (opset.domain for opset in function.opset_import)
        yield from _node_names(function.node)
    yield from _graph_names(model.graph)


def _graph_names(graph: GraphProto) -> Iterator[object]:
    for value in (*graph.input, *graph.output):
        yield value.name
        yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
    for tensor in graph.initializer:
        yield tensor.name
        yield from (text for e in tensor.external_data for text in (e.key, e.value))
    yield from _node_names(graph.node)


def _node_names(nodes: Iterable[NodeProto]) -> Iterator[object]:
    for node in nodes:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield from (attribute.name, attribute.ref_attr_name)
            if attribute.type == AttributeProto.GRAPH:
                yield from _graph_names(attribute.g)
