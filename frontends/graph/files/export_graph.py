"""Graphs as TensorFlow's graph definitions (GraphDef)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tensorkiln.frontends.graph.files import data_types
from tensorkiln.frontends.graph.files.adaptations import ADAPTATIONS
from tensorkiln.frontends.graph.files.attributes import attribute_proto
from tensorkiln.frontends.graph.files.export_regions import add_regions
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.proto_graph import AttrValue, GraphDef, NodeDef, OpDef
from tensorkiln.frontends.graph.files.signatures import MARK, PRIVATE, Signature, signature_of

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.operation import Operation
    from tensorkiln.frontends.graph.tensor import Tensor

# The version of graph definitions that TensorFlow 1.15 writes.
_PRODUCER = 134
_KEPT = ("_class", "_XlaCompile", "_XlaScope", "_XlaSeparateCompiledGradients")
_EXPORTED_AS = {"InTopK": "InTopKV2"}


def graph_def(operations: Iterable[Operation], add_shapes: bool = False) -> Proto:
    """The definition of a graph with these operations, in their order."""
    message = GraphDef()
    message.versions.producer = _PRODUCER
    for op in operations:
        node = message.node.add()
        node.CopyFrom(node_def(op))
        if add_shapes:
            shapes = node.attr["_output_shapes"].list
            shapes.SetInParent()
            shapes.shape.extend(data_types.shape_proto(tensor.sizes) for tensor in op.outputs)
    return message


def node_def(op: Operation) -> Proto:
    """The definition of one operation.

    Attributes have the names and kinds of TensorFlow's op of that type; those that are no data
    (functions of the program) are left out.
    """
    message = NodeDef(name=op.name, op=_EXPORTED_AS.get(op.type, op.type), device=op.device)
    message.input.extend(_input_name(tensor) for tensor in op.inputs)
    message.input.extend(f"^{before.name}" for before in op.control_inputs)
    signature = signature_of(op.kind)
    attributes = _type_attributes(op, signature)
    adaptation = ADAPTATIONS.get(op.type)
    given = op.attributes if adaptation is None else adaptation.export(op.attributes)
    kinds = {attribute.name: attribute.kind for attribute in signature.attributes}
    for name, value in given.items():
        if name in attributes or (name.startswith("_") and name not in _KEPT):
            continue
        if value is None and kinds.get(name) != "shape":
            continue
        encoded = attribute_proto(value, kinds.get(name))
        if encoded is not None:
            attributes[name] = encoded
    if op.type in PRIVATE:
        attributes[MARK] = AttrValue(b=True)
    if op.flag("_read"):
        attributes["_class"] = attribute_proto((f"loc:@{op.inputs[0].op.name}",))
    for name, value in attributes.items():
        message.attr[name].CopyFrom(value)
    add_regions(op, message)
    return message


def op_def(op: Operation) -> Proto:
    """What is known of an op's type: its arguments and attributes."""
    signature = signature_of(op.kind)
    message = OpDef(name=op.type, is_stateful=bool(op.kind.writes) or "seed" in op.attributes)
    for item in signature.inputs:
        argument = message.input_arg.add(name=item.name)
        if item.number:
            argument.number_attr = item.number
        if item.is_attribute:
            argument.type_attr = item.type
    for number in range(len(op.outputs)):
        message.output_arg.add(name="output" if number == 0 else f"output_{number}")
    for name in sorted(op.node_def.attr):
        if not name.startswith("_"):
            message.attr.add(name=name)
    return message


def _input_name(tensor: Tensor) -> str:
    return tensor.op.name if tensor.value_index == 0 else tensor.name


def _type_attributes(op: Operation, signature: Signature) -> dict[str, Proto]:
    """The attributes that follow from the inputs: types and lengths of lists."""
    found: dict[str, Proto] = {}
    tensors = list(op.inputs)
    fixed = sum(not item.is_list for item in signature.inputs)
    lists = len(signature.inputs) - fixed
    for item in signature.inputs:
        count = (len(op.inputs) - fixed) // lists if item.is_list else 1
        own, tensors = tensors[:count], tensors[count:]
        if item.number:
            found[item.number] = AttrValue(i=count)
        if not item.is_attribute:
            continue
        numbers = [data_types.number_of(tensor.dtype.base_dtype) for tensor in own]
        if item.is_list and not item.number:
            found[item.type] = AttrValue(list=AttrValue.ListValue(type=numbers))
        elif numbers:
            found[item.type] = AttrValue(type=numbers[0])
    return found
