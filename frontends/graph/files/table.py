"""Sorted tables of keys and values, in the block format that LevelDB made common.

After LevelDB's public `table_format.md`: blocks of entries whose keys share beginnings, each
followed by a byte (0 plain, 1 Snappy) and a masked CRC-32C; a block of handles that finds them; a
footer of 48 bytes that ends with a magic number.  Tables are written with plain blocks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from tensorkiln.frontends.graph.files.crc32c import crc32c, masked_crc32c, unmask
from tensorkiln.frontends.graph.files.snappy import decompress
from tensorkiln.frontends.graph.files.varint import read_varint, varint

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_TRAILER = 5
_BLOCK_BYTES = 1 << 16
_RESTART_INTERVAL = 16
_PLAIN, _SNAPPY = 0, 1


def write_table(entries: Mapping[bytes, bytes]) -> bytes:
    """The table of the entries, sorted by key."""
    file = bytearray()
    block, index = _Block(), _Block()
    for key in sorted(entries):
        block.add(key, entries[key])
        if block.size >= _BLOCK_BYTES:
            index.add(key, _append(file, block.finish()))
            block = _Block()
    if block.last or not file:
        index.add(block.last, _append(file, block.finish()))
    meta = _append(file, _Block().finish())
    footer = meta + _append(file, index.finish())
    file += footer.ljust(_FOOTER - 8, b"\0") + struct.pack("<Q", _MAGIC)
    return bytes(file)


class _Block:
    """A block under construction; `last` is the last key added."""

    def __init__(self) -> None:
        self.last = b""
        self._data = bytearray()
        self._restarts = [0]
        self._count = 0

    @property
    def size(self) -> int:
        return len(self._data)

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self._count == _RESTART_INTERVAL:
            self._restarts.append(len(self._data))
            self._count = 0
        else:
            limit = min(len(key), len(self.last))
            while shared < limit and key[shared] == self.last[shared]:
                shared += 1
        self._data += varint(shared) + varint(len(key) - shared) + varint(len(value))
        self._data += key[shared:] + value
        self.last = key
        self._count += 1

    def finish(self) -> bytes:
        count = len(self._restarts)
        return bytes(self._data) + struct.pack(f"<{count + 1}I", *self._restarts, count)


def _append(file: bytearray, block: bytes) -> bytes:
    """Writes a block; the result is its handle."""
    handle = varint(len(file)) + varint(len(block))
    kind = bytes([_PLAIN])
    file += block + kind + struct.pack("<I", masked_crc32c(block + kind))
    return handle


def read_table(data: bytes) -> dict[bytes, bytes]:
    """All entries of a table, in order; ValueError says what is broken."""
    if len(data) < _FOOTER or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise ValueError("not an sstable (bad magic number)")
    footer = data[-_FOOTER:]
    _, _, position = _handle(footer, 0)
    start, size, _ = _handle(footer, position)
    entries: dict[bytes, bytes] = {}
    for handle in _entries(_block(data, start, size)).values():
        start, size, _ = _handle(handle, 0)
        entries.update(_entries(_block(data, start, size)))
    return entries


def _handle(data: bytes, position: int) -> tuple[int, int, int]:
    start, position = read_varint(data, position)
    size, position = read_varint(data, position)
    return start, size, position


def _block(data: bytes, start: int, size: int) -> bytes:
    """The contents of a block, checked and decompressed."""
    end = start + size
    if end + _TRAILER > len(data):
        raise ValueError("truncated block read")
    kind = data[end]
    (stored,) = struct.unpack("<I", data[end + 1 : end + _TRAILER])
    if crc32c(data[start : end + 1]) != unmask(stored):
        raise ValueError("block checksum mismatch")
    if kind == _PLAIN:
        return data[start:end]
    if kind == _SNAPPY:
        return decompress(data[start:end])
    raise ValueError(f"bad block type {kind}")


def _entries(block: bytes) -> dict[bytes, bytes]:
    return dict(_walk(block))


def _walk(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    if len(block) < 4:
        raise ValueError("bad block contents")
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (restarts + 1)
    if end < 0:
        raise ValueError("bad block contents")
    position, key = 0, b""
    while position < end:
        shared, position = read_varint(block, position)
        fresh, position = read_varint(block, position)
        length, position = read_varint(block, position)
        if shared > len(key) or position + fresh + length > end:
            raise ValueError("bad entry in block")
        key = key[:shared] + block[position : position + fresh]
        position += fresh
        yield key, block[position : position + length]
        position += length
