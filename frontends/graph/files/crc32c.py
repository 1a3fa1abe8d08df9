"""CRC-32C (Castagnoli), plain and masked, as record files and checkpoints carry it.

The checksum is the remainder of the message as a polynomial over GF(2) by the polynomial of
RFC 3720, appendix B.4, bits reflected.  With a register that starts at zero it is linear and blind
to leading zeros, so a message is summed as rows of words, `state = shift(state, row) ^ row`, all
words of a row at once; then the row's halves are folded the same way until one word is left.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]

_POLYNOMIAL = 0x82F63B78
_ONES = 0xFFFFFFFF
_ROW_WORDS = 1 << 14
# Below this many bytes a loop over bytes takes less time than numpy's calls.
_SHORT = 256


def crc32c(data: bytes | bytearray | memoryview, start: int = 0) -> int:
    """The checksum of `data`, 32 bits; `start` is the checksum of what came before it."""
    view = memoryview(data).cast("B")
    if len(view) < _SHORT:
        return _byte_by_byte(view, start ^ _ONES) ^ _ONES
    total = _raw(view) ^ _shift_integer(start ^ _ONES, len(view))
    return total ^ _ONES


def _raw(view: memoryview) -> int:
    """The register after `view`, from zero."""
    row_bytes = 4 * _ROW_WORDS
    head = len(view) % row_bytes
    # Zeros in front change nothing: the first row is filled up with them.
    width = _ROW_WORDS if len(view) >= row_bytes else 1 << (-(-head // 4) - 1).bit_length()
    first = np.zeros(4 * width, np.uint8)
    first[4 * width - head :] = np.frombuffer(view[:head], np.uint8)
    state: Words = first.view("<u4").astype(np.uint32)
    for row in np.frombuffer(view[head:], "<u4").reshape(-1, _ROW_WORDS):
        state = _shift(row_bytes, state)
        state ^= row
    while state.size > 1:
        half = state.size // 2
        state = _shift(4 * half, state[:half]) ^ state[half:]
    return int(_shift(4, state)[0])


def mask(checksum: int) -> int:
    """The checksum as files store it: rotated by 15 bits, plus a constant.

    So that the checksum of data that holds checksums is no trivial number (the public format notes
    of TFRecord files).
    """
    rotated = (checksum >> 15 | checksum << 17) & _ONES
    return (rotated + 0xA282EAD8) & _ONES


def unmask(masked: int) -> int:
    """The checksum that `mask` was given."""
    rotated = (masked - 0xA282EAD8) & _ONES
    return (rotated >> 17 | rotated << 15) & _ONES


def masked_crc32c(data: bytes | bytearray | memoryview) -> int:
    """The masked checksum of `data`."""
    return mask(crc32c(data))


@cache
def _byte_table() -> tuple[int, ...]:
    """The register after one byte, from zero, for every byte."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


def _byte_by_byte(view: memoryview, register: int) -> int:
    table = _byte_table()
    for byte in view:
        register = table[(register ^ byte) & 255] ^ register >> 8
    return register


@cache
def _columns(exponent: int) -> tuple[int, ...]:
    """What 2**exponent zero bytes make of a register, as a matrix: the image of each bit."""
    if exponent == 0:
        return tuple(_byte_by_byte(memoryview(b"\0"), 1 << bit) for bit in range(32))
    half = _columns(exponent - 1)
    return tuple(_times(half, column) for column in half)


def _times(columns: tuple[int, ...], register: int) -> int:
    total = 0
    while register:
        lowest = register & -register
        total ^= columns[lowest.bit_length() - 1]
        register ^= lowest
    return total


def _shift_integer(register: int, zeros: int) -> int:
    """The register after `zeros` zero bytes."""
    for exponent in range(zeros.bit_length()):
        if zeros >> exponent & 1:
            register = _times(_columns(exponent), register)
    return register


@cache
def _tables(zeros: int) -> tuple[Words, Words]:
    """The images of all lower and all upper halves of a word under `zeros` zero bytes."""
    columns = [_shift_integer(1 << bit, zeros) for bit in range(32)]
    halves = np.zeros((2, 1 << 16), np.uint32)
    for bit in range(16):
        size = 1 << bit
        for half in (0, 1):
            halves[half, size : 2 * size] = halves[half, :size] ^ np.uint32(
                columns[16 * half + bit]
            )
    return halves[0], halves[1]


def _shift(zeros: int, words: Words) -> Words:
    """Each word after `zeros` zero bytes."""
    low, high = _tables(zeros)
    shifted: Words = low[words & np.uint32(0xFFFF)] ^ high[words >> np.uint32(16)]
    return shifted
