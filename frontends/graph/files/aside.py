"""Files that appear whole or not at all: written aside, flushed to the disk, then renamed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO


def write_whole(path: str, data: bytes) -> None:
    """Replaces the file `path`; after a crash it is the old or the new one."""
    with replaced(path) as file:
        file.write(data)


@contextmanager
def replaced(path: str) -> Iterator[BinaryIO]:
    """What becomes the file `path` when the block ends; an error leaves the old one."""
    # Several threads may save the same file: a training loop and its supervisor do.
    temporary = f"{path}.tmp{os.getpid()}.{threading.get_ident()}"
    try:
        with written(temporary) as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        discard(temporary)
        raise
    flush_folder(path)


@contextmanager
def written(path: str) -> Iterator[BinaryIO]:
    """A new file that is on the disk when the block ends."""
    with open(path, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def flush_folder(path: str) -> None:
    """Makes renamings beside `path` last; nothing where a system cannot open folders."""
    try:
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(folder)
    except OSError:
        return
    finally:
        os.close(folder)


def discard(path: str) -> None:
    """Deletes a file if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
