"""Shared objects that are opened, and closed when nothing refers to them any more."""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
import weakref
from _ctypes import dlclose
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.status import message

_LOADS = itertools.count(1)
# A file that is loaded twice is one library to the C library, with one mapping of its weights:
# how many use it, by handle. The lock may be asked for again by a finalizer in its holder.
_USERS: dict[int, int] = {}
_LOCK = threading.RLock()


class Library:
    """An opened shared object, which is closed when nothing refers to it any more.

    Functions are made from addresses: those that ctypes makes refer to themselves and would keep
    the library open until the garbage collector runs.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._library = ctypes.CDLL(
                _spelling(path, next(_LOADS)), mode=os.RTLD_NOW | os.RTLD_LOCAL
            )
        except OSError as error:
            raise ArtifactError(f"{path} cannot be loaded: {error}") from error
        self._closing: list[Callable[[], object]] = []
        # threads of the artifact end in its own destructor
        weakref.finalize(self, _close, self._library._handle, self._closing).atexit = False

    def function(self, name: str, result: type | None, *arguments: type) -> Callable[..., Any]:
        """The C function `name`; ArtifactError if there is none."""
        return ctypes.CFUNCTYPE(result, *arguments)(self.address(name))

    def text(self, name: str) -> bytes:
        """The text at the symbol `name`."""
        return ctypes.string_at(self.address(name))

    def address(self, name: str) -> int:
        """Where the symbol `name` is; ArtifactError if there is none."""
        try:
            return ctypes.addressof(ctypes.c_char.in_dll(self._library, name))
        except ValueError as error:
            raise ArtifactError(f"{self.path} lacks {name}, which its manifest names") from error

    @property
    def handle(self) -> int:
        """The C library's handle, equal for all loads of one file."""
        return self._library._handle

    def at_close(self, function: Callable[[], object]) -> None:
        """Call `function` before the library is closed."""
        self._closing.append(function)


def _spelling(path: Path, number: int) -> str:
    """`path` spelled in a way that no other number gives, by "/." and "/" between its parts.

    The C library takes a name that it has open for the open file, even when another file lies
    there by now. A new name makes it look: only the same file is not opened again.
    """
    marks = "".join("/." if digit == "1" else "/" for digit in f"{number:b}")
    return f"{path.parent}{marks}/{path.name}"


def _close(handle: int, closing: list[Callable[[], object]]) -> None:
    for function in closing:
        function()
    dlclose(handle)


def load_weights(library: Library, prefix: str, path: Path) -> None:
    """Maps the side file of weights for as long as the library is open; ArtifactError if it cannot."""
    load = library.function(f"{prefix}_load_weights", ctypes.c_int32, ctypes.c_char_p)
    unload = library.function(f"{prefix}_unload_weights", None)
    handle = library.handle
    with _LOCK:
        status = load(os.fsencode(path))
        if status:
            raise ArtifactError(f"{path}: {message(status)}")
        _USERS[handle] = _USERS.get(handle, 0) + 1

    def leave() -> None:
        with _LOCK:
            _USERS[handle] -= 1
            if not _USERS[handle]:
                del _USERS[handle]
                unload()

    library.at_close(leave)
