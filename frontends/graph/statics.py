"""What is known of a tensor's value while the graph is built: shapes computed by ops."""

from __future__ import annotations

import numpy as np

from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.dimension import Size, as_size
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.shapes import Sizes
from tensorkiln.frontends.graph.tensor import Tensor

Vector = tuple[Size, ...]


def static_array(tensor: Tensor) -> Array | None:
    """The tensor's value if it does not depend on a feed or a variable and is easily known."""
    op = tensor.op
    if op.type == "Const":
        value = op.attributes["value"]
        assert isinstance(value, np.ndarray)
        return value
    if op.type == "Cast" and op.inputs[0].op.type == "Const" and tensor.sizes == ():
        inner = static_array(op.inputs[0])
        return None if inner is None else inner.astype(tensor.dtype.numpy)
    if tensor.dtype.is_integer and tensor.sizes is not None and len(tensor.sizes) <= 1:
        vector = static_vector(tensor)
        if vector is not None and None not in vector:
            array = np.array(vector, tensor.dtype.numpy)
            return array.reshape(()) if tensor.sizes == () else array
    return None


def static_integer(tensor: Tensor) -> int | None:
    """The value of an integer scalar, if it is known."""
    array = static_array(tensor)
    return None if array is None else int(array.reshape(()).item())


def static_integers(tensor: Tensor) -> tuple[int, ...] | None:
    """The values of an integer scalar or vector, if they are known."""
    array = static_array(tensor)
    return None if array is None else tuple(int(item) for item in array.reshape(-1))


def static_shape(tensor: Tensor) -> Sizes:
    """The sizes that an integer vector holds, -1 and unknown elements as None."""
    vector = static_vector(tensor)
    if vector is None:
        sizes = tensor.sizes
        return None if sizes is None or sizes == () or sizes[0] is None else (None,) * sizes[0]
    return tuple(None if size is None or size < 0 else size for size in vector)


def static_vector(tensor: Tensor) -> Vector | None:
    """The elements of an integer scalar or vector, None for unknown ones; None if not even their
    number is known."""
    op = tensor.op
    match op.type:
        case "Const":
            value = op.attributes["value"]
            assert isinstance(value, np.ndarray)
            return tuple(int(item) for item in value.reshape(-1)) if value.ndim <= 1 else None
        case "Shape":
            return op.inputs[0].sizes
        case "Identity" | "Cast":
            return static_vector(op.inputs[0])
        case "Rank" | "Size":
            return (as_size(_rank_or_size(op)),)
        case "Pack" | "ConcatV2":
            return _joined(op)
        case "StridedSlice":
            return _sliced(op)
        case "Add" | "Sub" | "Mul" | "FloorDiv":
            return _arithmetic(op)
        case _:
            return None


def _rank_or_size(op: Operation) -> int | None:
    shape = op.inputs[0].shape
    return shape.ndims if op.type == "Rank" else shape.num_elements()


def _joined(op: Operation) -> Vector | None:
    parts = op.inputs if op.type == "Pack" else op.inputs[:-1]
    if op.type == "Pack" and any(part.sizes != () for part in parts):
        return None
    elements: list[Size] = []
    for part in parts:
        vector = static_vector(part)
        if vector is None:
            sizes = part.sizes
            if sizes is None or len(sizes) > 1 or (sizes and sizes[0] is None):
                return None
            vector = (None,) * (sizes[0] or 0 if sizes else 1)
        elements += vector
    return tuple(elements)


def _sliced(op: Operation) -> Vector | None:
    vector = static_vector(op.inputs[0])
    numbers = [static_integers(part) for part in op.inputs[1:]]
    plain = not (op.integer("ellipsis_mask") or op.integer("new_axis_mask"))
    if vector is None or not plain or any(n is None or len(n) != 1 for n in numbers):
        return None
    begin, end, stride = (n[0] for n in numbers if n is not None)
    if op.integer("shrink_axis_mask"):
        return (vector[begin],) if -len(vector) <= begin < len(vector) else None
    start = None if op.integer("begin_mask") else begin
    stop = None if op.integer("end_mask") else end
    return vector[start:stop:stride]


def _arithmetic(op: Operation) -> Vector | None:
    left, right = (static_vector(part) for part in op.inputs)
    if left is None or right is None:
        return None
    if len(left) != len(right):
        if 1 not in (len(left), len(right)):
            return None
        left, right = (v * max(len(left), len(right)) if len(v) == 1 else v for v in (left, right))
    return tuple(_combine(op.type, x, y) for x, y in zip(left, right, strict=True))


def _combine(kind: str, x: Size, y: Size) -> Size:
    if x is None or y is None or (kind == "FloorDiv" and y == 0):
        return None
    match kind:
        case "Add":
            return x + y
        case "Sub":
            return x - y
        case "Mul":
            return x * y
        case _:
            return x // y
