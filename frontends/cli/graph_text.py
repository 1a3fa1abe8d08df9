"""An ONNX graph as text: a line an input, output, initializer and node."""

from __future__ import annotations

from onnx import ModelProto, TensorProto, printer

_LONGEST = 400


def graph_text(model: ModelProto) -> str:
    """The model's graph; initializers by type only, nodes with large attributes cut short."""
    graph = model.graph
    opsets = ", ".join(
        f"{opset.domain or 'ai.onnx'} {opset.version}" for opset in model.opset_import
    )
    lines = [f"graph {graph.name!r}  opset {opsets}"]
    lines += [f"input {printer.to_text(value)}" for value in graph.input]
    lines += [f"output {printer.to_text(value)}" for value in graph.output]
    lines += [f"initializer {_tensor_type(tensor)} {tensor.name!r}" for tensor in graph.initializer]
    lines += [_short(printer.to_text(node)) for node in graph.node]
    return "\n".join(lines)


def _tensor_type(tensor: TensorProto) -> str:
    name = TensorProto.DataType.Name(tensor.data_type).lower()
    return f"{name}[{','.join(map(str, tensor.dims))}]"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."
