"""JPEG files with the options of TensorFlow's DecodeJpeg and EncodeJpeg.

Pillow and TensorFlow decode with the same library (libjpeg-turbo).  TensorFlow's default is the fast
integer transform with interpolated ("fancy") chroma; Pillow offers the fast transform with
repeated chroma only.  So the planes are taken as they are, and interpolated and converted here.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorkiln.frontends.graph.image.chroma import Plane, interpolated, to_rgb
from tensorkiln.frontends.pillow import BROKEN, imaging, opened

_END = b"\xff\xd9"
_FAILED = "jpeg::Uncompress failed. Invalid JPEG data or crop window."


@dataclass(frozen=True)
class JpegOptions:
    """The attributes of a DecodeJpeg node that choose how pixels are computed."""

    ratio: int = 1
    fancy: bool = True
    accurate: bool = False
    recover: bool = False


def decode_jpeg(data: bytes, channels: int, options: JpegOptions) -> Plane:
    """The pixels [height, width, channels] of a JPEG file; 0 channels: as many as it has, at most 3.

    ValueError for broken data and other numbers of channels.  A file that ends early is an error
    unless it is to be recovered; then what is missing is grey.
    """
    if channels not in (0, 1, 3):
        raise ValueError(f"JPEG does not support {channels} channels")
    try:
        image = _opened(data + _END if options.recover else data)
        pixels = _pixels(image, channels, options)
    except BROKEN:
        raise ValueError(_FAILED) from None
    if channels == 3 and pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    return pixels


def _opened(data: bytes) -> Any:
    return opened(data, ("JPEG",), "decoding JPEG")


def _pixels(image: Any, channels: int, options: JpegOptions) -> Plane:
    if channels == 1 and image.mode == "CMYK":
        raise ValueError(_FAILED)
    width, height = image.size
    mode = "L" if channels == 1 else image.mode
    halves = (0, 0)
    if mode == "RGB" and options.fancy and not options.accurate:
        halves = _halves(image.layer, options.ratio)
    image.draft("YCbCr" if any(halves) else mode, image.size)
    _scale(image, width, height, options)
    array = np.asarray(image)
    if mode == "CMYK":
        left = 255 - array.astype(np.int32)
        return (left[..., :3] * left[..., 3:] // 255).astype(np.uint8)
    pixels = array if array.ndim == 3 else array[..., None]
    return _with_interpolated_chroma(pixels, halves) if any(halves) else pixels


def _halves(layers: list[tuple[int, int, int, int]], ratio: int) -> tuple[int, int]:
    """Along which of height and width chroma has half the pixels: that is what is interpolated.

    Chroma that is halved along both comes out of a transform of twice the size if the image is
    made smaller, so that nothing is missing.  One pixel a block is not interpolated.
    """
    (_, across, down, _), *rest = layers
    if max(across, down) > 2 or any((layer[1], layer[2]) != (1, 1) for layer in rest):
        return (0, 0)
    halves = (int(down == 2), int(across == 2))
    return (0, 0) if ratio == 8 or (ratio > 1 and all(halves)) else halves


def _scale(image: Any, width: int, height: int, options: JpegOptions) -> None:
    """Asks for 1/ratio of the size, rounded up, and for the fast transform unless told otherwise."""
    ratio = options.ratio
    size = (-(-width // ratio), -(-height // ratio))
    tile = image.tile[0]
    # Tiles are named tuples in newer versions of Pillow.
    image.tile = [getattr(type(tile), "_make", tuple)((tile[0], (0, 0, *size), *tile[2:]))]
    image._size = size
    image.decoderconfig = (ratio, int(not options.accurate))


def _with_interpolated_chroma(pixels: Plane, halves: tuple[int, int]) -> Plane:
    height, width, _ = pixels.shape
    step = tuple(1 + half for half in halves)
    planes = [pixels[:: step[0], :: step[1], k] for k in (1, 2)]
    blue, red = (interpolated(plane, *halves)[:height, :width] for plane in planes)
    return to_rgb(pixels[..., 0], blue, red)


def jpeg_shape(data: bytes) -> tuple[int, int, int]:
    """Height, width and channels of a JPEG file, of which the beginning is enough."""
    try:
        image = _opened(data)
    except BROKEN as error:
        raise ValueError(f"Invalid JPEG data, size {len(data)}: {error}") from None
    return (image.size[1], image.size[0], len(image.getbands()))


def encode_jpeg(
    pixels: Plane,
    quality: int,
    progressive: bool,
    optimize: bool,
    subsample: bool,
    density: tuple[int, int, int],
    xmp: bytes,
) -> bytes:
    """A JPEG file of [height, width, 1 or 3]; `density` is its unit (1 inch, 2 cm) and two numbers."""
    images = imaging("encoding JPEG")
    unit, across, down = density
    scale = 2.54 if unit == 2 else 1
    file = io.BytesIO()
    grey = pixels.shape[2] == 1
    flat = pixels[..., 0] if grey else pixels
    images.fromarray(np.ascontiguousarray(flat)).save(
        file, "JPEG", quality=quality, progressive=progressive, optimize=optimize,
        subsampling=2 if subsample and not grey else 0, dpi=(across * scale, down * scale),
        **({"xmp": xmp} if xmp else {}),
    )  # fmt: skip
    return file.getvalue()
