"""Writes compiled models as shared objects, archives and object files, each with a C header.

The body, the thread pool, the C functions and the constants become one relocatable object, whose
only visible symbols are the C functions; an archive holds it, a shared object is linked from it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tensorkiln.compiler.codegen.archive import write_archive
from tensorkiln.compiler.codegen.entry import (
    CONSTANTS_SYMBOL,
    WEIGHTS_HEADER_BYTES,
    Entry,
    entry_object,
)
from tensorkiln.compiler.codegen.header import c_identifier, header_text
from tensorkiln.compiler.codegen.link import find_linker, link_shared
from tensorkiln.compiler.codegen.objects import DataSymbol, JoinedObject, join_objects
from tensorkiln.compiler.codegen.pool import pool_object
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime.compiled import Compiled
from tensorkiln.runtime.errors import ArtifactError, UnsupportedError
from tensorkiln.runtime.manifest import ArtifactInfo, Manifest

KINDS = (".so", ".a", ".o")
# Code reaches embedded constants by 32-bit distances.
_LARGEST_EMBEDDED = 1 << 30
_MAGIC = b"TensorKiln weights\0\1"


@dataclass(frozen=True, slots=True)
class WrittenArtifact:
    """The files that were written; `weights` is None where they are embedded."""

    path: Path
    header: Path
    weights: Path | None


def write_artifact(
    compiled: Compiled,
    target: Target,
    path: str | os.PathLike[str],
    *,
    weights: Literal["embed", "file"] = "embed",
    prefix: str | None = None,
    linker: Sequence[str] | None = None,
) -> WrittenArtifact:
    """Write `compiled`, made for `target`, to `path` (.so, .a or .o) and its header beside it.

    `prefix` is the prefix of the C names, by default the model's name as a C identifier. With
    `weights="file"` the constants go to a file beside it (suffix .weights), which the program maps
    at run time. `linker` is the command of a C compiler, by default one found on the machine.
    The files appear under their names only when all are complete; after an error or interruption
    nothing stays. ArtifactError if a file cannot be written or no linker is found.
    """
    output = Path(path)
    if output.suffix not in KINDS:
        raise ArtifactError(f"{output}: an artifact's name ends in one of {', '.join(KINDS)}")
    if "linux" not in target.triple:
        raise UnsupportedError(f"artifacts for {target.triple} cannot be written, only for Linux")
    if prefix is not None and c_identifier(prefix) != prefix:
        raise ArtifactError(f"prefix {prefix!r} is not a usable C identifier")
    command = linker
    if output.suffix == ".so" and command is None:
        command = find_linker(target)
    manifest, start = _describe(compiled, output, weights, prefix)
    entry = entry_object(manifest, target, start)
    joined = _join(compiled, target, entry, embed=start is None)
    with _Files(output.parent) as files:
        header = output.with_suffix(".h")
        files.text(header, header_text(manifest))
        side = None
        if start is not None:
            assert manifest.artifact is not None
            side = output.with_name(str(manifest.artifact.weights))
            files.parts(side, [start, compiled.constants.data])
        _write_code(files, output, joined, entry, command)
        files.publish()
    return WrittenArtifact(output, header, side)


def _describe(
    compiled: Compiled, output: Path, weights: str, prefix: str | None
) -> tuple[Manifest, bytes | None]:
    """The manifest of the artifact, and the start of its weights file if it has one."""
    manifest = compiled.manifest
    if compiled.constants.nbytes != manifest.constants_bytes:
        raise ArtifactError(f"model {manifest.model!r}: constants differ in size from its manifest")
    if weights not in ("embed", "file"):
        raise ArtifactError(f'weights must be "embed" or "file", not {weights!r}')
    side_file = weights == "file" and manifest.constants_bytes > 0
    if not side_file and manifest.constants_bytes > _LARGEST_EMBEDDED:
        raise ArtifactError(
            f"{manifest.constants_bytes} bytes of weights are too many to be embedded in {output};"
            ' write them beside it with weights="file"'
        )
    fingerprint = hashlib.blake2b(compiled.constants.data, digest_size=16)
    info = ArtifactInfo(
        prefix=prefix or c_identifier(manifest.model, "model"),
        weights=output.with_suffix(".weights").name if side_file else None,
        fingerprint=fingerprint.hexdigest(),
    )
    start = None
    if side_file:
        start = (_MAGIC + fingerprint.digest()).ljust(WEIGHTS_HEADER_BYTES, b"\0")
    manifest = replace(manifest, artifact=info)
    Manifest.from_json(manifest.to_json(), f"model {manifest.model!r}")  # that it can be loaded
    return manifest, start


def _join(compiled: Compiled, target: Target, entry: Entry, embed: bool) -> JoinedObject:
    data = []
    if embed and compiled.manifest.constants_bytes:
        data.append(DataSymbol(CONSTANTS_SYMBOL, compiled.constants.data))
    objects = (compiled.object_code, entry.object_code, pool_object(target))
    joined = join_objects(objects, entry.public, data)
    own = [name for name in joined.undefined() if name.startswith("tk_")]
    if own:
        raise ArtifactError(
            f"the object code of {compiled.manifest.model!r} lacks {', '.join(own)}"
        )
    return joined


def _write_code(
    files: _Files,
    output: Path,
    joined: JoinedObject,
    entry: Entry,
    linker: Sequence[str] | None,
) -> None:
    if output.suffix == ".o":
        with files.reserve(output).open("wb") as file:
            joined.write(file)
        return
    part = files.scratch(".o")
    with part.open("wb") as file:
        joined.write(file)
    if output.suffix == ".so":
        assert linker is not None
        link_shared(linker, part, files.reserve(output), output.name)
        return
    with part.open("rb") as member, files.reserve(output).open("wb") as file:
        write_archive(file, "model.o", member, part.stat().st_size, entry.public)


class _Files:
    """Files under temporary names in their folder, which get their own names all at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pairs: list[tuple[Path, Path]] = []
        self._scratch: list[Path] = []

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        for temporary in self._scratch:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ArtifactError(f"cannot write to {self._folder}: {error}") from error

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
