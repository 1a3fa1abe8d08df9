"""Keys under which a bundle keeps the slices of a variable that was saved in parts.

The encoding sorts like the values: strings end in 00 01, unsigned numbers start with their number
of bytes, signed ones with as many one bits as they have bytes.
"""

from __future__ import annotations

from collections.abc import Sequence


def slice_key(name: str, extents: Sequence[tuple[int, int]]) -> bytes:
    """The key of a slice; `extents` are (start, length) for each dim, length -1 for all of it."""
    key = _unsigned(0) + _string(name.encode()) + _unsigned(len(extents))
    for start, length in extents:
        key += _signed(start) + _signed(length)
    return key


def _string(data: bytes) -> bytes:
    escaped = bytearray()
    for byte in data:
        escaped.append(byte)
        if byte in (0x00, 0xFF):
            escaped.append(byte ^ 0xFF)
    return bytes(escaped) + b"\x00\x01"


def _unsigned(number: int) -> bytes:
    size = (number.bit_length() + 7) // 8
    return bytes([size]) + number.to_bytes(size, "big")


def _signed(number: int) -> bytes:
    magnitude = ~number if number < 0 else number
    size = magnitude.bit_length() // 7 + 1
    # `size` one bits from the top, combined with the number's sign-extended bytes.
    header = ((1 << size) - 1) << (7 * size)
    return ((number & (1 << 8 * size) - 1) ^ header).to_bytes(size, "big")
