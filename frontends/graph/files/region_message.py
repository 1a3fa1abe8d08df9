"""A region of a loop or branch of TensorFlow's, in the form in which ours are written."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph.files.attributes import attribute_proto
from tensorkiln.frontends.graph.files.import_nodes import RESOURCE_OPS
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.proto_graph import AttrValue
from tensorkiln.frontends.graph.kinds import TABLE


def region_message(
    parameters: Sequence[str], outputs: Sequence[str], order: Sequence[str]
) -> Proto:
    """A region as `export_regions` writes it, each op a batch of its own."""
    message = AttrValue.ListValue().func.add(name="region")
    fields = {
        "parameters": tuple(f"{name}:0" for name in parameters),
        "outputs": tuple(text if ":" in text else f"{text}:0" for text in outputs),
        "captured": (),
        "order": tuple(part for name in order for part in (name, "")),
        "before": (),
    }
    for key, names in fields.items():
        message.attr[key].CopyFrom(attribute_proto(names, "strings"))
    return message


def changes_state(node: Proto) -> bool:
    """True if a node changes a variable."""
    op_type = str(node.op)
    kind = TABLE.get(RESOURCE_OPS.get(op_type, op_type))
    return op_type == "AssignVariableOp" or (kind is not None and kind.writes)
