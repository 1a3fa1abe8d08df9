"""The optional package that reads compressed images, and what it lacks said in one error."""

from __future__ import annotations

import importlib
import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from tensorkiln.runtime.errors import UnsupportedError

BROKEN = (
    OSError, SyntaxError, EOFError, IndexError, KeyError, TypeError, ValueError, ArithmeticError,
    MemoryError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow raises for data that makes no sense, depending on where it notices."""


class TooLargeError(Exception):
    """An image has more pixels than Pillow takes for harmless."""


def imaging(what: str) -> Any:
    """Pillow's module `PIL.Image`; UnsupportedError says what wants it and how to get it."""
    try:
        return importlib.import_module("PIL.Image")
    except ImportError:
        raise UnsupportedError(
            f"{what} needs the package Pillow: pip install 'tensorkiln[image]'"
        ) from None


def opened(data: bytes, formats: Sequence[str], what: str) -> Any:
    """The image in `data`, of one of `formats`, not decoded yet; `what` wants it.

    One of BROKEN if it is none, TooLargeError if all its frames together are beyond Pillow's own
    limit on the number of pixels.
    """
    images = imaging(what)
    try:
        image = images.open(io.BytesIO(data), formats=list(formats))
        frames = getattr(image, "n_frames", 1)
    except images.DecompressionBombError as error:
        raise TooLargeError(str(error)) from None
    width, height = image.size
    limit = images.MAX_IMAGE_PIXELS  # half of what Pillow refuses for one frame
    if limit is not None and frames * width * height > 2 * limit:
        raise TooLargeError(
            f"{frames} frames of {width}x{height} pixels are more than {2 * limit} pixels"
        )
    return image
