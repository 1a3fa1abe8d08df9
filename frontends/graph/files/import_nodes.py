"""One node of a graph definition as operations of a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.files.adaptations import ADAPTATIONS
from tensorkiln.frontends.graph.files.attributes import attribute_value
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.signatures import (
    FOREIGN,
    MARK,
    SIGNATURES,
    Signature,
    signature_of,
)
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.kinds import TABLE
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_apply import UPDATES
from tensorkiln.frontends.graph.tensor import Tensor


@dataclass(frozen=True)
class Node:
    """A node with its inputs; `name` is the full name that its operation gets."""

    graph: Graph
    definition: Proto
    name: str
    inputs: Sequence[Tensor]

    @property
    def holds_resource(self) -> bool:
        """True if its type attribute says that it passes a resource on."""
        return (
            int(self.definition.attr["T"].type) in OPAQUE if "T" in self.definition.attr else False
        )

    @property
    def type(self) -> str:
        """The op type in the file."""
        return str(self.definition.op)

    def attributes(self) -> dict[str, object]:
        """The attributes that do not follow from the inputs, with defaults.

        ValueError for a missing one or a type that is none; NotImplementedError for kinds that do not exist here.
        """
        definition = signature(self.definition)
        derived = definition.derived()
        found = {
            name: attribute_value(value)
            for name, value in self.definition.attr.items()
            if name not in derived and not name.startswith("_")
        }
        for attribute in definition.attributes:
            if attribute.name in found:
                if attribute.kind == "type" and not isinstance(found[attribute.name], DType):
                    raise ValueError(f"the attribute {attribute.name!r} is no type")
                continue
            if not attribute.has_default:
                raise ValueError(f"the attribute {attribute.name!r} is missing")
            found[attribute.name] = attribute.default
        return found

    def operation(
        self, kind: str, inputs: Sequence[Tensor], attributes: Mapping[str, object]
    ) -> Operation:
        """The operation that has the node's name; ValueError if its attributes give no types."""
        made = self.graph.create_op(TABLE[kind], inputs, attributes, f"{self.name}/")
        if not all(isinstance(tensor.dtype, DType) for tensor in made.outputs):
            raise ValueError("an attribute that should name a type does not")
        return made

    def helper(
        self,
        suffix: str,
        kind: str,
        inputs: Sequence[Tensor] = (),
        attributes: Mapping[str, object] | None = None,
    ) -> Tensor:
        """The output of an operation below the node's name."""
        name = f"{self.name}/{suffix}/"
        return self.graph.create_op(TABLE[kind], inputs, attributes or {}, name).outputs[0]

    def constant(self, suffix: str, value: object, dtype: DTypeLike = np.int32) -> Tensor:
        """A constant below the node's name."""
        array = np.asarray(value).astype(dtype)
        kind = dtypes.as_dtype(array.dtype)
        return self.helper(suffix, "Const", (), {"value": array, "dtype": kind})


_DTYPES = {dtype.name: dtype for dtype in dtypes.ALL}

OPAQUE = frozenset((20, 21))
"""The numbers of the types of handles: resources and variants."""

RESOURCE_OPS = {
    "AssignAddVariableOp": "AssignAdd",
    "AssignSubVariableOp": "AssignSub",
    **{f"Resource{name}": name for name, *_ in UPDATES},
    **{f"ResourceSparse{name}": f"Sparse{name}" for name, *_ in UPDATES},
    **{
        f"ResourceScatter{kind}": f"Scatter{kind}"
        for kind in ("Add", "Div", "Max", "Min", "Mul", "Sub", "Update")
    },
    **{f"ResourceScatterNd{kind}": f"ScatterNd{kind}" for kind in ("Add", "Sub", "Update")},
}
"""Ops that change a resource, as the ops of the variables that we have."""

Build: TypeAlias = Callable[[Node], Sequence[Tensor]]
"""Makes a node's operations; the result are the node's outputs."""


def signature(definition: Proto) -> Signature:
    """How a node's op type looks in a graph definition."""
    op_type = str(definition.op)
    op_type = RESOURCE_OPS.get(op_type, op_type)
    if op_type in FOREIGN and MARK not in definition.attr:
        return FOREIGN[op_type]
    return SIGNATURES[op_type] if op_type in SIGNATURES else signature_of(TABLE[op_type])


def same_kind(node: Node) -> Sequence[Tensor]:
    """The op of the same type."""
    return renamed(node.type)(node)


def renamed(kind: str) -> Build:
    """A builder: the op `kind`, with the same inputs and attributes."""

    def build(node: Node) -> Sequence[Tensor]:
        attributes: Mapping[str, object] = node.attributes()
        adaptation = ADAPTATIONS.get(kind)
        if adaptation is not None:
            attributes = adaptation.restore(attributes, node.inputs)
        return node.operation(kind, node.inputs, attributes).outputs

    return build


def check_inputs(node: Node) -> None:
    """ValueError if the number or the types of the inputs are not those of the op type."""
    if node.type == "RegionInput":
        return  # it may have the value that enters as an example
    given = list(node.inputs)
    definition = signature(node.definition)
    fixed = sum(not item.is_list for item in definition.inputs)
    lists = len(definition.inputs) - fixed
    rest = len(given) - fixed
    if rest < 0 or (not lists and rest) or (lists and rest % lists):
        wanted = f"{fixed} or more" if lists else str(fixed)
        raise ValueError(f"it has {len(given)} inputs, its type takes {wanted}")
    for item in definition.inputs:
        count = rest // lists if item.is_list else 1
        own, given = given[:count], given[count:]
        expected = _expected(node, item.type)
        for tensor in own:
            actual = tensor.dtype.base_dtype
            if expected is not None and actual is not expected:
                raise ValueError(
                    f"input {item.name!r} is {tensor.name!r} of type {actual.name}, "
                    f"incompatible with expected {expected.name}"
                )


def _expected(node: Node, kind: str) -> DType | None:
    """The type that inputs of a declared type must have, None if any will do."""
    if kind in _DTYPES:
        return _DTYPES[kind]
    if kind in node.definition.attr and node.definition.attr[kind].type not in OPAQUE:
        value = attribute_value(node.definition.attr[kind])
        return value.base_dtype if isinstance(value, DType) else None
    return None
