"""Record files (TFRecord): length, checksum of the length, data, checksum of the data.

The layout is that of TensorFlow's public description of the format: an unsigned little-endian
64-bit length and masked CRC-32C checksums.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from tensorkiln.frontends.graph.errors import (
    DataLossError,
    FailedPreconditionError,
    NotFoundError,
    OpError,
)
from tensorkiln.frontends.graph.files.crc32c import masked_crc32c

_CHUNK = 1 << 16


class TFRecordCompressionType:
    """How a record file is compressed."""

    NONE = 0
    ZLIB = 1
    GZIP = 2


class TFRecordOptions:
    """Options of a record file: `compression_type` is "", "ZLIB", "GZIP" or their number."""

    compression_type_map = {0: "", 1: "ZLIB", 2: "GZIP"}  # noqa: RUF012

    def __init__(
        self,
        compression_type: object = None,
        flush_mode: object = None,
        input_buffer_size: object = None,
        output_buffer_size: object = None,
        window_bits: object = None,
        compression_level: int | None = None,
        compression_method: object = None,
        mem_level: object = None,
        compression_strategy: object = None,
    ) -> None:
        self.compression_type = compression_of(compression_type)
        self.compression_level = -1 if compression_level is None else compression_level

    @classmethod
    def get_compression_type_string(cls, options: object) -> str:
        """The compression's name, "" for none."""
        return compression_of(options)


def compression_of(options: object) -> str:
    """ "", "ZLIB" or "GZIP" from options, a name or a number; ValueError for anything else."""
    if options is None:
        return ""
    if isinstance(options, TFRecordOptions):
        return options.compression_type
    name = (
        TFRecordOptions.compression_type_map.get(options) if isinstance(options, int) else options
    )
    if name not in ("", "ZLIB", "GZIP"):
        raise ValueError(f"Not a valid compression_type: {options!r}")
    return str(name)


def frame(data: bytes) -> bytes:
    """One record: `data` between its length and checksums."""
    length = struct.pack("<Q", len(data))
    return b"".join(
        (length, struct.pack("<I", masked_crc32c(length)),
         data, struct.pack("<I", masked_crc32c(data)))
    )  # fmt: skip


class TFRecordWriter:
    """Writes records to the file `path`; a context manager."""

    def __init__(self, path: object, options: object = None) -> None:
        name = compression_of(options)
        level = options.compression_level if isinstance(options, TFRecordOptions) else -1
        try:
            self._file: IO[bytes] | None = open(_path(path), "wb")  # noqa: SIM115
        except OSError as error:
            raise NotFoundError(None, None, f"{_path(path)}; {error.strerror}") from None
        bits = {"ZLIB": 15, "GZIP": 31}.get(name)
        self._packer = zlib.compressobj(level, wbits=bits) if bits else None

    def write(self, record: bytes) -> None:
        """Appends one record."""
        data = frame(bytes(record))
        self._open().write(self._packer.compress(data) if self._packer else data)

    def flush(self) -> None:
        """Hands what was written to the operating system."""
        file = self._open()
        if self._packer:
            file.write(self._packer.flush(zlib.Z_SYNC_FLUSH))
        file.flush()

    def close(self) -> None:
        """Ends the file; a second call does nothing."""
        if self._file is not None:
            if self._packer:
                self._file.write(self._packer.flush())
            self._file.close()
            self._file = None

    def _open(self) -> IO[bytes]:
        if self._file is None:
            raise FailedPreconditionError(None, None, "Writer is closed.")
        return self._file

    def __enter__(self) -> TFRecordWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def tf_record_iterator(path: object, options: object = None) -> Iterator[bytes]:
    """The records of a file, in order.

    NotFoundError if there is no such file, DataLossError where a record is cut short or a
    checksum is wrong.
    """
    name = compression_of(options)
    try:
        source: IO[bytes] = open(_path(path), "rb")  # noqa: SIM115
    except OSError as error:
        raise NotFoundError(None, None, f"{_path(path)}; {error.strerror}") from None
    with source:
        reader: IO[bytes] = source
        if name == "GZIP":
            reader = gzip.GzipFile(fileobj=source)  # type: ignore[assignment]
        elif name == "ZLIB":
            reader = _Inflater(source)  # type: ignore[assignment]
        yield from records(reader, _path(path))


def records(file: IO[bytes], path: str) -> Iterator[bytes]:
    """The records of an open file; see tf_record_iterator."""
    offset = 0
    while head := _read(file, 12, path, offset):
        if len(head) < 12:
            raise _lost("truncated record", path, offset)
        length, checksum = struct.unpack("<QI", head)
        if masked_crc32c(head[:8]) != checksum:
            raise _lost("corrupted record", path, offset)
        data = _read(file, length + 4, path, offset)
        if len(data) < length + 4:
            raise _lost("truncated record", path, offset)
        (checksum,) = struct.unpack("<I", data[length:])
        if masked_crc32c(data[:length]) != checksum:
            raise _lost("corrupted record", path, offset)
        yield data[:length]
        offset += 16 + length


def _read(file: IO[bytes], count: int, path: str, offset: int) -> bytes:
    """Up to `count` bytes, in pieces: a length in a broken file asks for no memory by itself."""
    parts = []
    try:
        while count > 0 and (part := file.read(min(count, _CHUNK))):
            parts.append(part)
            count -= len(part)
    except (OSError, EOFError, zlib.error) as error:
        raise _lost(f"corrupted compressed data ({error})", path, offset) from None
    return b"".join(parts)


def _lost(what: str, path: str, offset: int) -> OpError:
    return DataLossError(None, None, f"{what} at {offset} in {path}")


class _Inflater:
    """Reads a zlib stream."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._unpacker = zlib.decompressobj()
        self._rest = b""

    def read(self, count: int) -> bytes:
        """Up to `count` bytes, none at the end."""
        while not self._rest:
            packed = self._unpacker.unconsumed_tail or self._source.read(_CHUNK)
            if not packed:
                return b""
            self._rest = self._unpacker.decompress(packed, count)
        found, self._rest = self._rest[:count], self._rest[count:]
        return found


def _path(path: object) -> str:
    if isinstance(path, bytes):
        return path.decode()
    return str(path if isinstance(path, str) else Path(str(path)))
