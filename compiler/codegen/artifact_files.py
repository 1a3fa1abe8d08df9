"""The files of an artifact, which appear under their names only when all are complete."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tensorkiln.compiler.codegen.archive import write_archive
from tensorkiln.compiler.codegen.entry import Contents, entry_object
from tensorkiln.compiler.codegen.header import c_identifier
from tensorkiln.compiler.codegen.link import find_linker, link_shared
from tensorkiln.compiler.codegen.objects import (
    DataSymbol,
    JoinedObject,
    RenamedObject,
    join_objects,
)
from tensorkiln.compiler.codegen.pool import pool_object
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime.errors import ArtifactError, UnsupportedError

KINDS = (".so", ".a", ".o")


@dataclass(frozen=True, slots=True)
class WrittenArtifact:
    """The files that were written; `weights` is None where they are embedded."""

    path: Path
    header: Path
    weights: Path | None


@dataclass(frozen=True, slots=True)
class Output:
    """Where an artifact goes: its path, and the command that links it if it is a shared object."""

    path: Path
    linker: tuple[str, ...] | None

    @property
    def header(self) -> Path:
        """The C header beside it."""
        return self.path.with_suffix(".h")

    @property
    def weights(self) -> Path:
        """The side file of weights beside it."""
        return self.path.with_suffix(".weights")


def output_for(
    path: str | os.PathLike[str], target: Target, prefix: str, linker: Sequence[str] | None = None
) -> Output:
    """Where an ELF artifact goes; ArtifactError for names that cannot be and without a linker."""
    output = Path(path)
    check_kind(output)
    if "linux" not in target.triple:
        raise UnsupportedError(f"artifacts for {target.triple} cannot be written, only for Linux")
    if c_identifier(prefix) != prefix:
        raise ArtifactError(f"prefix {prefix!r} is not a usable C identifier")
    if output.suffix != ".so":
        return Output(output, None)
    return Output(output, tuple(linker) if linker is not None else find_linker(target))


def check_kind(output: Path) -> None:
    """ArtifactError unless the name tells a kind of file."""
    if output.suffix not in KINDS:
        raise ArtifactError(f"{output}: an artifact's name ends in one of {', '.join(KINDS)}")


def write_code(
    files: ArtifactFiles, output: Output, contents: Contents, data: Sequence[DataSymbol]
) -> None:
    """Write the code of all parts, the C functions, the pool and `data` as one file."""
    entry = entry_object(contents)
    target = contents.parts[0].target
    bodies = [code for part in contents.parts for code in part.objects()]
    objects: list[bytes | RenamedObject] = [*bodies, entry.object_code, pool_object(target)]
    joined = join_objects(objects, entry.public, data)
    own = [name for name in joined.undefined() if name.startswith("tk_")]
    if own:
        raise ArtifactError(f"the object code of {contents.prefix!r} lacks {', '.join(own)}")
    if output.path.suffix == ".o":
        _write_object(joined, files.reserve(output.path))
        return
    part = files.scratch(".o")
    _write_object(joined, part)
    if output.linker is not None:
        link_shared(output.linker, part, files.reserve(output.path), output.path.name)
        return
    with part.open("rb") as member, files.reserve(output.path).open("wb") as file:
        write_archive(file, "model.o", member, part.stat().st_size, entry.public)


def _write_object(joined: JoinedObject, path: Path) -> None:
    with path.open("wb") as file:
        joined.write(file)


class ArtifactFiles:
    """Files under temporary names in their folder, which get their own names all at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pairs: list[tuple[Path, Path]] = []
        self._scratch: list[Path] = []

    def __enter__(self) -> ArtifactFiles:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        for temporary in self._scratch:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ArtifactError(
                f"cannot write to {self._folder}: {error.strerror or error}"
            ) from error

    def scratch(self, suffix: str) -> Path:
        """An empty file that disappears at the end."""
        path = self._folder / f".tensorkiln-{secrets.token_hex(8)}{suffix}"
        self._scratch.append(path)
        mode = 0o777 if suffix == ".so" else 0o666
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode))
        return path

    def reserve(self, path: Path) -> Path:
        """The temporary name of what will be `path`."""
        if path.is_dir():
            raise ArtifactError(f"{path} is a folder")
        temporary = self.scratch(path.suffix)
        self._pairs.append((temporary, path))
        return temporary

    def text(self, path: Path, text: str) -> None:
        """Write a text file."""
        self.reserve(path).write_text(text, encoding="utf-8")

    def parts(self, path: Path, parts: Sequence[bytes | memoryview]) -> None:
        """Write a file of several parts."""
        with self.reserve(path).open("wb") as file:
            for part in parts:
                file.write(part)

    def publish(self) -> None:
        """Give every file its own name."""
        for temporary, path in self._pairs:
            temporary.replace(path)
