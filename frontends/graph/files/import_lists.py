"""TensorFlow 2's lists of tensors, which its arrays of tensors are made of: here they are arrays."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.files.import_nodes import Build, Node
from tensorkiln.frontends.graph.statics import static_shape
from tensorkiln.frontends.graph.tensor import Tensor


def _array(dtype: object, sizes: object) -> dict[str, object]:
    return {"dtype": dtype, "element_shape": sizes, "dynamic_size": False}


def _reserve(node: Node) -> Sequence[Tensor]:
    attributes = _array(node.attributes()["element_dtype"], static_shape(node.inputs[0]))
    return node.operation("TensorArrayV3", node.inputs[1:], attributes).outputs


def _from_tensor(node: Node) -> Sequence[Tensor]:
    value = node.inputs[0]
    shape = node.helper("shape", "Shape", (value,), {"out_type": dtypes.int32})
    zero = node.constant("zero", 0)
    count = node.helper("count", "GatherV2", (shape, zero, zero), {"batch_dims": 0})
    sizes = None if value.sizes is None else value.sizes[1:]
    array = node.helper("array", "TensorArrayV3", (count,), _array(value.dtype.base_dtype, sizes))
    return node.operation("TensorArrayUnstack", (array, value), {}).outputs


def _set(node: Node) -> Sequence[Tensor]:
    return node.operation("TensorArrayWriteV3", node.inputs[:3], {"dynamic_size": False}).outputs


def _get(node: Node) -> Sequence[Tensor]:
    sizes = static_shape(node.inputs[2])
    known = sizes is not None and None not in sizes
    attributes = {"sizes": sizes if known else None}
    return node.operation("TensorArrayReadV3", node.inputs[:2], attributes).outputs


def _stack(node: Node) -> Sequence[Tensor]:
    attributes = {"sizes": static_shape(node.inputs[1]), "size": None}
    return node.operation("TensorArrayStack", node.inputs[:1], attributes).outputs


def _length(node: Node) -> Sequence[Tensor]:
    return node.operation("TensorArraySizeV3", node.inputs, {}).outputs


def _empty(node: Node) -> Sequence[Tensor]:
    """A list to which a loop adds what its gradient wants: nobody reads it here."""
    node.operation("NoOp", (), {})
    return ()


BUILDERS: dict[str, Build] = {
    "EmptyTensorList": _empty,
    "TensorListFromTensor": _from_tensor,
    "TensorListGetItem": _get,
    "TensorListLength": _length,
    "TensorListReserve": _reserve,
    "TensorListSetItem": _set,
    "TensorListStack": _stack,
}
"""Lists of a fixed length, as arrays of tensors use them."""
