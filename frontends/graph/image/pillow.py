"""The optional package that reads compressed images, and what it lacks said in one error."""

from __future__ import annotations

import importlib
import io
import struct
import zlib
from typing import Any

from tensorkiln.runtime.errors import UnsupportedError

BROKEN = (
    OSError, SyntaxError, EOFError, IndexError, KeyError, TypeError, ValueError, ArithmeticError,
    MemoryError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow raises for data that makes no sense, depending on where it notices."""


def imaging(what: str) -> Any:
    """Pillow's module `PIL.Image`; UnsupportedError says what wants it and how to get it."""
    try:
        return importlib.import_module("PIL.Image")
    except ImportError:
        raise UnsupportedError(
            f"{what} needs the package Pillow: pip install 'tensorkiln[image]'"
        ) from None


def opened(data: bytes, form: str) -> Any:
    """The image in `data`, of the format `form`, not decoded yet; ValueError if it is none.

    Pillow's own limit on the number of pixels holds: beyond it a file is refused as too large.
    """
    images = imaging(f"decoding {form}")
    try:
        return images.open(io.BytesIO(data), formats=[form])
    except (*BROKEN, images.DecompressionBombError) as error:
        raise ValueError(f"Invalid {form} data, size {len(data)}: {error}") from None
