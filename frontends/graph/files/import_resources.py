"""Variables that are resources in a file: their ops as those of our variables.

A resource is a handle that ops get; here the handle is the variable's tensor.  Ops that pass a
handle on (an Identity, a Switch) give the variable itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph.files.import_nodes import RESOURCE_OPS, Build, Node
from tensorkiln.frontends.graph.lowering import variable_of
from tensorkiln.frontends.graph.tensor import Tensor

SIDE, MERGED = "_switch", "_merged"
"""Attributes that say in which branch an op is, and of which branches a result was chosen."""


def variable(tensor: Tensor) -> Tensor:
    """The variable that a handle stands for; ValueError if it is none."""
    found = variable_of(tensor)
    if found is None:
        raise ValueError(f"its input {tensor.name!r} is no variable")
    return found.outputs[0]


def passed_on(node: Node) -> Sequence[Tensor]:
    """The node of a handle that is handed on."""
    return node.operation("PassVariable", node.inputs[:1], {}).outputs


def is_handle(node: Node) -> bool:
    """True if the first input is a variable (and no value read from one)."""
    return bool(node.inputs) and node.inputs[0].dtype.is_ref and node.holds_resource


def _updating(kind: str) -> Build:
    """The op `kind` of our variables; a resource's has no output."""

    def build(node: Node) -> Sequence[Tensor]:
        attributes = {k: v for k, v in node.attributes().items() if k not in _TYPES}
        if not attributes.pop("update_slots", True):
            raise ValueError("updates without update_slots are not supported")
        node.operation(kind, node.inputs, attributes)
        return ()

    return build


_TYPES = ("dtype", "T", "Tindices")


def _read(node: Node) -> Sequence[Tensor]:
    return node.operation("Identity", (variable(node.inputs[0]),), _reading(node)).outputs


def _reading(node: Node) -> dict[str, object]:
    """The attributes of what reads the variable; it is in the branches that the handle is in."""
    sides: set[object] = set()
    tensor = node.inputs[0]
    while tensor.op.type == "PassVariable":
        sides |= {tensor.op.attributes[SIDE]} if SIDE in tensor.op.attributes else set()
        tensor = tensor.op.inputs[0]
    return {"_read": True, MERGED: frozenset(sides)} if sides else {"_read": True}


def _assign(node: Node) -> Sequence[Tensor]:
    attributes = {"validate_shape": node.attributes()["validate_shape"]}
    return node.operation("Assign", node.inputs, attributes).outputs


def _value(node: Node) -> Tensor:
    return node.helper("value", "Identity", (variable(node.inputs[0]),), _reading(node))


def _gather(node: Node) -> Sequence[Tensor]:
    batch = node.attributes()["batch_dims"]
    inputs = (_value(node), node.inputs[1], node.constant("axis", batch))
    return node.operation("GatherV2", inputs, {"batch_dims": batch}).outputs


def _gather_nd(node: Node) -> Sequence[Tensor]:
    return node.operation("GatherNd", (_value(node), node.inputs[1]), {}).outputs


def _shape(node: Node) -> Sequence[Tensor]:
    attributes = {"out_type": node.attributes()["out_type"]}
    return node.operation("Shape", (_value(node),), attributes).outputs


BUILDERS: dict[str, Build] = {
    **{name: _updating(kind) for name, kind in RESOURCE_OPS.items()},
    "AssignVariableOp": _assign,
    "ReadVariableOp": _read,
    "ResourceGather": _gather,
    "ResourceGatherNd": _gather_nd,
    "VariableShape": _shape,
}
"""Ops of resources that have another form here."""
