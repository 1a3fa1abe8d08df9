"""Writes a training artifact: a step and a prediction over one state, with its initial values."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from tensorkiln.compiler.codegen.artifact import beside, check_embedded, describe
from tensorkiln.compiler.codegen.artifact_files import (
    ArtifactFiles,
    WrittenArtifact,
    output_for,
    write_code,
)
from tensorkiln.compiler.codegen.entry import Contents
from tensorkiln.compiler.codegen.entry_state import INITIAL_SYMBOL, STATE_HEADER_BYTES, State
from tensorkiln.compiler.codegen.entry_weights import side_file
from tensorkiln.compiler.codegen.header_artifact import training_header
from tensorkiln.compiler.codegen.objects import DataSymbol
from tensorkiln.compiler.codegen.part import Part, Versions, combine
from tensorkiln.runtime.compiled import SelfTest, aligned_bytes
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.manifest import TensorSpec
from tensorkiln.runtime.training_manifest import Recipe, TrainingManifest

_MAGIC = b"TensorKiln state\0\1"


def write_training_artifact(
    state: Mapping[str, npt.NDArray[np.generic]],
    step: Versions,
    predict: Versions,
    path: str | os.PathLike[str],
    prefix: str,
    *,
    weights: Literal["embed", "file"] = "embed",
    self_test: SelfTest | None = None,
    recipe: Recipe | None = None,
) -> WrittenArtifact:
    """Write a model that trains, and its header, to `path` (.so, .a or .o).

    `step` and `predict` are compiled for the same targets: one, or several levels of x86-64. Their
    inputs with a name of `state` are the state, whose initial values are embedded; with
    `weights="file"` they and all constants go to a file beside it (suffix .weights). `self_test`
    becomes a function that tries both, `recipe` goes into the manifest. ArtifactError as in
    `write_artifact`.
    """
    if [target for _, target in step] != [target for _, target in predict]:
        raise ArtifactError(f"{path}: the step and the prediction are for different targets")
    output = output_for(path, step[0][1], prefix)
    parts = (combine("train_step", step), combine("predict", predict))
    in_file = beside(weights)
    file = output.weights.name if in_file else None
    manifests = [describe(part, prefix, self_test is not None, file) for part in parts]
    manifest = TrainingManifest(_specs(state, parts), manifests[0], manifests[1], recipe)
    constants = sum(part.manifest.constants_bytes for part in parts)
    check_embedded(path, "initial state and weights", manifest.state_bytes + constants, in_file)
    TrainingManifest.from_json(manifest.to_json(), prefix)  # that it can be loaded
    parts = (
        replace(parts[0], offsets=manifest.offsets),
        replace(parts[1], offsets=manifest.offsets),
    )
    initial = _initial(state, manifest)
    kept = State(manifest.state, initial, _file_header(manifest.state))
    data = [DataSymbol(INITIAL_SYMBOL, initial.data), *(d for part in parts for d in part.data())]
    side = side_file(data) if in_file else None
    contents = Contents(prefix, manifest.to_json(), parts, side, self_test, kept)
    with ArtifactFiles(output.path.parent) as files:
        files.text(output.header, training_header(manifest))
        if side is not None:
            files.parts(output.weights, side.parts)
        write_code(files, output, contents, data if side is None else ())
        files.publish()
    return WrittenArtifact(output.path, output.header, output.weights if in_file else None)


def _specs(
    state: Mapping[str, npt.NDArray[np.generic]], parts: tuple[Part, Part]
) -> tuple[TensorSpec, ...]:
    """The state's tensors that a function uses."""
    used = {spec.name: spec for part in parts for spec in part.manifest.inputs}
    return tuple(used[name] for name in state if name in used)


def _initial(
    state: Mapping[str, npt.NDArray[np.generic]], manifest: TrainingManifest
) -> npt.NDArray[np.uint8]:
    """The block with the initial values."""
    block = aligned_bytes(manifest.state_bytes)
    block[:] = 0
    for spec in manifest.state:
        array = np.ascontiguousarray(state[spec.name])
        start = manifest.offsets[spec.name]
        block[start : start + spec.bytes] = array.reshape(-1).view(np.uint8)
    return block


def _file_header(specs: tuple[TensorSpec, ...]) -> bytes:
    """What files of this state start with: equal for models of equal state."""
    text = repr([(spec.name, spec.shape, spec.dtype) for spec in specs])
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return (_MAGIC + digest).ljust(STATE_HEADER_BYTES, b"\0")
