"""Writes compiled models as shared objects, archives and object files, each with a C header.

The bodies, the thread pool, the C functions and the constants become one relocatable object, whose
only visible symbols are the C functions; an archive holds it, a shared object is linked from it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from tensorkiln.compiler.codegen.artifact_files import (
    ArtifactFiles,
    WrittenArtifact,
    check_kind,
    output_for,
    write_code,
)
from tensorkiln.compiler.codegen.entry import Contents
from tensorkiln.compiler.codegen.entry_weights import side_file
from tensorkiln.compiler.codegen.header import c_identifier
from tensorkiln.compiler.codegen.header_artifact import model_header
from tensorkiln.compiler.codegen.part import Part, combine
from tensorkiln.compiler.codegen.wasm import wasm_header, wasm_object, wasm_prefix
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime.compiled import Compiled, SelfTest
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.manifest import ArtifactInfo, Manifest

# Code reaches embedded constants by 32-bit distances.
LARGEST_EMBEDDED = 1 << 30


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
    check_kind(Path(path))
    if target.architecture == "wasm32":
        if others or self_test is not None or weights != "embed":
            raise ArtifactError(
                f"{path}: a wasm32 object has its weights in it, and neither test vectors nor"
                " several instruction sets"
            )
        return _write_wasm(compiled, target, Path(path), prefix)
    name = prefix or c_identifier(compiled.manifest.model, "model")
    output = output_for(path, target, name, linker)
    part = combine("run", [(compiled, target), *others])
    side = side_file(part.data()) if beside(weights) else None
    check_embedded(path, "weights", part.manifest.constants_bytes, side is not None)
    file = None if side is None else output.weights
    manifest = describe(part, name, self_test is not None, None if file is None else file.name)
    Manifest.from_json(manifest.to_json(), f"model {manifest.model!r}")  # that it can be loaded
    contents = Contents(name, manifest.to_json(), (part,), side, self_test)
    with ArtifactFiles(output.path.parent) as files:
        files.text(output.header, model_header(manifest))
        if side is not None:
            files.parts(output.weights, side.parts)
        write_code(files, output, contents, part.data() if side is None else ())
        files.publish()
    return WrittenArtifact(output.path, output.header, file)


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


def beside(weights: str) -> bool:
    """True if weights go to a file of their own; ArtifactError unless it is "embed" or "file"."""
    if weights not in ("embed", "file"):
        raise ArtifactError(f'weights must be "embed" or "file", not {weights!r}')
    return weights == "file"


def check_embedded(path: str | os.PathLike[str], what: str, size: int, in_file: bool) -> None:
    """ArtifactError if the bytes of `what` are embedded and too many for it."""
    if size > LARGEST_EMBEDDED and not in_file:
        raise ArtifactError(
            f"{size} bytes of {what} are too many to be embedded in {os.fspath(path)}; write them"
            ' beside it with weights="file"'
        )


def describe(part: Part, prefix: str, self_test: bool, weights: str | None = None) -> Manifest:
    """The manifest of `part` in an artifact; `weights` is the name of its side file."""
    info = ArtifactInfo(prefix, weights, _digest(part).hex(), part.infos, self_test)
    return replace(part.manifest, artifact=info)


def _digest(part: Part) -> bytes:
    return hashlib.blake2b(part.constants.data, digest_size=16).digest()
