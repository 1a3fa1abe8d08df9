"""A model that is trained, loaded from a shared object."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from tensorkiln.runtime.compiled import aligned_bytes, aligned_zeros
from tensorkiln.runtime.errors import ArtifactError, TensorKilnError
from tensorkiln.runtime.feeds import Array, address, conform, dense, wrong_names
from tensorkiln.runtime.library import Library
from tensorkiln.runtime.manifest import Manifest, TensorSpec
from tensorkiln.runtime.open_signature import OpenSignature
from tensorkiln.runtime.open_sizes import OpenSpec
from tensorkiln.runtime.status import message
from tensorkiln.runtime.training_manifest import TrainingManifest

_NUMBER, _POINTER = ctypes.c_int32, ctypes.c_void_p


class Trainer:
    """A state and the compiled functions over it.

    `state` holds the tensors by name, as arrays that share the memory of the state: they can be
    read and written between calls. One thread at a time trains, initialises, saves and loads, others
    wait; any number may predict meanwhile, but a prediction beside a step sees a state half updated.
    """

    def __init__(self, manifest: TrainingManifest, library: Library, threads: int = 0) -> None:
        """The functions of `library`, called with `threads` threads; the state is initialised."""
        self.manifest = manifest
        self._library = library
        prefix = manifest.artifact.prefix
        size = library.function(f"{prefix}_state_size", ctypes.c_size_t)()
        if size != manifest.state_bytes:
            raise ArtifactError(f"{library.path}: its state has {size} bytes, not what it says")
        self._block = aligned_bytes(size)
        self._place = address(self._block)
        views = {}
        for spec in manifest.state:
            start = manifest.offsets[spec.name]
            part = self._block[start : start + spec.bytes]
            views[spec.name] = part.view(spec.numpy).reshape(spec.shape)
        self.state: Mapping[str, Array] = MappingProxyType(views)
        self._count = library.function(f"{prefix}_thread_count", _NUMBER, _NUMBER)
        self._threads = int(self._count(threads))
        self._step = _Function(library, f"{prefix}_train_step", manifest.fed(manifest.step))
        self._predict = _Function(library, f"{prefix}_predict", manifest.fed(manifest.predict))
        self._lock = threading.Lock()
        self.init()

    @property
    def threads(self) -> int:
        """Threads that a call uses where the call does not say."""
        return self._threads

    @property
    def train_inputs(self) -> tuple[TensorSpec | OpenSpec, ...]:
        """What a step is fed."""
        return self._step.inputs

    @property
    def train_outputs(self) -> tuple[TensorSpec | OpenSpec, ...]:
        """What a step gives besides changing the state: the loss."""
        return self._step.outputs

    @property
    def predict_inputs(self) -> tuple[TensorSpec | OpenSpec, ...]:
        """What a prediction is fed."""
        return self._predict.inputs

    @property
    def predict_outputs(self) -> tuple[TensorSpec | OpenSpec, ...]:
        """What a prediction gives."""
        return self._predict.outputs

    def init(self) -> None:
        """Gives the state its initial values."""
        with self._lock:
            function = self._function("init", _POINTER)
            _raise(self.manifest.artifact.prefix, function(self._place))

    def train_step(self, feeds: Mapping[str, object], *, threads: int = 0) -> list[Array]:
        """One step on arrays by input name, which changes the state; the outputs in their order.

        FeedError names an input that is missing or unknown, or has a wrong dtype or shape.
        """
        with self._lock:
            return self._step.call(self._place, feeds, self._resolve(threads))

    def predict(self, feeds: Mapping[str, object], *, threads: int = 0) -> list[Array]:
        """The model's outputs for arrays by input name; errors as in `train_step`."""
        return self._predict.call(self._place, feeds, self._resolve(threads))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the state to a file, whole or not at all; ArtifactError if it cannot be written."""
        with self._lock:
            function = self._function("save", _POINTER, ctypes.c_char_p)
            self._file_status(path, function(self._place, os.fsencode(path)))

    def load(self, path: str | os.PathLike[str]) -> None:
        """Reads a state that was saved, by C programs as well.

        ArtifactError for files that cannot be read, are damaged, or hold the state of another
        model; the state is then as before.
        """
        with self._lock:
            function = self._function("load", _POINTER, ctypes.c_char_p)
            self._file_status(path, function(self._place, os.fsencode(path)))

    def _function(self, name: str, *arguments: type) -> Callable[..., Any]:
        prefix = self.manifest.artifact.prefix
        return self._library.function(f"{prefix}_{name}", _NUMBER, *arguments)

    def _resolve(self, threads: int) -> int:
        return int(self._count(threads)) if threads > 0 else self._threads

    def _file_status(self, path: str | os.PathLike[str], status: int) -> None:
        if status:
            raise ArtifactError(f"{os.fspath(path)}: {message(status)}")


class _Frame:
    """What one call at a time uses: a workspace, and the structures of pointers."""

    __slots__ = ("inputs", "outputs", "place", "workspace")

    def __init__(self, manifest: Manifest) -> None:
        self.workspace = aligned_zeros(manifest.workspace_bytes)
        self.place = address(self.workspace)
        self.inputs = (_POINTER * max(1, len(manifest.inputs)))()
        self.outputs = (_POINTER * max(1, len(manifest.outputs)))()


class _Function:
    """A C function over the state, with frames of its own."""

    def __init__(self, library: Library, name: str, manifest: Manifest) -> None:
        self._call = library.function(name, _NUMBER, *[_POINTER] * 4, _NUMBER)
        self._name = name
        self._open = None if manifest.sizes is None else OpenSignature(manifest)
        known = manifest if self._open is None else self._open
        self.inputs: tuple[TensorSpec | OpenSpec, ...] = known.inputs
        self.outputs: tuple[TensorSpec | OpenSpec, ...] = known.outputs
        self._names = [spec.name for spec in self.inputs]
        self._manifest = manifest
        self._frames: list[_Frame] = []

    def call(self, state: int, feeds: Mapping[str, object], threads: int) -> list[Array]:
        if len(feeds) != len(self._names) or not all(name in feeds for name in self._names):
            raise wrong_names(self._names, feeds)
        arrays, outputs = self._arrays([feeds[name] for name in self._names])
        results = [np.empty(spec.shape, spec.numpy) for spec in outputs]
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = _Frame(self._manifest)
        for index, array in enumerate(arrays):
            frame.inputs[index] = address(array)
        for index, array in enumerate(results):
            frame.outputs[index] = address(array)
        try:
            status = self._call(state, frame.inputs, frame.outputs, frame.place, threads)
        finally:
            self._frames.append(frame)
        _raise(self._name, status)
        return results

    def _arrays(self, values: list[object]) -> tuple[list[Array], tuple[TensorSpec, ...]]:
        """Dense arrays for the inputs, the sizes among them, and the outputs of this call."""
        if self._open is None:
            specs = self._manifest.inputs
            arrays = [conform(spec, value) for spec, value in zip(specs, values, strict=True)]
            return arrays, self._manifest.outputs
        arrays = [dense(s.name, s.numpy, v) for s, v in zip(self.inputs, values, strict=True)]
        sizes = self._open.sizes_of(arrays)
        scalars = [np.array(sizes[size.name], np.int32) for size in self._open.sizes.ranges]
        return [*arrays, *scalars], self._open.at(sizes)[1]


def _raise(name: str, status: int) -> None:
    if status:
        raise TensorKilnError(f"{name}: {message(status)}")
