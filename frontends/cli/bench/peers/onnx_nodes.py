"""What the translations to torch and JAX share: an ONNX model as plain data.

A model is translated node by node: a table gives each kind of node a function of its inputs and
attributes. What depends on no input is computed once, when the model is loaded, by the onnx
package's reference; inputs that say how to compute rather than what (shapes, axes, limits of
slices) reach the functions as Python lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

Table = Mapping[str, Callable[..., Any]]

_STATIC: dict[str, tuple[int, ...]] = {
    "Clip": (1, 2),
    "Expand": (1,),
    "ReduceMean": (1,),
    "ReduceSum": (1,),
    "Reshape": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
}
# Before, a softmax was over all dims from its axis on.
_SOFTMAX_OF_ONE_AXIS = 13


@dataclass(frozen=True)
class Name:
    """An input that is a tensor."""

    text: str


@dataclass(frozen=True)
class Node:
    """A call of the table: `inputs` are tensors by name, lists and None."""

    kind: str
    inputs: tuple[Any, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


class Model:
    """Nodes, weights and names of a model file."""

    def __init__(self, path: str) -> None:
        model = onnx.load(path)
        graph = model.graph
        opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        constants: dict[str, Any] = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.inputs = [v.name for v in graph.input if v.name not in constants]
        self.outputs = [v.name for v in graph.output]
        self.nodes: list[Node] = []
        for node in graph.node:
            # The values that the graphs of loops and branches read are not among their inputs.
            closed = all(a.type != onnx.AttributeProto.GRAPH for a in node.attribute)
            if closed and all(name in constants for name in node.input if name):
                given = {name: constants[name] for name in node.input if name}
                found = _reference(node, model).run(None, given)
                constants.update(zip(node.output, found, strict=True))
            else:
                self.nodes.append(_node(node, constants, opset))
        read = {name.text for node in self.nodes for name in node.inputs if isinstance(name, Name)}
        self.weights = {name: constants[name] for name in constants if name in read}

    def check(self, table: Table) -> None:
        """NotImplementedError names the kinds of nodes that `table` does not know."""
        unknown = sorted({node.kind for node in self.nodes} - set(table))
        if unknown:
            raise NotImplementedError(f"no translation of {', '.join(unknown)}")

    def run(self, table: Table, weights: Mapping[str, Any], arrays: Sequence[Any]) -> list[Any]:
        """The outputs, each node by its function in `table`."""
        values = {**weights, **dict(zip(self.inputs, arrays, strict=True))}
        for node in self.nodes:
            inputs = [values[i.text] if isinstance(i, Name) else i for i in node.inputs]
            found = table[node.kind](*inputs, **node.attributes)
            if isinstance(found, (tuple, list)):
                values.update(zip(node.outputs, found, strict=False))
            else:
                values[node.outputs[0]] = found
        return [values[name] for name in self.outputs]


def _reference(node: Any, model: Any) -> ReferenceEvaluator:
    inputs = [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in node.input if name]
    outputs = [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in node.output]
    graph = onnx.helper.make_graph([node], "constant", inputs, outputs)
    return ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=model.opset_import))


def _node(node: Any, constants: Mapping[str, Any], opset: int) -> Node:
    static = _STATIC.get(node.op_type, ())
    inputs: list[Any] = []
    for position, name in enumerate(node.input):
        if not name:
            inputs.append(None)
        elif position in static:
            if name not in constants:
                raise NotImplementedError(f"{node.op_type} {node.name}: {name} is no constant")
            inputs.append(constants[name].tolist())
        else:
            inputs.append(Name(name))
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    kind = node.op_type
    if kind == "Softmax" and opset < _SOFTMAX_OF_ONE_AXIS:
        kind = "SoftmaxOfRows"
    return Node(kind, tuple(inputs), tuple(node.output), attributes)
