"""A compiled model for a range of sizes.

A call's arrays tell the sizes; the code takes them as i32 scalars behind the inputs, and works on
the arrays as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from tensorkiln.runtime.body import CallFrame
from tensorkiln.runtime.compiled import aligned_zeros
from tensorkiln.runtime.errors import FeedError
from tensorkiln.runtime.executable import Cost, Executable
from tensorkiln.runtime.feeds import Array, address, dense, wrong_names
from tensorkiln.runtime.manifest import Manifest, TensorSpec
from tensorkiln.runtime.open_signature import OpenSignature

_Shapes: TypeAlias = "tuple[tuple[int, ...], ...]"
_REMEMBERED = 256  # shapes of calls that have frames, for each call at a time


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame for calls with arrays of one shape each; `sizes` are the scalars it points to."""

    calls: CallFrame
    sizes: list[Array]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True)
class _Slot:
    """What one call at a time uses: a workspace, and frames by the shapes of the inputs."""

    workspace: Array
    frames: dict[_Shapes, _Frame]


class OpenExecutable:
    """A compiled model in memory that takes every shape in a range."""

    def __init__(self, executable: Executable) -> None:
        """`executable` is of a model whose manifest has sizes."""
        self.executable = executable
        self.manifest: Manifest = executable.manifest
        self._signature = OpenSignature(self.manifest)
        self.sizes = self._signature.sizes
        self.inputs, self.outputs = self._signature.inputs, self._signature.outputs
        self._names = [spec.name for spec in self.inputs]
        self._aliases = [(k, s.alias) for k, s in enumerate(self.outputs) if s.alias is not None]
        self._slots: list[_Slot] = []

    @property
    def threads(self) -> int:
        """Threads that a call uses where the call does not say."""
        return self.executable.threads

    def cost(self) -> Cost:
        """Work of one call at the largest sizes, as the compiler counted it."""
        return self.executable.cost()

    def at(self, sizes: Mapping[str, int]) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """The inputs and outputs of calls with these sizes."""
        return self._signature.at(sizes)

    def workspace_bytes(self, sizes: Mapping[str, int]) -> int:
        """Bytes of workspace that a call with these sizes uses."""
        for part in self.sizes.parts:
            if part.holds(sizes):
                return part.workspace_bytes
        raise FeedError(f"the model {self.manifest.model!r} has no code for {dict(sizes)}")

    def __call__(self, *arrays: object) -> list[Array]:
        """`run` with the inputs by position."""
        if len(arrays) != len(self._names):
            raise FeedError(
                f"the model {self.manifest.model!r} has {len(self._names)} inputs"
                f" ({', '.join(self._names)}), but {len(arrays)} were given"
            )
        return self._run(arrays, 0)

    def run(self, feeds: Mapping[str, object], *, threads: int = 0) -> list[Array]:
        """Run the model on arrays by input name; the results are new arrays in output order.

        FeedError names an input that is missing or unknown, or has a wrong dtype, a wrong shape or
        a size out of range.
        """
        if feeds.keys() != set(self._names):
            raise wrong_names(self._names, feeds)
        return self._run([feeds[name] for name in self._names], threads)

    def sizes_of(self, arrays: Sequence[Array]) -> dict[str, int]:
        """The sizes that arrays of the inputs tell; FeedError if they do not fit together."""
        return self._signature.sizes_of(arrays)

    def _run(self, values: Sequence[object], threads: int) -> list[Array]:
        try:
            slot = self._slots.pop()
        except IndexError:
            slot = _Slot(aligned_zeros(self.manifest.workspace_bytes), {})
        try:
            if threads <= 0 and not self._aliases:
                frame = slot.frames.get(tuple([getattr(value, "shape", ()) for value in values]))
                if frame is not None and frame.calls.direct is not None:
                    made = frame.calls.direct.arrays(*values, *frame.sizes)
                    if type(made) is list:
                        return made
                    if type(made) is int:
                        raise frame.calls.error(made)
            return self._run_any(slot, values, threads)
        finally:
            self._slots.append(slot)

    def _run_any(self, slot: _Slot, values: Sequence[object], threads: int) -> list[Array]:
        """What `run` does with shapes that are new, values to convert, and aliases."""
        arrays = [dense(s.name, s.numpy, v) for s, v in zip(self.inputs, values, strict=True)]
        frame = self._frame(slot, arrays)
        results = [np.empty(spec.shape, spec.numpy) for spec in frame.outputs]
        for index, source in self._aliases:
            np.copyto(results[index], arrays[source])
            arrays[source] = results[index]
        frame.calls.set_threads(threads or self.threads)
        frame.calls.set_pointers([address(a) for a in (*arrays, *frame.sizes, *results)])
        try:
            frame.calls.call()
        finally:
            frame.calls.set_threads(self.threads)
        return results

    def _frame(self, slot: _Slot, arrays: Sequence[Array]) -> _Frame:
        shapes = tuple([array.shape for array in arrays])
        frame = slot.frames.get(shapes)
        if frame is None:
            sizes = self.sizes_of(arrays)
            inputs, outputs = self.at(sizes)
            scalars: list[Array] = [
                np.array(sizes[size.name], np.int32) for size in self.sizes.ranges
            ]
            told = self.manifest.inputs[len(inputs) :]
            manifest = replace(self.manifest, inputs=(*inputs, *told), outputs=outputs)
            calls = self.executable.frame_for(manifest, slot.workspace)
            frame = _Frame(calls, scalars, inputs, outputs)
            if len(slot.frames) >= _REMEMBERED:
                del slot.frames[next(iter(slot.frames))]
            slot.frames[shapes] = frame
        return frame


def opened(executable: Executable) -> Executable | OpenExecutable:
    """The executable itself, or one that takes every shape if it was compiled for ranges."""
    return executable if executable.manifest.sizes is None else OpenExecutable(executable)
