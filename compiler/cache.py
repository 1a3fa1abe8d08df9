"""Compiled models kept on disk between processes.

A folder holds two kinds of files, both named by digests and written once:

    <key>.model     manifest, object code, and constants if they are small
    <digest>.data   large constants, shared by all models that have the same

They are written under temporary names and renamed, so that any number of processes may use one
folder. Each carries a checksum: what is damaged is deleted and compiled again. Files that were
not used for longest go first when all together exceed the limit.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import secrets
import struct
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tensorkiln.compiler.cache_key import sources_are_loaded
from tensorkiln.compiler.environment import cache_folder
from tensorkiln.runtime.compiled import Compiled
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.manifest import Manifest

DEFAULT_LIMIT = 2 << 30
_MAGIC = b"TensorKiln model\0\1".ljust(24, b"\0")
# magic, digest of the rest, sizes of manifest, object code and constants, digest of a data file
_HEADER = struct.Struct("<24s32sQQQ32s")
_INLINE = 1 << 16  # bytes of constants up to which they are part of the model's file
_BLOCK = 1 << 16  # 64-bit words of a data file that are summed together
_STALE_SECONDS = 3600  # after which a temporary file is taken for that of a process that died

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CacheFile:
    """A file of the cache: where, its size in bytes, and when it was last used (Unix time)."""

    path: Path
    bytes: int
    used: float


class Cache:
    """Compiled models in `folder`, which take at most `limit` bytes."""

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        self.folder = folder
        self.limit = limit

    def load(self, key: str) -> Compiled | None:
        """The model stored under `key`; None if there is none, or it was damaged (and is gone).

        Large constants are mapped from their file, which is read-only.
        """
        path = self._model(key)
        try:
            if not _is_private(self.folder):
                return None
            data = path.read_bytes()
        except OSError:
            return None
        try:
            return self._read(data, path)
        except (_DamagedError, ArtifactError):
            path.unlink(missing_ok=True)
            return None

    def store(self, key: str, compiled: Compiled) -> None:
        """Keep `compiled` under `key`; a warning if the folder cannot be written."""
        manifest = compiled.manifest.to_json().encode()
        constants = compiled.constants
        data_digest = bytes(32)
        try:
            _make_private(self.folder)
            if constants.nbytes > _INLINE:
                data_digest = hashlib.sha256(constants.data).digest()
                data = self._data(data_digest)
                if not data.exists():
                    self._write(data, [_sums(constants).ljust(64, b"\0"), constants.data])
            inline = b"" if any(data_digest) else constants.tobytes()
            sizes = struct.pack("<QQQ", len(manifest), len(compiled.object_code), constants.nbytes)
            rest = [sizes, data_digest, manifest, compiled.object_code, inline]
            digest = hashlib.sha256(b"".join(rest)).digest()
            self._write(self._model(key), [_MAGIC, digest, *rest])
            self._evict()
        except OSError as error:
            warnings.warn(
                f"the compile cache {self.folder} cannot be written, so the model"
                f" {compiled.manifest.model!r} is compiled again next time: {error}",
                stacklevel=2,
            )

    def files(self) -> list[CacheFile]:
        """All files of the cache, the longest unused first."""
        found = []
        for pattern in ("*.model", "*.data", ".*.part"):
            for path in self.folder.glob(pattern):
                try:
                    status = path.stat()
                except OSError:  # another process removed it
                    continue
                found.append(CacheFile(path, status.st_size, status.st_mtime))
        return sorted(found, key=lambda file: (file.used, file.path.name))

    def clear(self) -> int:
        """Removes all files; how many bytes they took."""
        files = self.files()
        for file in files:
            file.path.unlink(missing_ok=True)
        return sum(file.bytes for file in files)

    def _model(self, key: str) -> Path:
        return self.folder / f"{key}.model"

    def _data(self, digest: bytes) -> Path:
        return self.folder / f"{digest.hex()}.data"

    def _read(self, data: bytes, path: Path) -> Compiled:
        if len(data) < _HEADER.size:
            raise _DamagedError
        magic, digest, manifest_size, code_size, size, data_digest = _HEADER.unpack_from(data)
        shared = any(data_digest)
        start = _HEADER.size + manifest_size
        end = start + code_size
        if magic != _MAGIC or len(data) != end + (0 if shared else size):
            raise _DamagedError
        if hashlib.sha256(memoryview(data)[56:]).digest() != digest:
            raise _DamagedError
        manifest = Manifest.from_json(data[_HEADER.size : start], str(path))
        if shared:
            constants = self._map(self._data(data_digest), size)
        else:
            constants = np.frombuffer(data, np.uint8, size, end)
        _touch(path)
        return Compiled(manifest, data[start:end], constants)

    def _map(self, path: Path, size: int) -> Bytes:
        """The constants in a data file, which must be whole."""
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size != 64 + size:
                    raise _DamagedError
                memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError as error:
            raise _DamagedError from error
        except _DamagedError:
            path.unlink(missing_ok=True)
            raise
        constants = np.frombuffer(memory, np.uint8, size, 64)
        if memory[:32] != _sums(constants):
            path.unlink(missing_ok=True)
            raise _DamagedError
        _touch(path)
        return constants

    def _write(self, path: Path, parts: Sequence[bytes | memoryview]) -> None:
        temporary = self.folder / f".{secrets.token_hex(8)}.part"
        try:
            with temporary.open("xb") as file:
                for part in parts:
                    file.write(part)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _evict(self) -> None:
        files = self.files()
        stale = time.time() - _STALE_SECONDS
        total = sum(file.bytes for file in files)
        for file in files:
            leftover = file.path.suffix == ".part"
            if leftover and file.used > stale:  # another process is writing it
                continue
            if leftover or total > self.limit:
                file.path.unlink(missing_ok=True)
                total -= file.bytes


def default_cache() -> Cache | None:
    """The user's cache; None where the environment turns it off.

    Also None where the compiler was edited while this process runs: its code may be of before.
    """
    folder = cache_folder()
    return Cache(folder) if folder is not None and sources_are_loaded() else None


class _DamagedError(Exception):
    """A file of the cache is not what was written."""


def _sums(data: Bytes) -> bytes:
    """A checksum at the speed of memory: SHA-256 of the sums of 64-bit words by blocks.

    It finds accidents (any single changed word changes a sum), not attackers: who can write to
    the folder can write code there.
    """
    whole = data.size // (8 * _BLOCK) * (8 * _BLOCK)
    sums = data[:whole].view(np.uint64).reshape(-1, _BLOCK).sum(axis=1, dtype=np.uint64)
    digest = hashlib.sha256(sums.tobytes())
    digest.update(data[whole:].data)
    return digest.digest()


def _touch(path: Path) -> None:
    """Note that the file was used now."""
    try:
        os.utime(path)
    except OSError:  # removed by another process, or a folder that is read only
        return


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_private(folder):
        raise PermissionError(f"{folder} is not the user's own, or others may write to it")


def _is_private(folder: Path) -> bool:
    """True if nobody else may put code into the folder."""
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022
