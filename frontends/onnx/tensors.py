"""TensorProto to numpy array: sizes are checked before anything is allocated."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

import numpy as np
from onnx import TensorProto

from tensorkiln.compiler.ir.dtypes import BF16, BOOL, F16, F32, F64, I64, U32, U64, DType
from tensorkiln.compiler.ir.function import Array
from tensorkiln.frontends.onnx.elements import dtype_of_element
from tensorkiln.frontends.onnx.external import map_external
from tensorkiln.runtime.errors import ModelError

MAXIMUM_BYTES = 1 << 40


def array_of(tensor: TensorProto, folder: Path | None, what: str) -> Array:
    """The tensor's elements, read-only, in its shape; `what` names it in errors.

    Raw and external data are not copied beyond what protobuf does.  ModelError where dims are
    negative or absurd or do not fit the data's length.
    """
    dtype = dtype_of_element(tensor.data_type, what)
    shape = tuple(tensor.dims)
    if any(dim < 0 for dim in shape):
        raise ModelError(f"{what} has shape {list(shape)}, with a negative dim")
    count = math.prod(shape)
    size = _packed(count, dtype) if dtype.bits < 8 else count * dtype.bytes
    if size > MAXIMUM_BYTES:
        raise ModelError(f"{what} has shape {list(shape)}, more than {MAXIMUM_BYTES} bytes")
    if tensor.HasField("segment"):
        raise ModelError(f"{what} is a segment of a tensor, which no ONNX version defines")
    if tensor.data_location == TensorProto.EXTERNAL:
        flat = _unpacked(map_external(tensor, folder, size, what), dtype, count)
    elif tensor.HasField("raw_data"):
        flat = _from_raw(tensor.raw_data, dtype, size, what)
        flat = _unpacked(flat, dtype, count) if dtype.bits < 8 else flat
    else:
        flat = _from_fields(tensor, dtype, count, what)
    array = flat.reshape(shape)
    array.setflags(write=False)
    return array


def _from_raw(data: bytes, dtype: DType, size: int, what: str) -> Array:
    if len(data) != size:
        raise ModelError(f"{what} needs {size} bytes of raw data and has {len(data)}")
    flat = np.frombuffer(data, np.uint8 if dtype.bits < 8 else _little_endian(dtype))
    # Any byte but 0 and 1 in a numpy bool gives results that depend on who looks.
    return flat.view(np.uint8) != 0 if dtype == BOOL else flat


def _little_endian(dtype: DType) -> np.dtype[np.generic]:
    """The dtype of ONNX data in files, which is little-endian."""
    return dtype.numpy if dtype == BF16 or dtype.bytes == 1 else dtype.numpy.newbyteorder("<")


def _packed(count: int, dtype: DType) -> int:
    """Bytes of a file that hold elements of fewer than 8 bits."""
    return -(-count * dtype.bits // 8)


def _unpacked(flat: Array, dtype: DType, count: int) -> Array:
    """The elements in the bytes of a file; of several in a byte the lowest bits are the first."""
    if dtype.bits >= 8:
        return flat.view(_little_endian(dtype))
    held = flat.view(np.uint8)
    if dtype.bits == 6:  # a stream of bits, the lowest first
        stream = np.unpackbits(held, count=6 * count, bitorder="little").reshape(count, 6)
        return np.packbits(stream, axis=-1, bitorder="little").reshape(-1).view(dtype.numpy)
    parts = [held >> shift & (1 << dtype.bits) - 1 for shift in range(0, 8, dtype.bits)]
    return np.stack(parts, -1).reshape(-1)[:count].view(dtype.numpy)


def _from_fields(tensor: TensorProto, dtype: DType, count: int, what: str) -> Array:
    """From the typed repeated fields (onnx.proto, TensorProto: which field holds which type)."""
    data: Collection[int | float]
    held: np.dtype[np.generic]
    if dtype == F32:
        data, held = tensor.float_data, np.dtype(np.float32)
    elif dtype == F64:
        data, held = tensor.double_data, np.dtype(np.float64)
    elif dtype == I64:
        data, held = tensor.int64_data, np.dtype(np.int64)
    elif dtype in (U32, U64):
        data, held = tensor.uint64_data, np.dtype(np.uint64)
    else:
        data, held = tensor.int32_data, np.dtype(np.int32)
    needed = _packed(count, dtype) if dtype.bits < 6 else count
    if len(data) != needed:
        raise ModelError(f"{what} needs {needed} elements and has {len(data)}")
    flat: Array = np.array(data, held)
    if dtype.bits == 6:  # one in the lowest bits of each number
        codes: Array = flat.astype(np.uint8) & np.uint8(0x3F)
        return codes.view(dtype.numpy)
    if dtype.is_storage:
        return _unpacked(flat.astype(np.uint8), dtype, count)
    if dtype in (F16, BF16):
        return flat.astype(np.uint16).view(dtype.numpy)
    return flat.astype(dtype.numpy, copy=False)
