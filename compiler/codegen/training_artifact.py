"""Writes a training artifact: a step and a prediction over one state, with its initial values."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import numpy.typing as npt

from tensorkiln.compiler.codegen.artifact import KINDS, ArtifactFiles, WrittenArtifact, write_code
from tensorkiln.compiler.codegen.entry import Entry
from tensorkiln.compiler.codegen.entry_run import SHARE_SYMBOL
from tensorkiln.compiler.codegen.entry_training import (
    HEADER_BYTES,
    INITIAL_SYMBOL,
    PUBLIC,
    Part,
    training_text,
)
from tensorkiln.compiler.codegen.header import c_identifier
from tensorkiln.compiler.codegen.header_training import training_header
from tensorkiln.compiler.codegen.link import find_linker
from tensorkiln.compiler.codegen.objects import DataSymbol, RenamedObject, join_objects
from tensorkiln.compiler.codegen.pool import pool_object
from tensorkiln.compiler.codegen.target import emit_object, machine, optimize
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime.compiled import Compiled, aligned_bytes
from tensorkiln.runtime.errors import ArtifactError, UnsupportedError
from tensorkiln.runtime.manifest import TensorSpec

_MAGIC = b"TensorKiln state\0\1"


def write_training_artifact(
    state: Mapping[str, npt.NDArray[np.generic]],
    step: Compiled,
    predict: Compiled,
    target: Target,
    path: str | os.PathLike[str],
    prefix: str,
) -> WrittenArtifact:
    """Write a model that trains, and its header, to `path` (.so, .a or .o).

    Inputs of `step` and `predict` with a name of `state` are the state, whose initial values are
    embedded. ArtifactError as in `write_artifact`.
    """
    output = Path(path)
    if output.suffix not in KINDS:
        raise ArtifactError(f"{output}: an artifact's name ends in one of {', '.join(KINDS)}")
    if "linux" not in target.triple:
        raise UnsupportedError(f"artifacts for {target.triple} cannot be written, only for Linux")
    if c_identifier(prefix) != prefix:
        raise ArtifactError(f"prefix {prefix!r} is not a usable C identifier")
    linker = find_linker(target) if output.suffix == ".so" else None
    specs = _specs(state, (step, predict))
    offsets, size = _places(specs)
    initial = aligned_bytes(size)
    initial[:] = 0
    for spec in specs:
        array = np.ascontiguousarray(state[spec.name])
        start = offsets[spec.name]
        initial[start : start + spec.bytes] = array.reshape(-1).view(np.uint8)
    parts = (
        Part("train_step", step.manifest, "tk_body_step", "tk_constants_step"),
        Part("predict", predict.manifest, "tk_body_predict", "tk_constants_predict"),
    )
    text = training_text(
        prefix,
        parts,
        specs,
        offsets,
        size,
        _header(specs),
        _manifest(prefix, parts, specs, offsets),
    )
    entry = _entry(text, prefix, target)
    data = [DataSymbol(INITIAL_SYMBOL, initial.data)]
    bodies: list[bytes | RenamedObject] = []
    for part, compiled in zip(parts, (step, predict), strict=True):
        names = {"tk_body": part.body, "tk_parallel_for": SHARE_SYMBOL}
        bodies.append(RenamedObject(compiled.object_code, names))
        if part.manifest.constants_bytes:
            data.append(DataSymbol(part.constants, compiled.constants.data))
    joined = join_objects([*bodies, entry.object_code, pool_object(target)], entry.public, data)
    with ArtifactFiles(output.parent) as files:
        header = output.with_suffix(".h")
        files.text(header, training_header(prefix, parts, specs, offsets, size, target.triple))
        write_code(files, output, joined, entry, linker)
        files.publish()
    return WrittenArtifact(output, header, None)


def _specs(
    state: Mapping[str, npt.NDArray[np.generic]], models: Sequence[Compiled]
) -> list[TensorSpec]:
    """The state's tensors that a function uses."""
    used = {
        spec.name: spec for model in models for spec in model.manifest.inputs if spec.name in state
    }
    return [used[name] for name in state if name in used]


def _places(specs: Sequence[TensorSpec]) -> tuple[dict[str, int], int]:
    offsets, end = {}, 0
    for spec in specs:
        offsets[spec.name] = end
        end += -(-spec.bytes // 64) * 64
    return offsets, max(end, 64)


def _header(specs: Sequence[TensorSpec]) -> bytes:
    """What files of this state start with: equal for models of equal state."""
    text = repr([(spec.name, spec.shape, spec.dtype) for spec in specs])
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return (_MAGIC + digest).ljust(HEADER_BYTES, b"\0")


def _manifest(
    prefix: str, parts: Sequence[Part], specs: Sequence[TensorSpec], offsets: Mapping[str, int]
) -> str:
    rows = [
        {"name": s.name, "shape": s.shape, "dtype": s.dtype, "offset": offsets[s.name]}
        for s in specs
    ]
    functions = {part.name: json.loads(part.manifest.to_json()) for part in parts}
    return json.dumps({"prefix": prefix, "state": rows, **functions})


def _entry(text: str, prefix: str, target: Target) -> Entry:
    module = llvm.parse_assembly(text)
    module.triple = target.triple
    module.data_layout = str(machine(target).target_data)
    module.verify()
    optimize(module, target)
    return Entry(emit_object(module, target), tuple(f"{prefix}_{name}" for name in PUBLIC))
