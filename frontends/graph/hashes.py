"""Hash functions of byte strings whose values never change: programs keep them in files.

FarmHash's Fingerprint64 (Pike, Alakuijala: FarmHash, 2014, public source), SipHash-2-4 (Aumasson,
Bernstein: SipHash, 2012) and MurmurHash64A (Appleby), all on 64-bit words, little-endian.
"""

from __future__ import annotations

_MASK = 2**64 - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_Pair = tuple[int, int]


def _word(text: bytes, place: int, size: int = 8) -> int:
    return int.from_bytes(text[place : place + size], "little")


def _right(value: int, bits: int) -> int:
    """Rotated to the right."""
    value &= _MASK
    return (value >> bits | value << 64 - bits) & _MASK


def _left(value: int, bits: int) -> int:
    return _right(value, 64 - bits)


def _mixed(value: int) -> int:
    value &= _MASK
    return value ^ value >> 47


def _joined(u: int, v: int, factor: int) -> int:
    a = _mixed((u ^ v) * factor)
    return _mixed((v ^ a) * factor) * factor & _MASK


def fingerprint64(text: bytes) -> int:
    """FarmHash's 64-bit fingerprint."""
    size = len(text)
    if size <= 16:
        return _short(text, size)
    if size <= 32:
        return _medium(text, size)
    if size <= 64:
        return _long(text, size)
    return _longer(text, size)


def _short(text: bytes, size: int) -> int:
    factor = _K2 + size * 2
    if size >= 8:
        a, b = _word(text, 0) + _K2, _word(text, size - 8)
        return _joined(
            (_right(b, 37) * factor + a) & _MASK, (_right(a, 25) + b) * factor & _MASK, factor
        )
    if size >= 4:
        return _joined(size + (_word(text, 0, 4) << 3), _word(text, size - 4, 4), factor)
    if size:
        y, z = text[0] + (text[size >> 1] << 8), size + (text[size - 1] << 2)
        return _mixed(y * _K2 ^ z * _K0) * _K2 & _MASK
    return _K2


def _medium(text: bytes, size: int) -> int:
    factor = _K2 + size * 2
    a, b = _word(text, 0) * _K1 & _MASK, _word(text, 8)
    c, d = _word(text, size - 8) * factor & _MASK, _word(text, size - 16) * _K2
    return _joined(
        (_right(a + b, 43) + _right(c, 30) + d) & _MASK, (a + _right(b + _K2, 18) + c) & _MASK,
        factor,
    )  # fmt: skip


def _long(text: bytes, size: int) -> int:
    factor = _K2 + size * 2
    a, b = _word(text, 0) * _K2 & _MASK, _word(text, 8)
    c, d = _word(text, size - 8) * factor & _MASK, _word(text, size - 16) * _K2
    y = (_right(a + b, 43) + _right(c, 30) + d) & _MASK
    z = _joined(y, (a + _right(b + _K2, 18) + c) & _MASK, factor)
    e, f = _word(text, 16) * factor & _MASK, _word(text, 24)
    g = (y + _word(text, size - 32)) * factor & _MASK
    h = (z + _word(text, size - 24)) * factor & _MASK
    return _joined(
        (_right(e + f, 43) + _right(g, 30) + h) & _MASK, (e + _right(f + a, 18) + g) & _MASK,
        factor,
    )  # fmt: skip


def _block(text: bytes, place: int, a: int, b: int) -> _Pair:
    """32 bytes and two seeds as two words."""
    w, x, y, z = (_word(text, place + 8 * k) for k in range(4))
    a = (a + w) & _MASK
    b = _right(b + a + z, 21)
    c = a
    a = (a + x + y) & _MASK
    b += _right(a, 44)
    return (a + z) & _MASK, (b + c) & _MASK


def _longer(text: bytes, size: int) -> int:
    y = (81 * _K1 + 113) & _MASK
    z = _mixed(y * _K2 + 113) * _K2 & _MASK
    x = (81 * _K2 + _word(text, 0)) & _MASK
    v: _Pair = (0, 0)
    w: _Pair = (0, 0)
    for place in range(0, (size - 1) // 64 * 64, 64):
        x, y, z, v, w = _round(text, place, _K1, 1, (x, y, z), v, w)
    factor = _K1 + ((z & 0xFF) << 1)
    rest = size - 1 & 63
    w = (w[0] + rest, w[1])
    v = (v[0] + w[0], v[1])
    w = (w[0] + v[0], w[1])
    x, y, z, v, w = _round(text, size - 64, factor, 9, (x, y, z), v, w)
    return _joined(
        (_joined(v[0], w[0], factor) + _mixed(y) * _K0 + z) & _MASK,
        (_joined(v[1], w[1], factor) + x) & _MASK, factor,
    )  # fmt: skip


def _round(
    text: bytes, place: int, factor: int, weight: int, xyz: tuple[int, int, int], v: _Pair, w: _Pair
) -> tuple[int, int, int, _Pair, _Pair]:
    """One step over 64 bytes; the last one has another factor and weight."""
    x, y, z = xyz
    x = _right(x + y + v[0] + _word(text, place + 8), 37) * factor & _MASK
    y = _right(y + v[1] + _word(text, place + 48), 42) * factor & _MASK
    x ^= w[1] * weight & _MASK
    y = (y + v[0] * weight + _word(text, place + 40)) & _MASK
    z = _right(z + w[0], 33) * factor & _MASK
    v = _block(text, place, v[1] * factor & _MASK, (x + w[0]) & _MASK)
    w = _block(text, place + 32, (z + w[1]) & _MASK, (y + _word(text, place + 16)) & _MASK)
    return z, y, x, v, w


def siphash(text: bytes, key: _Pair) -> int:
    """SipHash-2-4 under a key of two words."""
    first, second = key
    v = [
        first ^ 0x736F6D6570736575, second ^ 0x646F72616E646F6D,
        first ^ 0x6C7967656E657261, second ^ 0x7465646279746573,
    ]  # fmt: skip
    size = len(text)
    padded = text + bytes(-(size + 1) % 8) + bytes([size & 0xFF])
    for place in range(0, len(padded), 8):
        word = _word(padded, place)
        v[3] ^= word
        _sip_rounds(v, 2)
        v[0] ^= word
    v[2] ^= 0xFF
    _sip_rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _sip_rounds(v: list[int], count: int) -> None:
    for _ in range(count):
        v[0] = (v[0] + v[1]) & _MASK
        v[1] = _left(v[1], 13) ^ v[0]
        v[0] = _left(v[0], 32)
        v[2] = (v[2] + v[3]) & _MASK
        v[3] = _left(v[3], 16) ^ v[2]
        v[0] = (v[0] + v[3]) & _MASK
        v[3] = _left(v[3], 21) ^ v[0]
        v[2] = (v[2] + v[1]) & _MASK
        v[1] = _left(v[1], 17) ^ v[2]
        v[2] = _left(v[2], 32)


def murmur64(text: bytes, seed: int) -> int:
    """MurmurHash64A."""
    factor, size = 0xC6A4A7935BD1E995, len(text)
    found = (seed ^ size * factor) & _MASK
    whole = size // 8 * 8
    for place in range(0, whole, 8):
        word = _mixed(_word(text, place) * factor) * factor & _MASK
        found = (found ^ word) * factor & _MASK
    if whole < size:
        found = (found ^ _word(text, whole)) * factor & _MASK
    return _mixed(_mixed(found) * factor)
