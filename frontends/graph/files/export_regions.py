"""Loops and branches in graph definitions.

Their regions are lists of names in the attributes of the node that runs them (TensorFlow would
have functions there); the node waits for the regions' nodes, so that whoever cuts a definition
down keeps them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorkiln.frontends.graph.files import data_types
from tensorkiln.frontends.graph.files.attributes import attribute_proto
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.proto_graph import AttrValue

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.operation import Operation
    from tensorkiln.frontends.graph.regions import Region

REGIONS, CONTROL, DTYPES, SHAPES = "_regions", "_control", "_dtypes", "_shapes"
LISTS = ("parameters", "outputs", "captured")


def add_regions(op: Operation, message: Proto) -> None:
    """Adds the regions that `op` runs to its definition; nothing for other ops."""
    regions = op.attributes.get("regions")
    results = op.attributes.get("results")
    if not isinstance(regions, tuple) or not isinstance(results, tuple):
        return
    control = [before.name for before in op.control_inputs]
    message.attr[CONTROL].CopyFrom(attribute_proto(tuple(control), "strings"))
    dtypes, shapes = message.attr[DTYPES].list, message.attr[SHAPES].list
    dtypes.SetInParent()
    shapes.SetInParent()
    for dtype, sizes in results:
        dtypes.type.append(data_types.number_of(dtype))
        shapes.shape.append(data_types.shape_proto(sizes))
    inner: dict[str, None] = {}
    for region in regions:
        message.attr[REGIONS].list.func.append(_region(region))
        inner |= dict.fromkeys(item.name for batch in region.order for item in batch)
        inner |= dict.fromkeys(tensor.op.name for tensor in (*region.parameters, *region.outputs))
    message.input.extend(f"^{name}" for name in inner if name not in control)


def _region(region: Region) -> Proto:
    """The names of a region's tensors; those of its ops with "" after each batch."""
    message = AttrValue.ListValue().func.add(name="region")
    for key in LISTS:
        names = tuple(tensor.name for tensor in getattr(region, key))
        message.attr[key].CopyFrom(attribute_proto(names, "strings"))
    order = tuple(name for batch in region.order for name in (*(op.name for op in batch), ""))
    message.attr["order"].CopyFrom(attribute_proto(order, "strings"))
    before = tuple(op.name for op in region.before)
    message.attr["before"].CopyFrom(attribute_proto(before, "strings"))
    return message
