"""An ONNX graph as text, in the onnx package's own syntax, without the numbers of its weights."""

from __future__ import annotations

import math

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, printer

_LARGEST = 16


def graph_text(model: ModelProto) -> str:
    """The model's graph; initializers and large tensors of attributes by their types only."""
    graph = model.graph
    opsets = ", ".join(
        f"{opset.domain or 'ai.onnx'} {opset.version}" for opset in model.opset_import
    )
    lines = [f"opset {opsets}"]
    lines += [f"initializer {_tensor_type(tensor)} {tensor.name!r}" for tensor in graph.initializer]
    shown = GraphProto(name=graph.name, input=graph.input, output=graph.output)
    shown.node.extend(map(_shortened, graph.node))
    return "\n".join([*lines, str(printer.to_text(shown))])


def _shortened(node: NodeProto) -> NodeProto:
    """A copy of the node with types in the place of large tensors."""
    copy = NodeProto()
    copy.CopyFrom(node)
    for attribute in copy.attribute:
        if attribute.type == AttributeProto.TENSOR and math.prod(attribute.t.dims) > _LARGEST:
            text = f"{_tensor_type(attribute.t)} ..."
            attribute.CopyFrom(helper.make_attribute(attribute.name, text))
    return copy


def _tensor_type(tensor: TensorProto) -> str:
    name = TensorProto.DataType.Name(tensor.data_type).lower()
    return f"{name}[{','.join(map(str, tensor.dims))}]"
