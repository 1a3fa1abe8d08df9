"""Operators that are defined by other operators: model-local functions and schema bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import AttributeProto, FunctionProto, NodeProto, TypeProto, helper
from onnx.defs import OpSchema, onnx_opset_version

from tensorkiln.frontends.onnx.elements import ELEMENT_OF_DTYPE
from tensorkiln.frontends.onnx.operand import Entry, Items, Operand
from tensorkiln.frontends.onnx.schemas import as_function, schema_domain
from tensorkiln.frontends.onnx.structure import describe
from tensorkiln.runtime.errors import ModelError


def schema_body(
    node: NodeProto, schema: OpSchema, version: int, operands: Sequence[Entry | None]
) -> FunctionProto | None:
    """The operator's body by its schema, as of opset `version`; None if it is a primitive.

    Bodies are written for the opset that introduced them or a later one, never a newer one than
    the model's.
    """
    source, body = as_function(schema), FunctionProto()
    written = [v for v in source.function_opset_versions if v <= version]
    if written:
        body.ParseFromString(source.get_function_with_opset_version(max(written)))
        _add_defaults(body, schema)
        return body
    written = [v for v in source.context_dependent_function_opset_versions if v <= version]
    if written:
        types = [_type_bytes(operand) for operand in operands]
        data = source.get_context_dependent_function_with_opset_version(
            max(written), node.SerializeToString(), types
        )
        body.ParseFromString(data)
        _add_defaults(body, schema)
        return body if body.node else None
    return None


def _add_defaults(body: FunctionProto, schema: OpSchema) -> None:
    """Schema defaults of attributes, which bodies refer to without stating them."""
    declared = {attribute.name for attribute in body.attribute_proto}
    for name, attribute in schema.attributes.items():
        default = attribute.default_value
        if default.type and name not in declared:
            body.attribute_proto.append(default)


def _type_bytes(entry: Entry | None) -> bytes:
    return b"" if entry is None else bytes(_type_proto(entry).SerializeToString())


def _type_proto(entry: Entry) -> TypeProto:
    if isinstance(entry, Operand):
        return helper.make_tensor_type_proto(ELEMENT_OF_DTYPE[entry.dtype], entry.shape)
    if isinstance(entry, Items):
        item = helper.make_tensor_type_proto(ELEMENT_OF_DTYPE[entry.dtype], None)
        return helper.make_sequence_type_proto(item)
    # What an empty optional could hold, no schema's body asks for.
    inner = TypeProto() if entry.content is None else _type_proto(entry.content)
    return helper.make_optional_type_proto(inner)


def instantiate(body: FunctionProto, call: NodeProto) -> list[NodeProto]:
    """The body's nodes with references to the function's attributes replaced by the call's.

    An attribute that the call does not give and the function has no default for is left out.
    Nodes are named after the call, those of subgraphs too.
    """
    given = {attribute.name: attribute for attribute in body.attribute_proto}
    given.update((attribute.name, attribute) for attribute in call.attribute)
    name = call.name or next((o for o in call.output if o), "")
    return [_bound(node, given, name) for node in body.node]


def _bound(node: NodeProto, given: Mapping[str, AttributeProto], name: str) -> NodeProto:
    bound = NodeProto()
    bound.CopyFrom(node)
    bound.name = name
    del bound.attribute[:]
    for attribute in node.attribute:
        if not attribute.ref_attr_name:
            bound.attribute.append(_bound_graphs(attribute, given, name))
            continue
        source = given.get(attribute.ref_attr_name)
        if source is not None:
            copy = AttributeProto()
            copy.CopyFrom(source)
            copy.name = attribute.name
            bound.attribute.append(copy)
    return bound


def _bound_graphs(
    attribute: AttributeProto, given: Mapping[str, AttributeProto], name: str
) -> AttributeProto:
    if attribute.type != AttributeProto.GRAPH:
        return attribute
    copy = AttributeProto()
    copy.CopyFrom(attribute)
    nodes = [_bound(node, given, name) for node in attribute.g.node]
    del copy.g.node[:]
    copy.g.node.extend(nodes)
    return copy


def body_opsets(body: FunctionProto, around: Mapping[str, int]) -> dict[str, int]:
    """Opset versions of a body: its own, else those around it, else the newest standard one."""
    own = {schema_domain(opset.domain): opset.version for opset in body.opset_import}
    return {"": onnx_opset_version(), **around, **own}


def body_scope(
    body: FunctionProto, call: NodeProto, operands: Sequence[Entry | None]
) -> dict[str, Entry | None]:
    """The body's inputs by name; those that the call leaves out are None."""
    if len(operands) > len(body.input):
        raise ModelError(
            f"{describe(call)} has {len(operands)} inputs; function {body.name} takes "
            f"{len(body.input)}"
        )
    given = [*operands, *[None] * (len(body.input) - len(operands))]
    return dict(zip(body.input, given, strict=True))
