"""Tensor bundles: the files `<prefix>.index` and `<prefix>.data-00000-of-00001` of checkpoints.

The index is a sorted table: a header under the empty key, then for each tensor its element type,
shape, place in a data file and masked CRC-32C.  Numbers are little-endian and row-major; strings
are their lengths as varints, a masked checksum of the lengths, then the bytes.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import numpy as np
from google.protobuf.message import DecodeError

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.errors import DataLossError, NotFoundError, UnimplementedError
from tensorkiln.frontends.graph.files import aside, data_types
from tensorkiln.frontends.graph.files.crc32c import crc32c, mask, unmask
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.ordered_code import slice_key
from tensorkiln.frontends.graph.files.proto_checkpoint import BundleEntryProto, BundleHeaderProto
from tensorkiln.frontends.graph.files.table import read_table, write_table
from tensorkiln.frontends.graph.files.varint import read_varint, varint
from tensorkiln.frontends.graph.save_slices import parse_slice, split_label

_PRODUCER = 1
_NEXT = ".next"


def index_path(prefix: str) -> str:
    """The index's path."""
    return f"{prefix}.index"


def data_path(prefix: str, shard: int = 0, shards: int = 1) -> str:
    """The path of a data file."""
    return f"{prefix}.data-{shard:05d}-of-{shards:05d}"


def write_bundle(prefix: str, tensors: Mapping[str, Array]) -> None:
    """Writes a bundle with one data file, replacing what was at `prefix`.

    A name may be that of a slice (`save_slices.label`): all slices of a tensor make one entry.

    Both files are written aside (`.next`), then renamed, the data first.  A crash before leaves the
    old bundle; a crash between the two renamings leaves the new data beside the index `.next`,
    which readers then take (`current_index`).
    """
    index, data = index_path(prefix), data_path(prefix)
    # In this order: an index aside without data aside would be taken for the new one.
    finish_interrupted(prefix)
    aside.discard(index + _NEXT)
    header = BundleHeaderProto(num_shards=1)
    header.version.producer = _PRODUCER
    entries = {b"": header.SerializeToString()}
    try:
        with aside.written(data + _NEXT) as file:
            found = _write_all(file, tensors)
            entries |= {key: entry.SerializeToString() for key, entry in found.items()}
        with aside.written(index + _NEXT) as file:
            file.write(write_table(entries))
    except BaseException:
        aside.discard(index + _NEXT)
        aside.discard(data + _NEXT)
        raise
    aside.flush_folder(index)
    os.replace(data + _NEXT, data)
    os.replace(index + _NEXT, index)
    aside.flush_folder(index)


def current_index(prefix: str) -> str:
    """The path of the index that describes the data file: that aside if a renaming is missing."""
    path = index_path(prefix)
    interrupted = os.path.exists(path + _NEXT) and not os.path.exists(data_path(prefix) + _NEXT)
    return path + _NEXT if interrupted else path


def finish_interrupted(prefix: str) -> None:
    """Does the renaming that a crash has left out, if any."""
    path = current_index(prefix)
    if path != index_path(prefix):
        os.replace(path, index_path(prefix))


def delete_bundle(prefix: str) -> None:
    """Deletes the files of a bundle with one data file."""
    for path in (index_path(prefix), data_path(prefix)):
        aside.discard(path)
        aside.discard(path + _NEXT)


def _write_all(file: BinaryIO, tensors: Mapping[str, Array]) -> dict[bytes, Proto]:
    """Writes the values; the descriptions of tensors and slices by their keys."""
    entries: dict[bytes, Proto] = {}
    for text in sorted(tensors):
        name, spec = split_label(text)
        part = parse_slice(spec) if spec else None
        stored = _write_tensor(file, tensors[text])
        if part is None or part.is_whole:
            entries[name.encode()] = stored
            continue
        whole = entries.setdefault(name.encode(), BundleEntryProto(dtype=stored.dtype))
        whole.shape.CopyFrom(data_types.shape_proto(part.full_shape))
        described = whole.slices.add()
        for start, length in part.extents:
            described.extent.add(start=start, length=length)
        entries[slice_key(name, part.extents)] = stored
    return entries


def _write_tensor(file: BinaryIO, array: Array) -> Proto:
    entry = BundleEntryProto(offset=file.tell(), dtype=data_types.number_of(_dtype(array)))
    entry.shape.CopyFrom(data_types.shape_proto(array.shape))
    if array.dtype.kind in "OSU":
        content, checksum = _encode_strings(array)
    else:
        little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
        flat = np.ascontiguousarray(little).reshape(-1).view(np.uint8)
        content, checksum = flat.data, crc32c(flat.data)
    file.write(content)
    entry.size, entry.crc32c = len(content), mask(checksum)
    return entry


def _dtype(array: Array) -> DType:
    return dtypes.as_dtype(array.dtype)


def _encode_strings(array: Array) -> tuple[memoryview, int]:
    """The bytes and their checksum, in which a length counts as four (or eight) bytes."""
    texts = [text if isinstance(text, bytes) else str(text).encode() for text in array.flat]
    checksum, lengths = 0, b""
    for text in texts:
        size = len(text)
        checksum = crc32c(size.to_bytes(4 if size < 1 << 32 else 8, "little"), checksum)
        lengths += varint(size)
    stored = struct.pack("<I", mask(checksum))
    body = b"".join(texts)
    return memoryview(lengths + stored + body), crc32c(body, crc32c(stored, checksum))


class Bundle:
    """A bundle that is read: `entries` are the descriptions of its tensors by name."""

    def __init__(self, prefix: str) -> None:
        """NotFoundError without an index, DataLossError for a broken one."""
        self.prefix = prefix
        path = current_index(prefix)
        if not os.path.exists(path):
            raise NotFoundError(
                None, None, "Unsuccessful TensorSliceReader constructor: Failed to find any "
                f"matching files for {prefix}",
            )  # fmt: skip
        with open(path, "rb") as file:
            data = file.read()
        try:
            table = read_table(data)
            header = BundleHeaderProto.FromString(table.pop(b"", b""))
            raw = {key: BundleEntryProto.FromString(value) for key, value in table.items()}
            self.entries = {k.decode(): e for k, e in raw.items() if not k.startswith(b"\0")}
        except (ValueError, DecodeError) as error:
            raise DataLossError(
                None, None, f"Unable to open table file {path}: Data loss: {error}: perhaps your "
                "file is in a different file format and you need to use a different restore "
                "operator?",
            ) from None  # fmt: skip
        if header.endianness != 0:
            raise UnimplementedError(None, None, f"{path} was written by a big-endian machine")
        self._slices = {key: entry for key, entry in raw.items() if key.startswith(b"\0")}
        self._shards = max(header.num_shards, 1)

    def dtype(self, name: str) -> DType | None:
        """The element type of a tensor, None for one that does not exist here."""
        return data_types.dtype_of(self.entry(name).dtype)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return tuple(int(dim.size) for dim in self.entry(name).shape.dim)

    def entry(self, name: str) -> Proto:
        """The description of a tensor; NotFoundError if there is none of that name."""
        if name not in self.entries:
            raise NotFoundError(None, None, f"Key {name} not found in checkpoint")
        return self.entries[name]

    def read(self, name: str) -> Array:
        """A tensor's value; NotFoundError, or DataLossError where the data does not fit."""
        entry = self.entry(name)
        if not entry.slices:
            return self._read(name, entry)
        numpy = self._numpy(name, entry)
        whole = np.zeros(self._shape_in_slices(name, numpy.itemsize), numpy)
        for part in entry.slices:
            extents = [
                (dim.start, dim.length if dim.WhichOneof("has_length") else -1)
                for dim in part.extent
            ]
            found = self._slices.get(slice_key(name, extents))
            if found is None:
                raise DataLossError(None, None, f"{self.prefix}: a slice of {name} is missing")
            place = tuple(
                slice(start, None if length < 0 else start + length) for start, length in extents
            )
            piece = self._read(name, found)
            if whole[place].shape != piece.shape:
                raise DataLossError(None, None, f"{self.prefix}: a slice of {name} does not fit")
            whole[place] = piece
        return whole

    def _shape_in_slices(self, name: str, itemsize: int) -> tuple[int, ...]:
        """The shape of a tensor in slices, if all slices together have as many bytes."""
        shape = self.shape(name)
        size = sum(part.size for part in self._slices.values())
        if math.prod(shape) * itemsize > size:
            raise DataLossError(None, None, f"{self.prefix}: slices of {name} are missing")
        return shape

    def _numpy(self, name: str, entry: Proto) -> np.dtype[np.generic]:
        dtype = data_types.dtype_of(entry.dtype)
        if dtype is None:
            kind = data_types.name_of(entry.dtype)
            raise UnimplementedError(None, None, f"{name} has the element type {kind}")
        return dtype.numpy

    def _read(self, name: str, entry: Proto) -> Array:
        numpy = self._numpy(name, entry)
        shape = tuple(int(dim.size) for dim in entry.shape.dim)
        path = data_path(self.prefix, entry.shard_id, self._shards)
        count = math.prod(shape)
        negative = min((*shape, entry.offset, entry.size), default=0) < 0
        if negative or (not numpy.hasobject and entry.size != count * numpy.itemsize):
            raise DataLossError(
                None, None, f"{self.prefix}: {name} of shape {list(shape)} has {entry.size} bytes"
            )
        if not os.path.exists(path):
            raise NotFoundError(None, None, f"{path}; No such file or directory")
        if entry.offset + entry.size > os.path.getsize(path):
            raise DataLossError(
                None, None, f"{path} ends before the {entry.size} bytes of {name} at {entry.offset}"
            )
        raw = np.fromfile(path, np.uint8, entry.size, offset=entry.offset)
        if numpy.hasobject:
            return self._strings(name, raw.tobytes(), entry, shape)
        self._check(path, crc32c(raw.data), entry)
        little = raw.view(numpy.newbyteorder("<")).reshape(shape)
        array: Array = little.astype(numpy, copy=False)
        return array

    def _check(self, path: str, checksum: int, entry: Proto) -> None:
        if unmask(entry.crc32c) != checksum:
            raise DataLossError(
                None, None, f"TensorBundle at {path} shard {entry.shard_id} ({entry.size} bytes): "
                f"Checksum does not match: stored {unmask(entry.crc32c)} vs. calculated on the "
                f"restored bytes {checksum}",
            )  # fmt: skip

    def _strings(self, name: str, data: bytes, entry: Proto, shape: tuple[int, ...]) -> Array:
        broken = DataLossError(None, None, f"{self.prefix}: the strings of {name} are broken")
        count = math.prod(shape)
        if count > len(data):
            raise broken
        try:
            texts = list(_decode_strings(data, count))
        except ValueError:
            raise broken from None
        array = np.empty(count, object)
        array[:] = texts
        # The checksum counts lengths in another form than the file has.
        self._check(data_path(self.prefix), _encode_strings(array)[1], entry)
        return array.reshape(shape)


def _decode_strings(data: bytes, count: int) -> Iterator[bytes]:
    position, lengths = 0, []
    for _ in range(count):
        length, position = read_varint(data, position)
        lengths.append(length)
    position += 4
    if position + sum(lengths) != len(data):
        raise ValueError("lengths do not add up")
    for length in lengths:
        yield data[position : position + length]
        position += length
