"""Checkpoints of TensorFlow's first format (V1), which are read but not written.

One table a file, and one file or several: under the empty key the descriptions of all tensors, and
under others slices of them, whole tensors mostly.
"""

from __future__ import annotations

import glob
import math
import os
import re

import numpy as np
from google.protobuf.message import DecodeError

from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.errors import DataLossError, NotFoundError
from tensorkiln.frontends.graph.files import data_types
from tensorkiln.frontends.graph.files.bundle import Bundle, current_index
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.proto_checkpoint import SavedTensorSlices
from tensorkiln.frontends.graph.files.table import read_table
from tensorkiln.frontends.graph.files.tensor_proto import make_ndarray

_LARGEST = 1 << 40
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")


def files_of(prefix: str) -> list[str]:
    """The files of a checkpoint of this format, none if there is none."""
    if os.path.isfile(prefix):
        return [prefix]
    found = sorted(glob.glob(f"{glob.escape(prefix)}-?????-of-?????"))
    return [path for path in found if _SHARD.search(path)]


def open_checkpoint(prefix: str) -> Bundle | SlicesCheckpoint:
    """A checkpoint of either format; NotFoundError if there is none."""
    if not os.path.exists(current_index(prefix)) and files_of(prefix):
        return SlicesCheckpoint(prefix)
    return Bundle(prefix)


class SlicesCheckpoint:
    """A checkpoint that is read: `entries` are the descriptions of its tensors by name."""

    def __init__(self, prefix: str) -> None:
        """DataLossError for a broken file."""
        self.prefix = prefix
        self.entries: dict[str, Proto] = {}
        self._slices: dict[str, list[Proto]] = {}
        for path in files_of(prefix):
            self._add(path)

    def _add(self, path: str) -> None:
        with open(path, "rb") as file:
            data = file.read()
        try:
            found = [SavedTensorSlices.FromString(v) for v in read_table(data).values()]
        except (ValueError, DecodeError) as error:
            raise DataLossError(
                None, None, f"Unable to open table file {path}: Data loss: {error}: perhaps your "
                "file is in a different file format and you need to use a different restore "
                "operator?",
            ) from None  # fmt: skip
        for message in found:
            for entry in message.meta.tensor:
                self.entries[str(entry.name)] = entry
            if message.HasField("data"):
                self._slices.setdefault(str(message.data.name), []).append(message.data)

    def dtype(self, name: str) -> DType | None:
        """The element type of a tensor, None for one that does not exist here."""
        return data_types.dtype_of(self.entry(name).dtype)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return tuple(int(dim.size) for dim in self.entry(name).shape.dim)

    def entry(self, name: str) -> Proto:
        """The description of a tensor; NotFoundError if there is none of that name."""
        if name not in self.entries:
            raise NotFoundError(None, None, f"Tensor name \"{name}\" not found in checkpoint files "
                                f"{self.prefix}")  # fmt: skip
        return self.entries[name]

    def read(self, name: str) -> Array:
        """A tensor's value; NotFoundError, or DataLossError where the data does not fit."""
        shape, kind = self.shape(name), self.dtype(name)
        if kind is None:
            found = data_types.name_of(self.entry(name).dtype)
            raise DataLossError(None, None, f"{name} has the element type {found}")
        parts = self._slices.get(name, [])
        stored = sum(len(part.data.SerializeToString()) for part in parts)
        if min(shape, default=0) < 0 or math.prod(shape) > max(stored * 8, 1) or stored > _LARGEST:
            raise self._broken(name)
        whole = np.zeros(shape, kind.numpy)
        covered = 0
        for part in parts:
            place = _place(part, shape)
            piece = whole[place]
            tensor = part.data
            tensor.dtype = self.entry(name).dtype
            tensor.tensor_shape.CopyFrom(data_types.shape_proto(piece.shape))
            try:
                whole[place] = make_ndarray(tensor)
            except (ValueError, NotImplementedError):
                raise self._broken(name) from None
            covered += piece.size
        if covered != whole.size:
            raise self._broken(name)
        return whole

    def _broken(self, name: str) -> DataLossError:
        return DataLossError(None, None, f"{self.prefix}: slices of {name} are missing or broken")


def _place(part: Proto, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Where a slice lies in its tensor."""
    extents = list(part.slice.extent)[: len(shape)]
    return tuple(
        slice(e.start, e.start + e.length) if e.WhichOneof("has_length") else slice(None)
        for e in extents
    )
