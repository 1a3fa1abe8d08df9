"""Constants in LLVM IR text."""

from __future__ import annotations

import struct


def literal(text: str | bytes) -> str:
    """A NUL-terminated constant of bytes: its type and its value."""
    data = (text.encode() if isinstance(text, str) else text) + b"\0"
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in (34, 92) else f"\\{byte:02X}" for byte in data
    )
    return f'[{len(data)} x i8] c"{plain}"'


def double(value: float) -> str:
    """A double by its bits, so that every value, infinities and NaN included, is itself."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
