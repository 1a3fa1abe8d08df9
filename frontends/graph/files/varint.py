"""Integers of varying length: seven bits a byte, lowest first."""

from __future__ import annotations

_LONGEST = 10


def varint(number: int) -> bytes:
    """The bytes of a number that is not negative."""
    result = bytearray()
    while number >= 0x80:
        result.append(number & 0x7F | 0x80)
        number >>= 7
    result.append(number)
    return bytes(result)


def read_varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """The number at `position` and the position after it; ValueError if it does not end."""
    number = 0
    for count, byte in enumerate(data[position : position + _LONGEST]):
        number |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return number, position + count + 1
    raise ValueError(f"the integer at byte {position} does not end")
