"""Reads blocks compressed with Snappy (the public format description, `format_description.txt`)."""

from __future__ import annotations

from tensorkiln.frontends.graph.files.varint import read_varint

# A copy of 64 bytes takes at least 2 bytes, so no honest block grows by more.
_LARGEST_RATIO = 32


def decompress(data: bytes) -> bytes:
    """The bytes that `data` stands for; ValueError for a broken block."""
    size, position = read_varint(data, 0)
    if size > _LARGEST_RATIO * len(data):
        raise ValueError(f"a Snappy block of {len(data)} bytes claims to hold {size}")
    result = bytearray()
    while position < len(data):
        tag = data[position]
        position += 1
        if tag & 3 == 0:
            position = _literal(data, position, tag >> 2, result)
        else:
            position = _copy(data, position, tag, result)
        if len(result) > size:
            break
    if len(result) != size:
        raise ValueError(f"a Snappy block gives not the {size} bytes it claims")
    return bytes(result)


def _literal(data: bytes, position: int, code: int, result: bytearray) -> int:
    """Copies bytes of the block; lengths from 61 on stand in 1 to 4 bytes after the tag."""
    extra = max(code - 59, 0)
    length = 1 + (int.from_bytes(data[position : position + extra], "little") if extra else code)
    position += extra
    if position + length > len(data):
        raise ValueError("a Snappy block ends in a literal")
    result += data[position : position + length]
    return position + length


def _copy(data: bytes, position: int, tag: int, result: bytearray) -> int:
    """Repeats bytes from `offset` before the end; where they overlap, what was just written."""
    width = (0, 1, 2, 4)[tag & 3]
    if position + width > len(data):
        raise ValueError("a Snappy block ends in a copy")
    offset = int.from_bytes(data[position : position + width], "little")
    length = (tag >> 2) + 1
    if width == 1:
        offset |= (tag >> 5) << 8
        length = (tag >> 2 & 7) + 4
    if not 0 < offset <= len(result):
        raise ValueError(f"a Snappy block copies from {offset} bytes back, having {len(result)}")
    start = len(result) - offset
    piece = bytes(result[start : start + length])
    while len(piece) < length:
        piece += piece[: length - len(piece)]
    result += piece
    return position + width
