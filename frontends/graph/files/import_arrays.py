"""TensorFlow's arrays of tensors, whose ops take a handle and a flow; here the flow is the array."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph.files.import_nodes import Build, Node
from tensorkiln.frontends.graph.tensor import Tensor


def _create(node: Node) -> Sequence[Tensor]:
    """The handle is the flow, too."""
    given = node.attributes()
    attributes = {
        "dtype": given["dtype"],
        "element_shape": given["element_shape"],
        "dynamic_size": given["dynamic_size"],
    }
    (flow,) = node.operation("TensorArrayV3", node.inputs, attributes).outputs
    return (flow, flow)


def _read(node: Node) -> Sequence[Tensor]:
    _, index, flow = node.inputs
    return node.operation("TensorArrayReadV3", (flow, index), {"sizes": None}).outputs


def _write(node: Node) -> Sequence[Tensor]:
    _, index, value, flow = node.inputs
    attributes = {"dynamic_size": False}
    return node.operation("TensorArrayWriteV3", (flow, index, value), attributes).outputs


def _scatter(node: Node) -> Sequence[Tensor]:
    """All of an array at once, as unstack makes it, is no scatter."""
    _, indices, value, flow = node.inputs
    if indices.op.type == "Range":
        return node.operation("TensorArrayUnstack", (flow, value), {}).outputs
    return node.operation("TensorArrayScatterV3", (flow, indices, value), {}).outputs


def _gather(node: Node) -> Sequence[Tensor]:
    _, indices, flow = node.inputs
    attributes = {"sizes": node.attributes()["element_shape"]}
    return node.operation("TensorArrayGatherV3", (flow, indices), attributes).outputs


def _size(node: Node) -> Sequence[Tensor]:
    return node.operation("TensorArraySizeV3", node.inputs[1:], {}).outputs


def _gradient(node: Node) -> Sequence[Tensor]:
    """An array as long as another, of zeros: where that one's gradient is put together."""
    first = node.inputs[0]
    while first.op.type == "Identity":
        first = first.op.inputs[0]
    if first.op.type != "TensorArrayV3":
        raise ValueError(f"its input {first.name!r} is no array of tensors")
    (flow,) = node.operation("TensorArrayV3", first.op.inputs, first.op.attributes).outputs
    return (flow, flow)


COMPOSED: dict[str, Build] = {"TensorArrayGradV3": _gradient}
"""Types that we have no op for."""

BUILDERS: dict[str, Build] = {
    "TensorArrayGatherV3": _gather,
    "TensorArrayReadV3": _read,
    "TensorArrayScatterV3": _scatter,
    "TensorArraySizeV3": _size,
    "TensorArrayV3": _create,
    "TensorArrayWriteV3": _write,
}
"""How TensorFlow's nodes of these types are read; those of our own are taken as they are."""
