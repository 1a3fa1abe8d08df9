"""Keys of the compile cache: digests of everything that compiled code depends on."""

from __future__ import annotations

import functools
import hashlib
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import llvmlite
import ml_dtypes
import numpy as np
import onnx

from tensorkiln.compiler.ir.function import Array, Attribute, Function
from tensorkiln.compiler.ir.text import READABLE, print_function
from tensorkiln.compiler.kernel.target import Target

_ROOT = Path(__file__).resolve().parents[1]
_FOLDERS = ("compiler", "runtime", "frontends/onnx")
_SUFFIXES = (".py", ".ll")


def function_key(function: Function, target: Target, without: Collection[str] = ()) -> str:
    """The key of `function` compiled for `target` without some passes, in hexadecimal."""
    digest = hashlib.sha256(_start("function", target))
    digest.update(f"{sorted(without)!r}\n".encode())
    digest.update(print_function(function, elide=READABLE).encode())
    for array in _arrays(function):
        if array.size > READABLE:
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def content_key(digest: str, options: object, target: Target) -> str:
    """The key of a model given by a digest of its file and the options of its import."""
    return hashlib.sha256(_start("file", target) + f"{digest} {options!r}".encode()).hexdigest()


def _start(kind: str, target: Target) -> bytes:
    versions = (onnx.__version__, np.__version__, ml_dtypes.__version__, llvmlite.__version__)
    return f"{kind} {target!r} {versions} {compiler_digest()}\n".encode()


def _arrays(function: Function) -> Iterator[Array]:
    for op in function.ops:
        for value in op.attributes.values():
            yield from _arrays_in(value)
        for region in op.regions:
            yield from _arrays(region)


def _arrays_in(value: Attribute) -> Iterator[Array]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _arrays_in(item)


@functools.cache
def compiler_digest() -> str:
    """A digest of the compiler's own sources, so that no change of it meets old code."""
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(f"{path.relative_to(_ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def sources_are_loaded() -> bool:
    """False if the sources were edited after this process started, which may run older ones."""
    newest = max((path.stat().st_mtime for path in _sources()), default=0.0)
    return newest < _process_start()


def _sources() -> list[Path]:
    found = (path for name in _FOLDERS for path in (_ROOT / name).rglob("*"))
    return sorted(path for path in found if path.suffix in _SUFFIXES)


def _process_start() -> float:
    """When this process started (Unix time): field 22 of /proc/self/stat, proc(5)."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace")
        ticks = int(fields.rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return _LOADED
    return time.time() - age


_LOADED = time.time()
