"""Pixels of a file of any of the formats that are read, which its first bytes tell."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tensorkiln.frontends.graph.image.bmp import decode_bmp
from tensorkiln.frontends.graph.image.jpeg import JpegOptions, decode_jpeg
from tensorkiln.frontends.pillow import BROKEN, opened

Pixels: TypeAlias = npt.NDArray[Any]
"""uint8 or uint16, [height, width, channels], of a GIF file [frames, height, width, 3]."""

_SIGNS = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n", "GIF": b"GIF8", "BMP": b"BM"}
_LUMA = np.array([9797, 19234, 3737], np.int64)
"""0.299, 0.587 and the rest with 15 fractional bits, as libpng rounds them."""


def format_of(data: bytes) -> str:
    """JPEG, PNG, GIF or BMP; ValueError for others."""
    if not data:
        raise ValueError("Input is empty.")
    for name, sign in _SIGNS.items():
        if data.startswith(sign):
            return name
    raise ValueError("Unknown image file format. One of JPEG, PNG, GIF, BMP required.")


def decode(data: bytes, channels: int, deep: bool, options: JpegOptions) -> Pixels:
    """The pixels of a file; 0 channels: as many as it has.

    uint16 if `deep`; values of 8 bits then become the upper ones of 16, those of PNG files the lower
    ones as well.  ValueError for broken data, TooLargeError for too many pixels.
    """
    name = format_of(data)
    pixels: Pixels
    if name == "PNG":
        pixels = _png(data, channels)
    elif name == "GIF":
        pixels = _gif(data, channels)
    elif name == "BMP":
        pixels = with_channels(decode_bmp(data), channels)
    else:
        pixels = decode_jpeg(data, channels, options)
    if deep:
        factor = 257 if name == "PNG" else 256
        return pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * factor
    return (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels


def _png(data: bytes, channels: int) -> Pixels:
    if channels not in (0, 1, 3, 4):
        raise ValueError(f"channels must be 0, 1, 3, or 4, got {channels}")
    try:
        image = opened(data, ("PNG",), "decoding PNG")
        image.load()
    except BROKEN:
        raise ValueError(f"Invalid PNG data, size {len(data)}") from None
    pixels = _plain(image)
    return with_channels(pixels, channels)


def _plain(image: Any) -> Pixels:
    """An image as greys or colours, with alpha where it has one."""
    if image.mode in ("I;16", "I"):
        return np.asarray(image).astype(np.uint16)[..., None]
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    array: Pixels = np.asarray(image)
    return array[..., None] if array.ndim == 2 else array


def with_channels(pixels: Pixels, channels: int) -> Pixels:
    """Greys repeated or colours made grey; alpha dropped, or opaque where there is none.

    0 channels: as they are.
    """
    if channels in (0, pixels.shape[-1]):
        return pixels
    has_alpha = pixels.shape[-1] % 2 == 0
    colour = pixels[..., :-1] if has_alpha else pixels
    top = np.iinfo(pixels.dtype).max
    alpha = pixels[..., -1:] if has_alpha else np.full_like(colour[..., :1], top)
    if channels > 2 and colour.shape[-1] == 1:
        colour = colour.repeat(3, axis=-1)
    elif channels < 3 and colour.shape[-1] == 3:
        colour = ((colour.astype(np.int64) @ _LUMA) >> 15).astype(pixels.dtype)[..., None]
    return np.concatenate([colour, alpha], axis=-1) if channels % 2 == 0 else colour


def _gif(data: bytes, channels: int) -> Pixels:
    if channels not in (0, 3):
        raise ValueError(f"channels must be 0 or 3 for GIF, got {channels}")
    try:
        image = opened(data, ("GIF",), "decoding GIF")
        frames = []
        for k in range(image.n_frames):
            image.seek(k)
            frames.append(np.asarray(image.convert("RGB")))
    except BROKEN as error:
        raise ValueError(f"Invalid GIF data (size {len(data)}): {error}") from None
    return np.stack(frames)
