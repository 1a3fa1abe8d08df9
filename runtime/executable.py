"""A compiled model that can be called with numpy arrays.

Three ways to call one, from the safest to the fastest:

    exe.run({"x": x})               new result arrays; everything is checked
    exe.run_into([x], [y])          writes into the caller's arrays; everything is checked
    frame = exe.frame()             raw pointers; nothing is checked
    frame.pointers[i] = address     inputs first, then outputs; pointers stay set between calls
    frame.call()

A frame belongs to one thread at a time and holds one workspace; it is what a training loop uses
whose parameters stay in place: set the parameters' pointers once, the feeds' for each step, and
call. `address(array)` in `runtime.feeds` gives pointers. `run` and `run_into` may be called by
any number of threads at once; each call takes a frame from a free list that never shrinks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tensorkiln.runtime.body import Body, CallFrame
from tensorkiln.runtime.direct import direct_model
from tensorkiln.runtime.errors import FeedError
from tensorkiln.runtime.feeds import Array, address, conform, writable, wrong_names
from tensorkiln.runtime.manifest import KernelInfo, Manifest, TensorSpec


@dataclass(frozen=True, slots=True)
class Cost:
    """Work of one call: floating-point operations and bytes of memory traffic, also by kernel."""

    flops: int
    bytes: int
    kernels: tuple[KernelInfo, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that one call needs, and their sum."""

    inputs: int
    outputs: int
    constants: int
    workspace: int
    peak: int


class Executable:
    """A compiled model in memory."""

    def __init__(self, manifest: Manifest, body: Body, threads: int = 0) -> None:
        """Call `body` with `threads` threads, 0 for all processors that the process may use."""
        self.manifest = manifest
        self._body = body
        self._threads = body.thread_count(threads)
        self._frames: list[CallFrame] = []
        self._names = [spec.name for spec in manifest.inputs]
        self._output_names = [spec.name for spec in manifest.outputs]
        self._aliases = {
            index: spec.alias
            for index, spec in enumerate(manifest.outputs)
            if spec.alias is not None
        }
        self._results = [(spec.shape, spec.numpy) for spec in manifest.outputs]
        self._model = direct_model(manifest)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Names, shapes and dtypes of the inputs, in order."""
        return self.manifest.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Names, shapes and dtypes of the outputs, in order."""
        return self.manifest.outputs

    @property
    def threads(self) -> int:
        """Threads that a call uses where the call does not say."""
        return self._threads

    def cost(self) -> Cost:
        """Work of one call, as the compiler counted it."""
        return Cost(self.manifest.flops, self.manifest.bytes, self.manifest.kernels)

    def memory(self) -> Memory:
        """Memory that one call needs."""
        return Memory(
            inputs=sum(spec.bytes for spec in self.inputs),
            outputs=sum(spec.bytes for spec in self.outputs if spec.alias is None),
            constants=self.manifest.constants_bytes,
            workspace=self.manifest.workspace_bytes,
            peak=self.manifest.peak_bytes,
        )

    def frame(self, threads: int = 0) -> CallFrame:
        """A new frame for calls by pointers; `threads` 0 means this executable's own number."""
        count = self._body.thread_count(threads) if threads > 0 else self._threads
        return CallFrame(self._body, self.manifest, count, self._model)

    def frame_for(self, manifest: Manifest, workspace: Array) -> CallFrame:
        """A frame for calls with the shapes in `manifest`, which the code must be able to take."""
        return CallFrame(self._body, manifest, self._threads, direct_model(manifest), workspace)

    def __call__(self, *arrays: object) -> list[Array]:
        """`run` with the inputs by position."""
        if len(arrays) != len(self._names):
            raise FeedError(
                f"the model {self.manifest.model!r} has {len(self._names)} inputs"
                f" ({', '.join(self._names)}), but {len(arrays)} were given"
            )
        return self._run(arrays, False, 0)

    def run(
        self, feeds: Mapping[str, object], *, donate: bool = False, threads: int = 0
    ) -> list[Array]:
        """Run the model on arrays by input name; the results are new arrays in output order.

        An output that aliases an input is computed in a copy of the input's array; with `donate`
        in that array itself, which is then also the result. FeedError names an input that is
        missing, unknown, or has the wrong dtype or shape.
        """
        try:
            values = [feeds[name] for name in self._names]
        except KeyError:
            raise wrong_names(self._names, feeds) from None
        if len(feeds) != len(values):
            raise wrong_names(self._names, feeds)
        return self._run(values, donate, threads)

    def run_into(
        self,
        inputs: Sequence[object] | Mapping[str, object],
        outputs: Sequence[Array] | Mapping[str, Array],
        *,
        threads: int = 0,
    ) -> None:
        """Run the model and write the results into `outputs`, by position or by name.

        Output arrays must be writable and dense and overlap no other array of the call; only the
        array of an output that aliases an input may be that input's own array, which makes the
        update happen in place.
        """
        values = self._positional(inputs, self._names, "input")
        targets = self._positional(outputs, self._output_names, "output")
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self.frame()
        try:
            if threads <= 0 and frame.direct is not None and not self._aliases:
                status = frame.direct.arrays(*values, *targets)
                if type(status) is int and status:
                    raise frame.error(status)
                if status is not None:
                    return
            self._run_any_into(frame, values, targets, threads)
        finally:
            self._frames.append(frame)

    def _run_any_into(
        self, frame: CallFrame, values: Sequence[object], targets: Sequence[object], threads: int
    ) -> None:
        """What `run_into` does with values that may need conversion, and with aliases."""
        arrays = [conform(spec, value) for spec, value in zip(self.inputs, values, strict=True)]
        results = [
            writable(spec, target, "output")
            for spec, target in zip(self.outputs, targets, strict=True)
        ]
        for index, source in self._aliases.items():
            if results[index] is not arrays[source]:
                np.copyto(results[index], arrays[source])
            arrays[source] = results[index]
        self._check_overlap(arrays, results)
        frame.set_pointers([address(array) for array in (*arrays, *results)])
        self._call(frame, threads)

    def _run(self, values: Sequence[object], donate: bool, threads: int) -> list[Array]:
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self.frame()
        try:
            # Outputs that alias inputs need copies of these, which is not done there.
            if threads <= 0 and frame.direct is not None and not self._aliases:
                made = frame.direct.arrays(*values)
                if type(made) is list:
                    return made
                if type(made) is int:
                    raise frame.error(made)
            return self._run_any(frame, values, donate, threads)
        finally:
            self._frames.append(frame)

    def _run_any(
        self, frame: CallFrame, values: Sequence[object], donate: bool, threads: int
    ) -> list[Array]:
        """What `run` does with values that may need conversion, and with aliases."""
        specs = self.inputs
        arrays = [conform(spec, value) for spec, value in zip(specs, values, strict=True)]
        results = [np.empty(shape, dtype) for shape, dtype in self._results]
        frame.set_pointers([address(array) for array in (*arrays, *results)])
        if self._aliases:
            self._bind_aliases(frame, values, arrays, results, donate)
        self._call(frame, threads)
        return results

    def _bind_aliases(
        self,
        frame: CallFrame,
        values: Sequence[object],
        arrays: list[Array],
        results: list[Array],
        donate: bool,
    ) -> None:
        """Give each aliasing output and its input one buffer: a copy, or the donated array."""
        for index, source in self._aliases.items():
            if donate:
                results[index] = writable(self.inputs[source], values[source], "donated input")
            else:
                np.copyto(results[index], arrays[source])
            arrays[source] = results[index]
            frame.pointers[source] = address(results[index])
            frame.pointers[len(arrays) + index] = address(results[index])
        if donate:
            self._check_overlap(arrays, results)

    def _call(self, frame: CallFrame, threads: int) -> None:
        if threads <= 0:
            frame.call()
            return
        frame.set_threads(self._body.thread_count(threads))
        try:
            frame.call()
        finally:
            frame.set_threads(self._threads)

    def _positional(
        self, values: Sequence[object] | Mapping[str, object], names: list[str], kind: str
    ) -> Sequence[object]:
        if not isinstance(values, list | tuple) and isinstance(values, Mapping):
            if values.keys() != set(names):
                raise wrong_names(names, values, kind)
            return [values[name] for name in names]
        if len(values) != len(names):
            raise FeedError(
                f"the model {self.manifest.model!r} has {len(names)} {kind}s"
                f" ({', '.join(names)}), but {len(values)} were given"
            )
        return values

    def _check_overlap(self, arrays: Sequence[Array], results: Sequence[Array]) -> None:
        """FeedError if a result shares memory with anything but the input it aliases."""
        if not results:
            return
        named = [
            (f"input {name!r}", array) for name, array in zip(self._names, arrays, strict=True)
        ]
        named += [
            (f"output {spec.name!r}", array)
            for spec, array in zip(self.outputs, results, strict=True)
        ]
        spans = [(address(array), array.nbytes) for _, array in named]
        for index in range(len(results)):
            own = len(arrays) + index
            begin, size = spans[own]
            for other, (start, length) in enumerate(spans):
                if other == own or other == self._aliases.get(index):
                    continue
                if start < begin + size and begin < start + length:
                    raise FeedError(
                        f"the array of {named[own][0]} shares memory with that of"
                        f" {named[other][0]}; copy one of them"
                    )
