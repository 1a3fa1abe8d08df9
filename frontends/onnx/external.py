"""Tensor data kept outside of the model file, confined to the model's folder.

Rules: ONNX "External Data" (docs/ExternalData.md of the onnx project); the location must be a
relative path that stays in the folder after every link is followed.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from onnx import TensorProto

from tensorkiln.compiler.ir.function import Array
from tensorkiln.runtime.errors import ModelError


def map_external(tensor: TensorProto, folder: Path | None, size: int, what: str) -> Array:
    """The tensor's bytes (u8[size]), mapped read-only from their file.

    ModelError, naming the tensor (`what`) and the file, where the location leaves the folder,
    the file is missing, or it is too short.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise ModelError(
            f"{what} keeps its data in the file {location!r}, which cannot be found from a model "
            "given as bytes: give the model's path"
        )
    path = _confined(folder, location, what)
    offset = _count(entries.get("offset", "0"), "offset", what)
    length = _count(entries.get("length", str(size)), "length", what)
    if length != size:
        raise ModelError(f"{what} declares {length} bytes of external data and needs {size}")
    available = path.stat().st_size
    if offset + size > available:
        raise ModelError(
            f"{what} needs bytes {offset} to {offset + size} of {path}, which has {available}"
        )
    if size == 0:
        return np.empty(0, np.uint8)
    return np.memmap(path, np.uint8, "r", offset, (size,))


def _confined(folder: Path, location: str, what: str) -> Path:
    parts = PurePosixPath(location).parts
    absolute = PurePosixPath(location).is_absolute() or PureWindowsPath(location).is_absolute()
    if not parts or absolute or ".." in parts or "\\" in location or "\0" in location:
        raise ModelError(
            f"{what} keeps its data at {location!r}: external data must be a relative path "
            "inside the model's folder"
        )
    root = folder.resolve()
    path = (root / location).resolve()
    if not path.is_relative_to(root):
        raise ModelError(f"{what} keeps its data at {location!r}, a link out of {folder}")
    if not path.is_file():
        raise ModelError(f"{what} keeps its data in {folder / location}, which is not a file")
    return path


def _count(text: str, key: str, what: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ModelError(f"{what} has an external data {key} of {text[:40]!r}, not a byte count")
    return int(text)
