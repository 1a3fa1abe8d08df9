"""Loads shared objects that were written by `write_artifact`."""

from __future__ import annotations

import ctypes
import itertools
import mmap
import os
import threading
import weakref
from _ctypes import dlclose
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensorkiln.runtime.body import Body, check_machine
from tensorkiln.runtime.elf import read_elf
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.manifest import ArtifactInfo, Manifest
from tensorkiln.runtime.open_executable import OpenExecutable, opened
from tensorkiln.runtime.processor import architecture, missing_features
from tensorkiln.runtime.status import message

_MANIFEST_SECTION = ".tensorkiln"
_TRAINING_SECTION = ".tensorkiln.training"
_LARGEST_MANIFEST = 1 << 28
_LOADS = itertools.count(1)
# A file that is loaded twice is one library to the C library, with one mapping of its weights:
# how many use it, by handle. The lock may be asked for again by a finalizer in its holder.
_USERS: dict[int, int] = {}
_LOCK = threading.RLock()


def load(path: str | os.PathLike[str], threads: int = 0) -> Executable | OpenExecutable:
    """The Executable in the shared object `path`, using `threads` threads (0: all processors).

    Its manifest is read and checked before any of its code runs; after that its code is trusted as
    any library's is. A side file of weights is looked for beside it. ArtifactError if the file is
    no artifact, is damaged, or is for another machine.
    """
    file = Path(path).absolute()
    manifest = read_manifest(file)
    assert manifest.artifact is not None
    check_machine(manifest, str(file), architecture(), missing_features(manifest.features))
    return opened(Executable(manifest, _body(_Library(file), manifest, manifest.artifact), threads))


def run_self_test(path: str | os.PathLike[str], threads: int = 0) -> str | None:
    """Runs the test vectors inside of the shared object `path`; None if the model passes them.

    Else what is wrong, in a few words. ArtifactError as in `load`, and if there are no vectors.
    """
    file = Path(path).absolute()
    manifest = read_manifest(file)
    info = manifest.artifact
    assert info is not None
    if not info.self_test:
        raise ArtifactError(f"{file} has no test vectors; compile it with --self-test")
    check_machine(manifest, str(file), architecture(), missing_features(manifest.features))
    library = _Library(file)
    if info.weights is not None:
        _load_weights(library, info.prefix, file.with_name(info.weights))
    test = library.function(f"{info.prefix}_self_test", ctypes.c_int32, ctypes.c_int32)
    status: int = test(threads)
    return message(status) if status else None


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """The manifest inside of an artifact (.so or .o), without running any of its code."""
    try:
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error
    elf = read_elf(memoryview(data), str(path))
    sections = [section for section in elf.sections if section.name == _MANIFEST_SECTION]
    if any(section.name == _TRAINING_SECTION for section in elf.sections):
        raise ArtifactError(f"{path} is a model that is trained: its functions are called from C")
    if len(sections) != 1 or sections[0].size > _LARGEST_MANIFEST:
        raise ArtifactError(f"{path} is not an artifact of TensorKiln: it has no manifest")
    manifest = Manifest.from_json(bytes(sections[0].data).rstrip(b"\0"), str(path))
    if manifest.artifact is None:
        raise ArtifactError(f"{path}: its manifest does not name its functions")
    return manifest


class _Library:
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


def _body(library: _Library, manifest: Manifest, info: ArtifactInfo) -> Body:
    number = ctypes.c_int32
    if info.weights is not None:
        _load_weights(library, info.prefix, library.path.with_name(info.weights))
    if Manifest.from_json(library.text(f"{info.prefix}_manifest"), str(library.path)) != manifest:
        raise ArtifactError(f"{library.path} changed while it was being loaded; load it again")
    run = library.address(f"{info.prefix}_run")
    thread_count = library.function(f"{info.prefix}_thread_count", number, number)
    outputs_at = ctypes.sizeof(ctypes.c_void_p) * len(manifest.inputs)

    def arrange(pointers: int, workspace: int) -> tuple[int, int, int]:
        return pointers, pointers + outputs_at, workspace

    return Body(run, arrange, thread_count, library)


def _load_weights(library: _Library, prefix: str, path: Path) -> None:
    load_weights = library.function(f"{prefix}_load_weights", ctypes.c_int32, ctypes.c_char_p)
    unload_weights = library.function(f"{prefix}_unload_weights", None)
    handle = library.handle
    with _LOCK:
        status = load_weights(os.fsencode(path))
        if status:
            raise ArtifactError(f"{path}: {message(status)}")
        _USERS[handle] = _USERS.get(handle, 0) + 1

    def leave() -> None:
        with _LOCK:
            _USERS[handle] -= 1
            if not _USERS[handle]:
                del _USERS[handle]
                unload_weights()

    library.at_close(leave)
