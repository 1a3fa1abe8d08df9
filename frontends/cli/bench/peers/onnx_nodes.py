"""What the translations to torch and JAX share: an ONNX model as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx
from onnx import numpy_helper

Table = Mapping[str, Callable[..., Any]]


class Model:
    """Nodes, weights and names of a model file."""

    def __init__(self, path: str) -> None:
        graph = onnx.load(path).graph
        self.weights: dict[str, Any] = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.inputs = [v.name for v in graph.input]
        self.outputs = [v.name for v in graph.output]
        self._nodes = [
            (
                node.op_type,
                list(node.input),
                node.output[0],
                {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute},
            )
            for node in graph.node
        ]

    def run(self, table: Table, weights: Mapping[str, Any], arrays: Sequence[Any]) -> list[Any]:
        """The outputs, each node by its function in `table`; a KeyError names a missing one."""
        values = {**weights, **dict(zip(self.inputs, arrays, strict=True))}
        for kind, inputs, output, attributes in self._nodes:
            values[output] = table[kind](*[values[name] for name in inputs if name], **attributes)
        return [values[name] for name in self.outputs]
