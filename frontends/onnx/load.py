"""Reading an ONNX file into a ModelProto, with the errors a user can act on."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]
from onnx import ModelProto
from onnx.defs import onnx_opset_version

from tensorkiln.compiler.ir.function import Array
from tensorkiln.frontends.onnx.text import check_text
from tensorkiln.runtime.errors import ModelError, UnsupportedError


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A model read once, to be imported at several sizes.

    `arrays` keeps the elements of its graph's initializers: all imports have the same memory.
    """

    model: ModelProto
    folder: Path | None
    arrays: dict[str, Array] = field(default_factory=dict)


Source: TypeAlias = "str | os.PathLike[str] | bytes | ModelProto | Loaded"

STANDARD = ("", "ai.onnx")


def load_model(source: Source) -> tuple[ModelProto, Path | None]:
    """The model, and the folder its external data must be in (None unless `source` is a path).

    ModelError where the file cannot be read or is no ONNX model.
    """
    if isinstance(source, Loaded):
        return source.model, source.folder
    if isinstance(source, ModelProto):
        _check_header(source, "the model")
        return source, None
    if isinstance(source, bytes):
        return _parse(source, "the model"), None
    path = Path(source)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
    return _parse(data, str(path)), path.parent


def _parse(data: bytes, what: str) -> ModelProto:
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        raise ModelError(f"{what} is not an ONNX model, or it is truncated") from None
    _check_header(model, what)
    return model


def _check_header(model: ModelProto, what: str) -> None:
    if not model.HasField("graph"):
        raise ModelError(f"{what} has no graph: it is not an ONNX model, or it is truncated")
    if not model.opset_import:
        raise ModelError(f"{what} names no opset (opset_import is empty), so its meaning is open")
    check_text(model)
    newest = onnx_opset_version()
    for opset in model.opset_import:
        if opset.domain in STANDARD and opset.version > newest:
            raise UnsupportedError(
                f"{what} uses opset {opset.version}; the installed onnx package knows up to "
                f"{newest}: install a newer onnx"
            )
        if not 1 <= opset.version < 1 << 31:
            raise ModelError(f"{what} uses opset {opset.version} of domain {opset.domain!r}")
