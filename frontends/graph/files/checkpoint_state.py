"""The file `checkpoint` of a folder: which checkpoints there are and which is the latest."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from google.protobuf import text_format

from tensorkiln.frontends.graph.files import aside, bundle
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.proto_checkpoint import CheckpointState
from tensorkiln.frontends.graph.files.slices_checkpoint import files_of

_LOGGER = logging.getLogger("tensorflow")


def state_path(checkpoint_dir: str, latest_filename: str | None = None) -> str:
    """The path of a folder's state file, called `checkpoint` unless named otherwise."""
    return os.path.join(checkpoint_dir, latest_filename or "checkpoint")


def generate_checkpoint_state_proto(
    save_dir: str,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Sequence[str] | None = None,
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> Proto:
    """The state as a message; paths are relative to `save_dir` if that is itself relative."""
    paths = list(all_model_checkpoint_paths or [])
    if not paths or paths[-1] != model_checkpoint_path:
        paths.append(model_checkpoint_path)
    if all_model_checkpoint_timestamps and len(all_model_checkpoint_timestamps) != len(paths):
        raise ValueError("Checkpoint timestamps, if provided, must match checkpoint paths")
    if not os.path.isabs(save_dir):
        paths = [path if os.path.isabs(path) else os.path.relpath(path, save_dir) for path in paths]
    message = CheckpointState(
        model_checkpoint_path=paths[-1],
        all_model_checkpoint_paths=paths,
        all_model_checkpoint_timestamps=all_model_checkpoint_timestamps or [],
    )
    if last_preserved_timestamp is not None:
        message.last_preserved_timestamp = last_preserved_timestamp
    return message


def update_checkpoint_state(
    save_dir: str,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Sequence[str] | None = None,
    latest_filename: str | None = None,
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
    save_relative_paths: bool = False,
) -> None:
    """Writes the state file of `save_dir`, whole or not at all.

    RuntimeError if a checkpoint has the name of the state file.
    """
    path = state_path(save_dir, latest_filename)
    names = list(all_model_checkpoint_paths or [])
    if save_relative_paths:
        model_checkpoint_path = _relative(model_checkpoint_path, save_dir)
        names = [_relative(name, save_dir) for name in names]
    message = generate_checkpoint_state_proto(
        save_dir, model_checkpoint_path, names, all_model_checkpoint_timestamps,
        last_preserved_timestamp,
    )  # fmt: skip
    if path == message.model_checkpoint_path:
        raise RuntimeError(
            f"Save path '{model_checkpoint_path}' conflicts with path used for checkpoint state.  "
            "Please use a different save path."
        )
    aside.write_whole(path, text_format.MessageToString(message).encode())


def _relative(path: str, folder: str) -> str:
    return os.path.relpath(path, folder) if os.path.isabs(path) == os.path.isabs(folder) else path


def get_checkpoint_state(checkpoint_dir: str, latest_filename: str | None = None) -> Proto:
    """The state of a folder, its paths joined to `checkpoint_dir`; None without a readable file."""
    path = state_path(checkpoint_dir, latest_filename)
    if not os.path.exists(path):
        return None
    message = CheckpointState()
    try:
        with open(path, encoding="utf-8") as file:
            text_format.Parse(file.read(), message)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        _LOGGER.warning("%s: %s", path, error)
        _LOGGER.warning("%s: Checkpoint ignored", path)
        return None
    if not message.model_checkpoint_path:
        raise ValueError(f"Invalid checkpoint state loaded from {checkpoint_dir}")
    message.model_checkpoint_path = os.path.join(checkpoint_dir, message.model_checkpoint_path)
    for number, name in enumerate(message.all_model_checkpoint_paths):
        message.all_model_checkpoint_paths[number] = os.path.join(checkpoint_dir, name)
    return message


def latest_checkpoint(checkpoint_dir: str, latest_filename: str | None = None) -> str | None:
    """The path of the latest checkpoint of a folder, None if there is none."""
    state = get_checkpoint_state(checkpoint_dir, latest_filename)
    if state is None:
        return None
    path = str(state.model_checkpoint_path)
    if checkpoint_exists(path):
        return path
    _LOGGER.error("Couldn't match files for checkpoint %s", path)
    return None


def checkpoint_exists(checkpoint_prefix: str) -> bool:
    """True if there is a checkpoint of that path."""
    prefix = os.fspath(checkpoint_prefix)
    return os.path.exists(bundle.current_index(prefix)) or bool(files_of(prefix))


def get_checkpoint_mtimes(checkpoint_prefixes: Sequence[str]) -> list[float]:
    """When the checkpoints that exist were written, in seconds since 1970."""
    return [
        os.path.getmtime(bundle.current_index(prefix))
        for prefix in checkpoint_prefixes
        if checkpoint_exists(prefix)
    ]


def remove_checkpoint(checkpoint_prefix: str, meta_graph_suffix: str = "meta") -> None:
    """Deletes a checkpoint's files."""
    bundle.delete_bundle(checkpoint_prefix)
    aside.discard(f"{checkpoint_prefix}.{meta_graph_suffix}")
