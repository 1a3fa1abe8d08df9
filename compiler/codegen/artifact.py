"""Writes compiled models as shared objects, archives and object files, each with a C header.

The body, the thread pool, the C functions and the constants become one relocatable object, whose
only visible symbols are the C functions; an archive holds it, a shared object is linked from it.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from tensorkiln.compiler.codegen.archive import write_archive
from tensorkiln.compiler.codegen.entry import Contents, Entry, entry_object
from tensorkiln.compiler.codegen.entry_cpu import Version, level_of
from tensorkiln.compiler.codegen.entry_run import CONSTANTS_SYMBOL, SHARE_SYMBOL
from tensorkiln.compiler.codegen.entry_weights import WEIGHTS_HEADER_BYTES
from tensorkiln.compiler.codegen.header import c_identifier, header_text
from tensorkiln.compiler.codegen.link import find_linker, link_shared
from tensorkiln.compiler.codegen.objects import (
    DataSymbol,
    JoinedObject,
    RenamedObject,
    join_objects,
)
from tensorkiln.compiler.codegen.pool import pool_object
from tensorkiln.compiler.codegen.wasm import wasm_header, wasm_object, wasm_prefix
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime.compiled import Compiled, SelfTest, aligned_bytes
from tensorkiln.runtime.errors import ArtifactError, UnsupportedError
from tensorkiln.runtime.manifest import ArtifactInfo, Manifest, VersionInfo
from tensorkiln.runtime.open_sizes import widest

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
    others: Sequence[tuple[Compiled, Target]] = (),
    self_test: SelfTest | None = None,
) -> WrittenArtifact:
    """Write `compiled`, made for `target`, to `path` (.so, .a or .o) and its header beside it.

    `others` are the same model for other levels of x86-64: the code then takes the highest that
    the processor has. `self_test` becomes a function that tries the model.

    `prefix` is the prefix of the C names, by default the model's name as a C identifier. With
    `weights="file"` the constants go to a file beside it (suffix .weights), which the program maps
    at run time. `linker` is the command of a C compiler, by default one found on the machine.
    The files appear under their names only when all are complete; after an error or interruption
    nothing stays. ArtifactError if a file cannot be written or no linker is found.
    """
    output = Path(path)
    if output.suffix not in KINDS:
        raise ArtifactError(f"{output}: an artifact's name ends in one of {', '.join(KINDS)}")
    if target.architecture == "wasm32":
        if others or self_test is not None or weights != "embed":
            raise ArtifactError(
                f"{output}: a wasm32 object has its weights in it, and neither test vectors nor"
                " several instruction sets"
            )
        return _write_wasm(compiled, target, output, prefix)
    if "linux" not in target.triple:
        raise UnsupportedError(f"artifacts for {target.triple} cannot be written, only for Linux")
    if prefix is not None and c_identifier(prefix) != prefix:
        raise ArtifactError(f"prefix {prefix!r} is not a usable C identifier")
    command = linker
    if output.suffix == ".so" and command is None:
        command = find_linker(target)
    whole = _combine([(compiled, target), *others])
    manifest, start = _describe(whole, output, weights, prefix, self_test is not None)
    entry = entry_object(Contents(manifest, whole.versions, start, self_test), whole.target)
    joined = _join(whole, entry, embed=start is None)
    with ArtifactFiles(output.parent) as files:
        header = output.with_suffix(".h")
        files.text(header, header_text(manifest))
        side = None
        if start is not None:
            assert manifest.artifact is not None
            side = output.with_name(str(manifest.artifact.weights))
            files.parts(side, [start, whole.constants.data])
        write_code(files, output, joined, entry, command)
        files.publish()
    return WrittenArtifact(output, header, side)


def _write_wasm(
    compiled: Compiled, target: Target, output: Path, prefix: str | None
) -> WrittenArtifact:
    name = wasm_prefix(output, prefix, compiled.manifest.model)
    code = wasm_object(compiled, target, name)
    header = output.with_suffix(".h")
    with ArtifactFiles(output.parent) as files:
        files.text(header, wasm_header(compiled.manifest, name))
        files.parts(output, [code])
        files.publish()
    return WrittenArtifact(output, header, None)


@dataclass(frozen=True, slots=True, eq=False)
class _Whole:
    """All versions of a model: their code, one blob of constants, one manifest.

    `target` is the one of the lowest version.
    """

    manifest: Manifest
    codes: tuple[bytes, ...]
    versions: tuple[Version, ...]
    infos: tuple[VersionInfo, ...]
    constants: npt.NDArray[np.uint8]
    target: Target


def _combine(pairs: Sequence[tuple[Compiled, Target]]) -> _Whole:
    """Puts versions in the order of their levels; equal constants are stored once."""
    for compiled, _ in pairs:
        if compiled.constants.nbytes != compiled.manifest.constants_bytes:
            raise ArtifactError(
                f"model {compiled.manifest.model!r}: constants differ in size from its manifest"
            )
    if len(pairs) == 1:
        ((compiled, target),) = pairs
        version = Version("tk_body", 0, 0)
        code, manifest = compiled.object_code, compiled.manifest
        return _Whole(manifest, (code,), (version,), (), compiled.constants, target)
    pairs = sorted(pairs, key=lambda pair: level_of(pair[1]))
    levels = [level_of(target) for _, target in pairs]
    first, last = pairs[0][0].manifest, pairs[-1][0].manifest
    signatures = {(c.manifest.inputs, c.manifest.outputs) for c, _ in pairs}
    if len(set(levels)) < len(levels) or len(signatures) > 1:
        raise ArtifactError(
            f"model {first.model!r}: versions must be of one model and of different levels"
        )
    blob, places = join_constants([compiled.constants for compiled, _ in pairs])
    workspace = max(compiled.manifest.workspace_bytes for compiled, _ in pairs)
    manifest = replace(
        first,
        sizes=widest([compiled.manifest.sizes for compiled, _ in pairs]),
        workspace_bytes=workspace,
        constants_bytes=blob.nbytes,
        kernels=last.kernels,
        peak_bytes=first.peak_bytes - first.workspace_bytes - first.constants_bytes
        + workspace + blob.nbytes,
    )  # fmt: skip
    return _Whole(
        manifest,
        tuple(compiled.object_code for compiled, _ in pairs),
        tuple(
            Version(f"tk_body_v{level}", level, place)
            for level, place in zip(levels, places, strict=True)
        ),
        tuple(
            VersionInfo(target.name, target.cpu, target.features, m.workspace_bytes, m.kernels)
            for m, target in ((compiled.manifest, target) for compiled, target in pairs)
        ),
        blob,
        pairs[0][1],
    )


def join_constants(
    blobs: Sequence[npt.NDArray[np.uint8]],
) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """The distinct blobs one after the other, each at a multiple of 64, and where each is."""
    distinct: list[npt.NDArray[np.uint8]] = []
    numbers: list[int] = []
    for blob in blobs:
        same = [k for k, other in enumerate(distinct) if np.array_equal(blob, other)]
        numbers.append(same[0] if same else len(distinct))
        if not same:
            distinct.append(blob)
    sizes = [-(-blob.nbytes // 64) * 64 for blob in distinct]
    starts = [0, *itertools.accumulate(sizes)]
    if len(distinct) == 1:
        return distinct[0], [0] * len(blobs)
    joined = aligned_bytes(starts[-1])
    joined[:] = 0
    for blob, start in zip(distinct, starts, strict=False):
        joined[start : start + blob.nbytes] = blob
    return joined, [starts[number] for number in numbers]


def _describe(
    whole: _Whole, output: Path, weights: str, prefix: str | None, self_test: bool
) -> tuple[Manifest, bytes | None]:
    """The manifest of the artifact, and the start of its weights file if it has one."""
    manifest = whole.manifest
    if weights not in ("embed", "file"):
        raise ArtifactError(f'weights must be "embed" or "file", not {weights!r}')
    side_file = weights == "file" and manifest.constants_bytes > 0
    if not side_file and manifest.constants_bytes > _LARGEST_EMBEDDED:
        raise ArtifactError(
            f"{manifest.constants_bytes} bytes of weights are too many to be embedded in {output};"
            ' write them beside it with weights="file"'
        )
    fingerprint = hashlib.blake2b(whole.constants.data, digest_size=16)
    info = ArtifactInfo(
        prefix=prefix or c_identifier(manifest.model, "model"),
        weights=output.with_suffix(".weights").name if side_file else None,
        fingerprint=fingerprint.hexdigest(),
        versions=whole.infos,
        self_test=self_test,
    )
    start = None
    if side_file:
        start = (_MAGIC + fingerprint.digest()).ljust(WEIGHTS_HEADER_BYTES, b"\0")
    manifest = replace(manifest, artifact=info)
    Manifest.from_json(manifest.to_json(), f"model {manifest.model!r}")  # that it can be loaded
    return manifest, start


def _join(whole: _Whole, entry: Entry, embed: bool) -> JoinedObject:
    data = []
    if embed and whole.manifest.constants_bytes:
        data.append(DataSymbol(CONSTANTS_SYMBOL, whole.constants.data))
    bodies: list[bytes | RenamedObject] = [
        RenamedObject(code, {"tk_body": version.body, "tk_parallel_for": SHARE_SYMBOL})
        for code, version in zip(whole.codes, whole.versions, strict=True)
    ]
    objects = [*bodies, entry.object_code, pool_object(whole.target)]
    joined = join_objects(objects, entry.public, data)
    own = [name for name in joined.undefined() if name.startswith("tk_")]
    if own:
        raise ArtifactError(f"the object code of {whole.manifest.model!r} lacks {', '.join(own)}")
    return joined


def write_code(
    files: ArtifactFiles,
    output: Path,
    joined: JoinedObject,
    entry: Entry,
    linker: Sequence[str] | None,
) -> None:
    """Write `joined` as an object, archive or shared object, by the suffix of `output`."""
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
