"""A compiled model for a range of sizes.

It holds code for parts of the range. A call's arrays tell the sizes, these choose the part, and
its code works on the arrays as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from tensorkiln.runtime.body import CallFrame
from tensorkiln.runtime.errors import FeedError
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.feeds import Array, address, dense, wrong_names
from tensorkiln.runtime.open_sizes import OpenShape, OpenSizes, OpenSpec, SizeRange


@dataclass(frozen=True, slots=True)
class Part:
    """Code for a part of the range: the least and greatest size by name, and the executable.

    `arguments` are the names of the sizes that it takes as inputs behind the model's own.
    """

    sizes: Mapping[str, tuple[int, int]]
    executable: Executable
    arguments: tuple[str, ...]
    frames: list[_Frame] = field(default_factory=list)

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """True if it is for these sizes."""
        return all(low <= sizes[name] <= high for name, (low, high) in self.sizes.items())


@dataclass(slots=True)
class _Frame:
    calls: CallFrame
    sizes: list[Array]
    threads: int
    told: object = None  # what `sizes` hold


# The part, the sizes it takes as arguments, and the shapes and dtypes of the results
_Call: TypeAlias = "tuple[Part, tuple[int, ...], list[tuple[tuple[int, ...], np.dtype[np.generic]]]]"
_REMEMBERED = 512  # shapes of calls


class OpenExecutable:
    """A compiled model in memory that takes every shape in a range."""

    def __init__(self, parts: Sequence[Part], sizes: OpenSizes) -> None:
        """`parts` cover the ranges of `sizes`, whose shapes are those of inputs and outputs."""
        self.sizes = sizes
        self.parts = tuple(parts)
        manifest = self.parts[-1].executable.manifest
        self.model = manifest.model
        self.inputs = tuple(
            OpenSpec(spec.name, shape, spec.dtype)
            for spec, shape in zip(manifest.inputs, sizes.inputs, strict=False)
        )
        self.outputs = tuple(
            OpenSpec(spec.name, shape, spec.dtype, spec.alias)
            for spec, shape in zip(manifest.outputs, sizes.outputs, strict=True)
        )
        self._names = [spec.name for spec in self.inputs]
        self._kinds = [(spec.name, spec.numpy) for spec in self.inputs]
        self._aliases = [(k, s.alias) for k, s in enumerate(self.outputs) if s.alias is not None]
        self._calls: dict[tuple[tuple[int, ...], ...], _Call] = {}
        self._told = [_where(size, self.inputs) for size in sizes.ranges]

    @property
    def threads(self) -> int:
        """Threads that a call uses where the call does not say."""
        return self.parts[0].executable.threads

    def workspace_bytes(self, sizes: Mapping[str, int]) -> int:
        """Bytes of workspace that a call with these sizes uses."""
        return self._part(sizes).executable.manifest.workspace_bytes

    def __call__(self, *arrays: object) -> list[Array]:
        """`run` with the inputs by position."""
        if len(arrays) != len(self._names):
            raise FeedError(
                f"the model {self.model!r} has {len(self._names)} inputs"
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

    def _part(self, sizes: Mapping[str, int]) -> Part:
        for part in self.parts:
            if part.holds(sizes):
                return part
        raise FeedError(f"the model {self.model!r} has no code for {dict(sizes)}")

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
        part, sizes, shapes = call
        if not part.arguments:
            own = threads if threads != part.executable.threads else 0
            return part.executable.run(dict(zip(self._names, arrays, strict=True)), threads=own)
        results = [np.empty(shape, kind) for shape, kind in shapes]
        for index, source in self._aliases:
            np.copyto(results[index], arrays[source])
            arrays[source] = results[index]
        try:
            frame = part.frames.pop()
        except IndexError:
            frame = self._frame(part)
        try:
            calls = frame.calls
            if frame.told is not sizes:
                for scalar, size in zip(frame.sizes, sizes, strict=True):
                    scalar[...] = size
                frame.told = sizes
            wanted = threads or part.executable.threads
            if wanted != frame.threads:
                calls.set_threads(wanted)
                frame.threads = wanted
            calls.set_pointers([address(a) for a in (*arrays, *frame.sizes, *results)])
            calls.call()
        finally:
            part.frames.append(frame)
        return results

    def _call(self, arrays: Sequence[Array]) -> _Call:
        """What calls with arrays of these shapes do."""
        sizes = self.sizes_of(arrays)
        part = self._part(sizes)
        told = tuple(sizes[name] for name in part.arguments)
        return part, told, [(spec.shape.at(sizes), spec.numpy) for spec in self.outputs]

    def _frame(self, part: Part) -> _Frame:
        scalars: list[Array] = [np.zeros((), np.int32) for _ in part.arguments]
        return _Frame(part.executable.frame(), scalars, part.executable.threads)


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


__all__ = ["OpenExecutable", "OpenShape", "Part"]
