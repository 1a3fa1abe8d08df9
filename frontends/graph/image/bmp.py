"""BMP files without compression: 8, 24 and 32 bits a pixel."""

from __future__ import annotations

import struct

import numpy as np

from tensorkiln.frontends.graph.image.chroma import Plane

_HEADER = 32


def decode_bmp(data: bytes) -> Plane:
    """The pixels [height, width, channels]: grey, RGB or RGBA as the file has them.

    ValueError for other kinds and files that end early.  Bytes of files with 8 bits are taken as
    greys, whatever their palette says.
    """
    if len(data) < _HEADER:
        raise ValueError(f"Incomplete bmp content, requires at least 32 bytes to find the header size, width, height, and bpp, got {len(data)} bytes")  # fmt: skip
    start, _, width, height, _, bits = struct.unpack_from("<IIiiHH", data, 10)
    if bits not in (8, 24, 32):
        raise ValueError(f"the BMP file has {bits} bits a pixel; 8, 24 and 32 are read")
    found = bits // 8
    rows = abs(height)
    if width <= 0 or not rows:
        raise ValueError(f"the BMP file has {rows} rows of {width} pixels")
    pitch = (width * found + 3) // 4 * 4
    needed = start + pitch * (rows - 1) + width * found
    if len(data) < needed:
        raise ValueError(f"Incomplete bmp content, requires at least {needed} bytes, got {len(data)} bytes")  # fmt: skip
    body = np.frombuffer(data[start : start + pitch * rows].ljust(pitch * rows, b"\0"), np.uint8)
    pixels = body.reshape(rows, pitch)[:, : width * found].reshape(rows, width, found)
    upright = pixels if height < 0 else pixels[::-1]
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[found]
    return np.ascontiguousarray(upright[..., order])
