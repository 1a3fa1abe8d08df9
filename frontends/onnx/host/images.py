"""ImageDecoder, by the package Pillow where it is installed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Array
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.pillow import BROKEN, TooLargeError, opened
from tensorkiln.runtime.errors import FeedError

_FORMATS = ("BMP", "JPEG", "JPEG2000", "TIFF", "PNG", "WEBP", "PPM")


def decoded(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """The pixels u8[height, width, channels] of an encoded image u8[bytes].

    FeedError if the bytes are no image of a format that the operator knows.
    """
    (stream,) = arrays
    form = node.string("pixel_format")
    if form not in ("RGB", "BGR", "Grayscale"):
        raise node.invalid(f"pixel_format is {form!r}, not RGB, BGR or Grayscale")
    try:
        image = opened(stream.tobytes(), _FORMATS, str(node))
        pixels = np.asarray(image.convert("L" if form == "Grayscale" else "RGB"), np.uint8)
    except (*BROKEN, TooLargeError) as error:
        raise FeedError(f"{node}: its {stream.size} bytes are no image: {error}") from None
    if form == "Grayscale":
        return [pixels[:, :, np.newaxis]]
    return [np.ascontiguousarray(pixels[:, :, ::-1]) if form == "BGR" else pixels]
