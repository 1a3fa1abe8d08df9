"""Arrays as messages and back (TensorProto)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import ml_dtypes
import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.arrays import Array, make_array
from tensorkiln.frontends.graph.files import data_types
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.proto_graph import TensorProto

# A message may say "this value, so many times"; more than this is not believed of a stranger.
_LARGEST_REPEATED = 1 << 30

_FIELDS = {
    "float32": "float_val", "float64": "double_val", "int32": "int_val", "int16": "int_val",
    "int8": "int_val", "uint8": "int_val", "uint16": "int_val", "string": "string_val",
    "complex64": "scomplex_val", "int64": "int64_val", "bool": "bool_val",
    "complex128": "dcomplex_val", "float16": "half_val", "bfloat16": "half_val",
    "uint32": "uint32_val", "uint64": "uint64_val",
}  # fmt: skip


def make_tensor_proto(values: object, dtype: object = None, shape: Sequence[int] = ()) -> Proto:
    """`values` as a message: one number or strings in a field of their type, others as bytes.

    `shape`, if given, reshapes; a single value is repeated to it.
    """
    wanted = None if dtype is None else dtypes.as_dtype(dtype).base_dtype
    array = values if isinstance(values, np.ndarray) and dtype is None else None
    array = make_array(values, wanted) if array is None else array
    if shape:
        array = np.broadcast_to(array, shape) if array.size == 1 else array.reshape(tuple(shape))
    return tensor_proto(array)


def tensor_proto(array: Array) -> Proto:
    """An array as a message."""
    kind = dtypes.as_dtype(array.dtype)
    message = TensorProto(dtype=data_types.number_of(kind))
    message.tensor_shape.CopyFrom(data_types.shape_proto(array.shape))
    if kind is dtypes.string:
        message.string_val.extend(
            item if isinstance(item, bytes) else str(item).encode() for item in array.flat
        )
    elif array.size == 1:
        getattr(message, _FIELDS[kind.name]).extend(_parts(array.reshape(())))
    else:
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        message.tensor_content = little.tobytes()
    return message


def _parts(scalar: Array) -> list[object]:
    """One number as the field of its type holds it: complex ones as two, halves as their bits."""
    if scalar.dtype.kind == "c":
        return [float(scalar.real), float(scalar.imag)]
    if scalar.dtype.itemsize == 2 and scalar.dtype in (np.float16, ml_dtypes.bfloat16):
        return [int(scalar.reshape(1).view(np.uint16)[0])]
    return [scalar.item()]


def make_ndarray(tensor: Proto) -> Array:
    """A message as an array; ValueError if it is broken, NotImplementedError for other types."""
    kind = data_types.dtype_of(tensor.dtype)
    if kind is None or kind.is_ref:
        raise NotImplementedError(
            f"tensors of type {data_types.name_of(tensor.dtype)} are not supported"
        )
    sizes = data_types.sizes_of(tensor.tensor_shape)
    if sizes is None or None in sizes:
        raise ValueError("a tensor's shape has unknown dims")
    shape = tuple(size for size in sizes if size is not None)
    count, numpy = math.prod(shape), kind.numpy
    if tensor.tensor_content:
        if kind is dtypes.string or len(tensor.tensor_content) != count * numpy.itemsize:
            raise ValueError(
                f"a tensor of shape {list(shape)} and type {kind.name} has "
                f"{len(tensor.tensor_content)} bytes"
            )
        little = np.frombuffer(tensor.tensor_content, numpy.newbyteorder("<"))
        return little.astype(numpy).reshape(shape)
    values = _values(tensor, kind.name, numpy)
    if values.size > count or (values.size < count and count * numpy.itemsize > _LARGEST_REPEATED):
        raise ValueError(f"a tensor of shape {list(shape)} has {values.size} values")
    if values.size < count:
        if kind is dtypes.string:
            last: object = values[-1] if values.size else b""
        else:
            last = values[-1] if values.size else np.zeros((), numpy)
        filled = np.full(count, last, numpy)
        filled[: values.size] = values
        values = filled
    return values.reshape(shape)


def _values(tensor: Proto, name: str, numpy: np.dtype[np.generic]) -> Array:
    """The values in the field of the type."""
    stored = list(getattr(tensor, _FIELDS[name]))
    if name == "string":
        strings = np.empty(len(stored), object)
        strings[:] = stored
        return strings
    if _FIELDS[name] == "half_val":
        return np.array([item & 0xFFFF for item in stored], np.uint16).view(numpy)
    if numpy.kind == "c":
        if len(stored) % 2:
            raise ValueError("a tensor of complex numbers has half of one")
        pairs = np.array(stored, np.float64).reshape(-1, 2)
        return (pairs[:, 0] + 1j * pairs[:, 1]).astype(numpy)
    wide = np.uint64 if numpy.kind == "u" else np.int64
    return np.array(stored, wide if numpy.kind in "iu" else numpy).astype(numpy)
