"""Loads shared objects that were written by `write_artifact`."""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from _ctypes import dlclose
from collections.abc import Callable
from pathlib import Path

from tensorkiln.runtime.body import Body, check_machine
from tensorkiln.runtime.elf import read_elf
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.manifest import ArtifactInfo, Manifest
from tensorkiln.runtime.processor import architecture, missing_features
from tensorkiln.runtime.status import message

_MANIFEST_SECTION = ".tensorkiln"
_LARGEST_MANIFEST = 1 << 28


def load(path: str | os.PathLike[str], threads: int = 0) -> Executable:
    """The Executable in the shared object `path`, using `threads` threads (0: all processors).

    Its manifest is read and checked before any of its code runs; after that its code is trusted as
    any library's is. A side file of weights is looked for beside it. ArtifactError if the file is
    no artifact, is damaged, or is for another machine.
    """
    file = Path(path).absolute()
    manifest = read_manifest(file)
    assert manifest.artifact is not None
    check_machine(manifest, str(file), architecture(), missing_features(manifest.features))
    try:
        library = ctypes.CDLL(str(file), mode=os.RTLD_NOW | os.RTLD_LOCAL)
        return Executable(manifest, _body(library, manifest, manifest.artifact, file), threads)
    except OSError as error:
        raise ArtifactError(f"{file} cannot be loaded: {error}") from error
    except AttributeError as error:
        raise ArtifactError(f"{file} lacks a function of its manifest: {error}") from error


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """The manifest inside of an artifact (.so or .o), without running any of its code."""
    try:
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error
    elf = read_elf(memoryview(data), str(path))
    sections = [section for section in elf.sections if section.name == _MANIFEST_SECTION]
    if len(sections) != 1 or sections[0].size > _LARGEST_MANIFEST:
        raise ArtifactError(f"{path} is not an artifact of TensorKiln: it has no manifest")
    manifest = Manifest.from_json(bytes(sections[0].data).rstrip(b"\0"), str(path))
    if manifest.artifact is None:
        raise ArtifactError(f"{path}: its manifest does not name its functions")
    return manifest


def _body(library: ctypes.CDLL, manifest: Manifest, info: ArtifactInfo, file: Path) -> Body:
    _close_later(library, info)
    if info.weights is not None:
        _load_weights(library, info.prefix, file.with_name(info.weights))
    function = library[f"{info.prefix}_run"]
    function.restype = ctypes.c_int32
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32)
    outputs_at = ctypes.sizeof(ctypes.c_void_p) * len(manifest.inputs)

    def arrange(pointers: int, workspace: int, threads: ctypes.c_int32) -> tuple[object, ...]:
        inputs, outputs = ctypes.c_void_p(pointers), ctypes.c_void_p(pointers + outputs_at)
        return inputs, outputs, ctypes.c_void_p(workspace), threads

    thread_count = library[f"{info.prefix}_thread_count"]
    thread_count.restype = ctypes.c_int32
    thread_count.argtypes = (ctypes.c_int32,)
    return Body(function, arrange, thread_count, library)


def _close_later(library: ctypes.CDLL, info: ArtifactInfo) -> None:
    """Unload the library, and its weights, when nothing refers to it any more."""
    unload = None
    if info.weights is not None:
        symbol = library[f"{info.prefix}_unload_weights"]
        # by address, since a function of the library would keep the library alive
        unload = ctypes.CFUNCTYPE(None)(ctypes.cast(symbol, ctypes.c_void_p).value or 0)
    # the threads of the artifact end in its own destructor
    weakref.finalize(library, _close, library._handle, unload).atexit = False


def _close(handle: int, unload: Callable[[], None] | None) -> None:
    if unload is not None:
        unload()
    dlclose(handle)


def _load_weights(library: ctypes.CDLL, prefix: str, path: Path) -> None:
    load_weights = library[f"{prefix}_load_weights"]
    load_weights.restype = ctypes.c_int32
    load_weights.argtypes = (ctypes.c_char_p,)
    status = load_weights(os.fsencode(path))
    if status:
        raise ArtifactError(f"{path}: {message(status)}")
