"""The safetensors format: names, types and places of tensors as JSON, then their bytes.

After the format's public description: 8 bytes with the length of the header, the header, the data.
`data_offsets` count from the end of the header; tensors follow each other without gaps.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.errors import InvalidArgumentError, NotFoundError
from tensorkiln.frontends.graph.files import aside
from tensorkiln.frontends.graph.files.saved_variables import saved_variables
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.save_slices import split_label
from tensorkiln.frontends.graph.session import BaseSession
from tensorkiln.frontends.graph.shapes import compatible, show
from tensorkiln.runtime.errors import ModelError, UnsupportedError

_LARGEST_HEADER = 100_000_000
_TYPES: dict[str, np.dtype[np.generic]] = {
    "BOOL": np.dtype(np.bool_), "U8": np.dtype(np.uint8), "I8": np.dtype(np.int8),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2), "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "I16": np.dtype(np.int16), "U16": np.dtype(np.uint16), "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16), "I32": np.dtype(np.int32), "U32": np.dtype(np.uint32),
    "F32": np.dtype(np.float32), "F64": np.dtype(np.float64), "I64": np.dtype(np.int64),
    "U64": np.dtype(np.uint64), "C64": np.dtype(np.complex64),
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _TYPES.items()}


def save_file(
    tensors: Mapping[str, Array],
    filename: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes arrays by name; the file is replaced whole or not at all.

    UnsupportedError for element types that the format lacks.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    arrays = {name: np.asarray(array) for name, array in tensors.items()}
    # Wide types first, so that all stay aligned.
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    start = 0
    for name in order:
        array = arrays[name]
        if name == "__metadata__" or array.dtype not in _NAMES:
            raise UnsupportedError(f"safetensors cannot hold {name!r} of type {array.dtype}")
        header[name] = {
            "dtype": _NAMES[array.dtype], "shape": list(array.shape),
            "data_offsets": [start, start + array.nbytes],
        }  # fmt: skip
        start += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with aside.replaced(os.fspath(filename)) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            little = arrays[name].astype(arrays[name].dtype.newbyteorder("<"), copy=False)
            file.write(np.ascontiguousarray(little).reshape(-1).view(np.uint8).data)


def load_file(filename: str | os.PathLike[str]) -> dict[str, Array]:
    """The arrays of a file by name, read-only and mapped from the file.

    ModelError says what is wrong with a broken file; UnsupportedError names unknown types.
    """
    path = os.fspath(filename)
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _LARGEST_HEADER):
            raise ModelError(f"{path} is no safetensors file: its header does not fit")
        text = file.read(length)
    try:
        header = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no safetensors file: {error}") from None
    if not isinstance(header, dict):
        raise ModelError(f"{path} is no safetensors file: its header is no object")
    header.pop("__metadata__", None)
    places = {name: _place(path, name, entry) for name, entry in header.items()}
    end = 0
    for name, (_, _, start, stop) in sorted(places.items(), key=lambda item: item[1][2:]):
        if start != end:
            raise ModelError(f"{path}: the data of {name!r} does not follow that before it")
        end = stop
    if end != size - 8 - length:
        raise ModelError(f"{path} has {size - 8 - length} bytes of data where {end} are described")
    if not end:
        return {name: np.empty(shape, dtype) for name, (dtype, shape, _, _) in places.items()}
    data = np.memmap(path, np.uint8, "r", 8 + length)
    return {
        name: np.asarray(data[start:stop]).view(dtype).reshape(shape)
        for name, (dtype, shape, start, stop) in places.items()
    }


def _place(
    path: str, name: str, entry: object
) -> tuple[np.dtype[np.generic], tuple[int, ...], int, int]:
    """Type, shape, start and end of a tensor, consistent with each other."""
    broken = ModelError(f"{path}: the description of {name!r} is broken: {str(entry)[:200]}")
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= set(entry):
        raise broken
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or not isinstance(shape, list) or not isinstance(offsets, list):
        raise broken
    if any(type(n) is not int or n < 0 for n in (*shape, *offsets)) or len(offsets) != 2:
        raise broken
    if kind not in _TYPES:
        raise UnsupportedError(f"{path}: {name!r} has the unknown type {kind!r}")
    start, stop = offsets
    if stop - start != math.prod(shape) * _TYPES[kind].itemsize:
        raise broken
    return _TYPES[kind], tuple(shape), start, stop


def _whole_names(found: Mapping[str, Operation]) -> dict[str, Operation]:
    """Parts of a variable under the names of the parts: the format knows no slices."""
    return {op.name if split_label(name)[1] else name: op for name, op in found.items()}


def save_variables(
    sess: BaseSession,
    filename: str | os.PathLike[str],
    var_list: object = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes variables' values; `var_list` is as a Saver takes it."""
    found = _whole_names(saved_variables(var_list))
    save_file({name: sess.variable_value(op) for name, op in found.items()}, filename, metadata)


def restore_variables(
    sess: BaseSession, filename: str | os.PathLike[str], var_list: object = None
) -> None:
    """Gives variables the values of a file, all or none; `var_list` is as a Saver takes it.

    NotFoundError for a missing name, InvalidArgumentError for another shape or element type.
    """
    stored = load_file(filename)
    found = _whole_names(saved_variables(var_list))
    for name, op in found.items():
        if name not in stored:
            raise NotFoundError(op.name, op, f"{os.fspath(filename)} holds no tensor {name!r}")
        tensor, array = op.outputs[0], stored[name]
        if array.dtype != tensor.dtype.numpy or not compatible(tensor.sizes, array.shape):
            raise InvalidArgumentError(
                op.name, op, f"variable {op.name!r} of type {tensor.dtype.base_dtype.name} and "
                f"shape {show(tensor.sizes)} cannot take {name!r} of type {array.dtype} and shape "
                f"{array.shape}",
            )  # fmt: skip
    for name, op in found.items():
        sess.assign_value(op, stored[name])
