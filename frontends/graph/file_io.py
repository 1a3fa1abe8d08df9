"""`tf.gfile`: files and folders of the local disk, with TensorFlow's errors."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any

from tensorkiln.frontends.graph.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    OpError,
    PermissionDeniedError,
    UnknownError,
)

_ERRORS: tuple[tuple[type[OSError], type[OpError]], ...] = (
    (FileNotFoundError, NotFoundError),
    (FileExistsError, AlreadyExistsError),
    (PermissionError, PermissionDeniedError),
    (NotADirectoryError, FailedPreconditionError),
    (IsADirectoryError, FailedPreconditionError),
)


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """Raises the operating system's errors as `tf.errors`."""
    try:
        yield
    except OSError as error:
        text = f"{path}; {error.strerror or error}"
        kind = next((to for of, to in _ERRORS if isinstance(error, of)), UnknownError)
        if error.errno is not None and os.strerror(error.errno) == "Directory not empty":
            kind = FailedPreconditionError
        raise kind(None, None, text) from None


def as_path(path: object) -> str:
    """Text from text, bytes or a path object."""
    return os.fsdecode(path) if isinstance(path, bytes) else os.fspath(path)  # type: ignore[call-overload]


class GFile:
    """A file, opened when it is first used; `mode` r, w, a, r+, w+, a+ with or without b.

    Text is UTF-8.  NotFoundError, PermissionDeniedError and so on say what the system says.
    """

    def __init__(self, name: object, mode: str = "r") -> None:
        if mode.replace("b", "") not in ("r", "w", "a", "r+", "w+", "a+"):
            raise InvalidArgumentError(
                None, None, "mode is not 'r' or 'w' or 'a' or 'r+' or 'w+' or 'a+'"
            )
        self.name = as_path(name)
        self.mode = mode
        self._opened: IO[Any] | None = None

    def _file(self, letters: str, deed: str) -> IO[Any]:
        if not any(letter in self.mode for letter in letters):
            raise PermissionDeniedError(None, None, f"File isn't open for {deed}")
        if self._opened is None:
            with _translated(self.name):
                binary = "b" in self.mode
                encoding = None if binary else "utf-8"
                newline = None if binary else ""
                self._opened = open(  # noqa: SIM115
                    self.name, self.mode, encoding=encoding, newline=newline
                )
        return self._opened

    def read(self, n: int = -1) -> Any:
        """The next `n` characters (bytes in binary mode), all if negative."""
        with _translated(self.name):
            return self._file("r+", "reading").read(n)

    def readline(self) -> Any:
        """The next line with its end; empty at the end of the file."""
        return self._file("r+", "reading").readline()

    def readlines(self) -> list[Any]:
        """All remaining lines with their ends."""
        return list(self._file("r+", "reading"))

    def write(self, file_content: Any) -> None:
        """Appends text or bytes."""
        file = self._file("wa+", "writing")
        if "b" in self.mode and isinstance(file_content, str):
            file_content = file_content.encode("utf-8")
        elif "b" not in self.mode and isinstance(file_content, bytes):
            file_content = file_content.decode("utf-8")
        file.write(file_content)

    def seek(self, offset: int = 0, whence: int = 0, position: int | None = None) -> None:
        """Goes to a place in the file."""
        place = offset if position is None else position
        self._file("rwa", "seeking").seek(place, whence)

    def tell(self) -> int:
        """The place in the file."""
        return self._file("rwa", "reading").tell()

    def size(self) -> int:
        """Bytes in the file."""
        self.flush()
        return Stat(self.name).length

    def flush(self) -> None:
        """Hands what was written to the operating system."""
        if self._opened is not None:
            self._opened.flush()

    def close(self) -> None:
        """Closes the file; its next use opens it anew."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file("r+", "reading"))

    def __next__(self) -> Any:
        return next(self._file("r+", "reading"))

    def next(self) -> Any:
        """The next line; StopIteration at the end."""
        return next(self)

    def __enter__(self) -> GFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class FileStatistics:
    """Bytes of a file, nanoseconds of its last change since 1970, whether it is a folder."""

    length: int
    mtime_nsec: int
    is_directory: bool


def Exists(filename: object) -> bool:
    """True if there is such a file or folder."""
    return os.path.exists(as_path(filename))


def IsDirectory(dirname: object) -> bool:
    """True if there is such a folder."""
    return os.path.isdir(as_path(dirname))


def Glob(filename: object) -> list[str]:
    """The files that match a pattern (or any of a list of patterns), sorted."""
    patterns = filename if isinstance(filename, list | tuple) else [filename]
    return [path for p in patterns for path in sorted(glob.glob(as_path(p)))]


def ListDirectory(dirname: object) -> list[str]:
    """The names in a folder, sorted."""
    if not IsDirectory(dirname):
        raise NotFoundError(None, None, f"Could not find directory {as_path(dirname)}")
    with _translated(as_path(dirname)):
        return sorted(os.listdir(as_path(dirname)))


def MkDir(dirname: object) -> None:
    """Makes one folder, unless it exists; its parent must exist."""
    with _translated(as_path(dirname)):
        if not os.path.isdir(as_path(dirname)):
            os.mkdir(as_path(dirname))


def MakeDirs(dirname: object) -> None:
    """Makes a folder and its parents, unless they exist."""
    with _translated(as_path(dirname)):
        os.makedirs(as_path(dirname), exist_ok=True)


def Remove(filename: object) -> None:
    """Deletes a file."""
    with _translated(as_path(filename)):
        os.remove(as_path(filename))


def DeleteRecursively(dirname: object) -> None:
    """Deletes a folder and all that is in it."""
    with _translated(as_path(dirname)):
        shutil.rmtree(as_path(dirname))


def Copy(oldpath: object, newpath: object, overwrite: bool = False) -> None:
    """Copies a file; AlreadyExistsError if there is one of the new name, unless `overwrite`."""
    _check_new(newpath, overwrite)
    with _translated(as_path(oldpath)):
        shutil.copyfile(as_path(oldpath), as_path(newpath))


def Rename(oldname: object, newname: object, overwrite: bool = False) -> None:
    """Renames a file or folder; AlreadyExistsError as for Copy."""
    _check_new(newname, overwrite)
    with _translated(as_path(oldname)):
        os.replace(as_path(oldname), as_path(newname))


def _check_new(path: object, overwrite: bool) -> None:
    if not overwrite and Exists(path):
        raise AlreadyExistsError(None, None, f"{as_path(path)}; file already exists")


def Stat(filename: object) -> FileStatistics:
    """Size, time and kind of a file."""
    with _translated(as_path(filename)):
        found = os.stat(as_path(filename))
    return FileStatistics(found.st_size, found.st_mtime_ns, IsDirectory(filename))


def Walk(top: object, in_order: bool = True) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    """Each folder below `top` with its folders and files, parents first if `in_order`."""
    for folder, folders, files in os.walk(as_path(top), topdown=in_order):
        folders.sort()
        yield folder, list(folders), sorted(files)
