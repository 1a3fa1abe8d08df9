"""Looking into checkpoints: which tensors they hold, and their values."""

from __future__ import annotations

import os
from typing import Any

from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.files import data_types
from tensorkiln.frontends.graph.files.checkpoint_state import checkpoint_exists, latest_checkpoint
from tensorkiln.frontends.graph.files.slices_checkpoint import open_checkpoint


class CheckpointReader:
    """A checkpoint, read tensor by tensor; `path` is where it is."""

    def __init__(self, filepattern: str) -> None:
        """NotFoundError if there is no checkpoint of that path, DataLossError for a broken one."""
        self.path = os.fspath(filepattern)
        self._bundle = open_checkpoint(self.path)

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """The tensors' shapes by name."""
        return {name: list(self._bundle.shape(name)) for name in self._bundle.entries}

    def get_variable_to_dtype_map(self) -> dict[str, DType | None]:
        """The tensors' element types by name; None for types that do not exist here."""
        return {name: self._bundle.dtype(name) for name in self._bundle.entries}

    def has_tensor(self, tensor_str: str) -> bool:
        """True if the checkpoint holds a tensor of that name."""
        return tensor_str in self._bundle.entries

    def get_tensor(self, tensor_str: str) -> Any:
        """The value of a tensor, a numpy scalar if it has no dims; NotFoundError if there is none of
        that name."""
        return self._bundle.read(tensor_str)[()]

    def debug_string(self) -> bytes:
        """One line for each tensor: name, element type, shape."""
        lines = []
        for name, entry in self._bundle.entries.items():
            shape = ",".join(str(size) for size in self._bundle.shape(name))
            lines.append(f"{name} ({data_types.name_of(entry.dtype)}) [{shape}]\n")
        return "".join(lines).encode()


def load_checkpoint(ckpt_dir_or_file: str) -> CheckpointReader:
    """A reader of a checkpoint, or of the latest one of a folder; ValueError if it has none."""
    path = os.fspath(ckpt_dir_or_file)
    if checkpoint_exists(path) or not os.path.isdir(path):
        return CheckpointReader(path)
    latest = latest_checkpoint(path)
    if latest is None:
        raise ValueError(
            f"Couldn't find 'checkpoint' file or checkpoints in given directory {path}"
        )
    return CheckpointReader(latest)


def list_variables(ckpt_dir_or_file: str) -> list[tuple[str, list[int]]]:
    """The names and shapes of the tensors of a checkpoint, sorted by name."""
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())


def load_variable(ckpt_dir_or_file: str, name: str) -> Any:
    """The value of one tensor of a checkpoint."""
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))
