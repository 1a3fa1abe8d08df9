"""Operator schemas of the onnx package, and what they demand of a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from onnx import NodeProto
from onnx.defs import OpSchema, SchemaError, get_schema

from tensorkiln.frontends.onnx.load import STANDARD
from tensorkiln.frontends.onnx.operand import Entry
from tensorkiln.frontends.onnx.structure import describe
from tensorkiln.runtime.errors import ModelError


class FunctionSchema(Protocol):
    """The part of a schema that defines an operator by others; the package's stubs lack it."""

    function_opset_versions: list[int]
    context_dependent_function_opset_versions: list[int]

    def get_function_with_opset_version(self, version: int, /) -> bytes:
        """A FunctionProto written for an opset version."""
        ...

    def get_context_dependent_function_with_opset_version(
        self, version: int, node: bytes, types: list[bytes], /
    ) -> bytes:
        """A FunctionProto for a node with inputs of known types."""
        ...


def as_function(schema: OpSchema) -> FunctionSchema:
    """The schema, typed as what it is."""
    return cast(FunctionSchema, schema)


def schema_domain(domain: str) -> str:
    """The domain as schemas spell it: the standard one is the empty string."""
    return "" if domain in STANDARD else domain


def schema_of(node: NodeProto, version: int) -> OpSchema | None:
    """The operator's schema as of opset `version` of its domain; None if there is none."""
    try:
        return get_schema(node.op_type, version, schema_domain(node.domain))
    except SchemaError:
        return None


def check_node(node: NodeProto, schema: OpSchema, operands: Sequence[Entry | None]) -> None:
    """ModelError unless operand count, attribute names and dtypes are what the schema allows."""
    count, results = len(node.input), len(node.output)
    if not schema.min_input <= count <= schema.max_input:
        raise ModelError(f"{describe(node)} has {count} inputs; {_range(schema, True)}")
    if not schema.min_output <= results <= schema.max_output:
        raise ModelError(f"{describe(node)} has {results} outputs; {_range(schema, False)}")
    for attribute in node.attribute:
        if attribute.name not in schema.attributes:
            raise ModelError(
                f"{describe(node)} has an attribute {attribute.name!r}, which {schema.name} of "
                f"opset {schema.since_version} does not know"
            )
    _check_types(node, schema, operands)


def _range(schema: OpSchema, inputs: bool) -> str:
    low, high = (
        (schema.min_input, schema.max_input) if inputs else (schema.min_output, schema.max_output)
    )
    allowed = str(low) if low == high else f"{low} to {high}"
    return f"{schema.name} of opset {schema.since_version} has {allowed}"


def _check_types(node: NodeProto, schema: OpSchema, operands: Sequence[Entry | None]) -> None:
    bound: dict[str, tuple[str, str]] = {}
    for position, operand in enumerate(operands):
        formal = schema.inputs[min(position, len(schema.inputs) - 1)]
        if operand is None:
            if formal.option == OpSchema.FormalParameterOption.Single:
                raise ModelError(f"{describe(node)} lacks its input {formal.name}")
            continue
        found = operand.kind
        if found not in formal.types:
            raise ModelError(
                f"{describe(node)}: input {formal.name} ({operand.name!r}) is {found}; allowed are "
                f"{', '.join(sorted(formal.types))}"
            )
        variable = formal.type_str
        if "(" in variable or not formal.is_homogeneous:
            continue
        kind, other = bound.setdefault(variable, (found, operand.name))
        if kind != found:
            raise ModelError(
                f"{describe(node)}: input {formal.name} ({operand.name!r}) is {found} and input "
                f"{other!r} is {kind}; they must be the same"
            )
