"""A compiled model for a range of sizes.

A call's arrays tell the sizes; the code takes them as i32 scalars behind the inputs, and works on
the arrays as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tensorkiln.runtime.body import CallFrame
from tensorkiln.runtime.errors import FeedError
from tensorkiln.runtime.executable import Cost, Executable
from tensorkiln.runtime.feeds import Array, address, dense, wrong_names
from tensorkiln.runtime.manifest import Manifest, TensorSpec
from tensorkiln.runtime.open_sizes import OpenSpec, SizeRange

# The sizes, and the shapes and dtypes of the results
_Call: TypeAlias = "tuple[tuple[int, ...], list[tuple[tuple[int, ...], np.dtype[np.generic]]]]"
_REMEMBERED = 512  # shapes of calls


@dataclass(slots=True)
class _Frame:
    calls: CallFrame
    sizes: list[Array]
    threads: int
    told: object = None  # what `sizes` hold


class OpenExecutable:
    """A compiled model in memory that takes every shape in a range."""

    def __init__(self, executable: Executable) -> None:
        """`executable` is of a model whose manifest has sizes."""
        self.executable = executable
        self.manifest: Manifest = executable.manifest
        assert self.manifest.sizes is not None
        self.sizes = self.manifest.sizes
        self.inputs = tuple(
            OpenSpec(spec.name, shape, spec.dtype)
            for spec, shape in zip(self.manifest.inputs, self.sizes.inputs, strict=False)
        )
        self.outputs = tuple(
            OpenSpec(spec.name, shape, spec.dtype, spec.alias)
            for spec, shape in zip(self.manifest.outputs, self.sizes.outputs, strict=True)
        )
        self._names = [spec.name for spec in self.inputs]
        self._kinds = [(spec.name, spec.numpy) for spec in self.inputs]
        self._aliases = [(k, s.alias) for k, s in enumerate(self.outputs) if s.alias is not None]
        self._calls: dict[tuple[tuple[int, ...], ...], _Call] = {}
        self._frames: list[_Frame] = []
        self._told = [_where(size, self.inputs) for size in self.sizes.ranges]

    @property
    def threads(self) -> int:
        """Threads that a call uses where the call does not say."""
        return self.executable.threads

    def cost(self) -> Cost:
        """Work of one call at the largest sizes, as the compiler counted it."""
        return self.executable.cost()

    def at(self, sizes: Mapping[str, int]) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """The inputs and outputs of calls with these sizes."""
        return (
            tuple(TensorSpec(s.name, s.shape.at(sizes), s.dtype) for s in self.inputs),
            tuple(TensorSpec(s.name, s.shape.at(sizes), s.dtype, s.alias) for s in self.outputs),
        )

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
        sizes: dict[str, int] = {}
        for size, (position, axis, coefficient, constant) in zip(
            self.sizes.ranges, self._told, strict=True
        ):
            array, spec = arrays[position], self.inputs[position]
            if axis >= array.ndim:
                raise _wrong_shape(spec, array)
            value, rest = divmod(array.shape[axis] - constant, coefficient)
            if rest:
                raise _wrong_shape(spec, array)
            if not size.minimum <= value <= size.maximum:
                raise FeedError(
                    f"input {spec.name!r} has shape {list(array.shape)}: its {size.name} is"
                    f" {value}, and the model was compiled for {size}"
                )
            sizes[size.name] = value
        for spec, array in zip(self.inputs, arrays, strict=True):
            if array.shape != spec.shape.at(sizes):
                raise _wrong_shape(spec, array, sizes)
        return sizes

    def _run(self, values: Sequence[object], threads: int) -> list[Array]:
        arrays = [
            value
            if type(value) is np.ndarray and value.dtype == kind and value.flags.c_contiguous
            else dense(name, kind, value)
            for (name, kind), value in zip(self._kinds, values, strict=True)
        ]
        key = tuple([array.shape for array in arrays])
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = self._call(arrays)
            if len(self._calls) > _REMEMBERED:
                del self._calls[next(iter(self._calls))]
        sizes, shapes = call
        results = [np.empty(shape, kind) for shape, kind in shapes]
        for index, source in self._aliases:
            np.copyto(results[index], arrays[source])
            arrays[source] = results[index]
        try:
            frame = self._frames.pop()
        except IndexError:
            scalars: list[Array] = [np.zeros((), np.int32) for _ in sizes]
            frame = _Frame(self.executable.frame(), scalars, self.threads)
        try:
            calls = frame.calls
            if frame.told is not sizes:
                for scalar, size in zip(frame.sizes, sizes, strict=True):
                    scalar[...] = size
                frame.told = sizes
            wanted = threads or self.threads
            if wanted != frame.threads:
                calls.set_threads(wanted)
                frame.threads = wanted
            calls.set_pointers([address(a) for a in (*arrays, *frame.sizes, *results)])
            calls.call()
        finally:
            self._frames.append(frame)
        return results

    def _call(self, arrays: Sequence[Array]) -> _Call:
        """What calls with arrays of these shapes do."""
        sizes = self.sizes_of(arrays)
        told = tuple(sizes[size.name] for size in self.sizes.ranges)
        return told, [(spec.shape.at(sizes), spec.numpy) for spec in self.outputs]


def opened(executable: Executable) -> Executable | OpenExecutable:
    """The executable itself, or one that takes every shape if it was compiled for ranges."""
    return executable if executable.manifest.sizes is None else OpenExecutable(executable)


def _where(size: SizeRange, inputs: Sequence[OpenSpec]) -> tuple[int, int, int, int]:
    """The input, dim, coefficient and constant that tell a size."""
    for position, spec in enumerate(inputs):
        for axis, dim in enumerate(spec.shape.dims):
            match dim:
                case (extent,) if len(extent.terms) == 1 and extent.terms[0][0] == size.name:
                    return position, axis, extent.terms[0][1], extent.constant
    raise FeedError(f"no input tells the size {size.name}: it needs a dim of its own")


def _wrong_shape(spec: OpenSpec, array: Array, sizes: Mapping[str, int] | None = None) -> FeedError:
    known = f" where {', '.join(f'{k}={v}' for k, v in sizes.items())}" if sizes else ""
    return FeedError(
        f"input {spec.name!r} expects {spec}{known}, but the array has shape {list(array.shape)}"
    )
