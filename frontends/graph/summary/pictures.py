"""Images as PNG and sound as WAV, as summaries carry them.

PNG after its specification (RFC 2083): filter 0 in every row, one zlib stream.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def png(image: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], compression: int = -1) -> bytes:
    """A PNG file of [height, width, 1 to 4 channels]: grey, grey and alpha, RGB, RGBA.

    `compression` is zlib's level, from 0 (none) to 9, -1 for its default.
    """
    height, width, channels = image.shape
    depth = image.dtype.itemsize
    rows = np.zeros((height, 1 + width * channels * depth), np.uint8)
    ordered = np.ascontiguousarray(image.astype(image.dtype.newbyteorder(">")))
    rows[:, 1:] = ordered.view(np.uint8).reshape(height, width * channels * depth)
    header = struct.pack(">IIBBBBB", width, height, 8 * depth, _COLOUR_TYPES[channels], 0, 0, 0)
    return b"".join(
        (b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", header),
         _chunk(b"IDAT", zlib.compress(rows.tobytes(), compression)), _chunk(b"IEND", b""))
    )  # fmt: skip


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join(
        (struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(kind + data)))
    )


def wav(samples: npt.NDArray[np.float32], rate: int) -> bytes:
    """A WAV file, 16 bits a sample, of [frames, channels] between -1 and 1, clipped."""
    channels = samples.shape[1]
    scaled = np.clip(np.trunc(samples * 32768 + np.copysign(0.5, samples)), -32768, 32767)
    data = scaled.astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, channels, rate, 2 * channels * rate, 2 * channels, 16)
    body = b"WAVE" + _riff(b"fmt ", form) + _riff(b"data", data)
    return _riff(b"RIFF", body)


def _riff(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data


def displayed(image: npt.NDArray[np.floating], bad: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """An image of floats [height, width, channels] in 0 to 255.

    Without negative values the largest becomes 255; with some, 0 becomes 128 and the largest
    magnitude is 127 away from it.  Pixels that are not finite get the colour `bad`.
    """
    values = image.astype(np.float32)
    finite = np.isfinite(values).all(axis=-1)
    kept = values[finite]
    low, high = (float(kept.min()), float(kept.max())) if kept.size else (np.inf, -np.inf)
    negative = low < 0
    largest = max(abs(low), abs(high)) if negative else high
    scale = np.float32(0 if largest < 1e-6 else (127 if negative else 255) / np.float32(largest))
    result = np.empty(values.shape, np.uint8)
    result[finite] = (kept * scale + np.float32(128 if negative else 0)).astype(np.uint8)
    result[~finite] = bad[: values.shape[-1]]
    return result
