"""Loads shared objects that were written by `write_artifact` and `write_training_artifact`."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

from tensorkiln.runtime.body import Body, check_machine
from tensorkiln.runtime.elf import read_elf
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.library import Library, load_weights
from tensorkiln.runtime.manifest import ArtifactInfo, Manifest
from tensorkiln.runtime.open_executable import OpenExecutable, opened
from tensorkiln.runtime.processor import architecture, missing_features
from tensorkiln.runtime.status import message
from tensorkiln.runtime.trainer import Trainer
from tensorkiln.runtime.training_manifest import TrainingManifest

_MANIFEST_SECTION = ".tensorkiln"
_TRAINING_SECTION = ".tensorkiln.training"
_LARGEST_MANIFEST = 1 << 28


def load(path: str | os.PathLike[str], threads: int = 0) -> Executable | OpenExecutable | Trainer:
    """The model in the shared object `path`, using `threads` threads (0: all processors).

    One that is trained is a Trainer, every other an Executable, or an OpenExecutable for ranges of
    sizes. Its manifest is read and checked before any of its code runs; after that its code is
    trusted as any library's is. A side file of weights is looked for beside it. ArtifactError if
    the file is no artifact, is damaged, or is for another machine.
    """
    file = Path(path).absolute()
    manifest = read_manifest(file)
    _check_machine(manifest, file)
    library = Library(file)
    if isinstance(manifest, TrainingManifest):
        if manifest.artifact.weights is not None:
            name = manifest.artifact.weights
            load_weights(library, manifest.artifact.prefix, file.with_name(name))
        _check_unchanged(library, manifest)
        return Trainer(manifest, library, threads)
    assert manifest.artifact is not None
    return opened(Executable(manifest, _body(library, manifest, manifest.artifact), threads))


def load_model(path: str | os.PathLike[str], threads: int = 0) -> Executable | OpenExecutable:
    """The same for models that are not trained; ArtifactError for those that are."""
    model = load(path, threads)
    if isinstance(model, Trainer):
        raise ArtifactError(
            f"{path} is a model that is trained: tensorkiln.load(...) gives its train_step and"
            " predict, `tensorkiln profile` and `verify` run them"
        )
    return model


def run_self_test(path: str | os.PathLike[str], threads: int = 0) -> str | None:
    """Runs the test vectors inside of the shared object `path`; None if the model passes them.

    Else what is wrong, in a few words. ArtifactError as in `load`, and if there are no vectors.
    """
    file = Path(path).absolute()
    manifest = read_manifest(file)
    info = manifest.artifact
    assert info is not None
    if not info.self_test:
        raise ArtifactError(f"{file} has no test vectors; compile it with --self-test")
    _check_machine(manifest, file)
    library = Library(file)
    if info.weights is not None:
        load_weights(library, info.prefix, file.with_name(info.weights))
    test = library.function(f"{info.prefix}_self_test", ctypes.c_int32, ctypes.c_int32)
    status: int = test(threads)
    return message(status) if status else None


def read_manifest(path: str | os.PathLike[str]) -> Manifest | TrainingManifest:
    """The manifest inside of an artifact (.so or .o), without running any of its code."""
    try:
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error
    elf = read_elf(memoryview(data), str(path))
    names = (_MANIFEST_SECTION, _TRAINING_SECTION)
    sections = [section for section in elf.sections if section.name in names]
    if len(sections) != 1 or sections[0].size > _LARGEST_MANIFEST:
        raise ArtifactError(f"{path} is not an artifact of TensorKiln: it has no manifest")
    text = bytes(sections[0].data).rstrip(b"\0")
    if sections[0].name == _TRAINING_SECTION:
        return TrainingManifest.from_json(text, str(path))
    manifest = Manifest.from_json(text, str(path))
    if manifest.artifact is None:
        raise ArtifactError(f"{path}: its manifest does not name its functions")
    return manifest


def _check_machine(manifest: Manifest | TrainingManifest, file: Path) -> None:
    code = manifest.step if isinstance(manifest, TrainingManifest) else manifest
    check_machine(code, str(file), architecture(), missing_features(code.features))


def _check_unchanged(library: Library, manifest: Manifest | TrainingManifest) -> None:
    """ArtifactError if the library that was opened is not the file whose manifest was read."""
    assert manifest.artifact is not None
    text = library.text(f"{manifest.artifact.prefix}_manifest")
    if type(manifest).from_json(text, str(library.path)) != manifest:
        raise ArtifactError(f"{library.path} changed while it was being loaded; load it again")


def _body(library: Library, manifest: Manifest, info: ArtifactInfo) -> Body:
    number = ctypes.c_int32
    if info.weights is not None:
        load_weights(library, info.prefix, library.path.with_name(info.weights))
    _check_unchanged(library, manifest)
    run = library.address(f"{info.prefix}_run")
    thread_count = library.function(f"{info.prefix}_thread_count", number, number)
    outputs_at = ctypes.sizeof(ctypes.c_void_p) * len(manifest.inputs)

    def arrange(pointers: int, workspace: int) -> tuple[int, int, int]:
        return pointers, pointers + outputs_at, workspace

    return Body(run, arrange, thread_count, library)
