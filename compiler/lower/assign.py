"""Buffer assignment: where every value of a fused function lies.

Parameters and results lie in the caller's arrays, constants in one blob, everything else in one
workspace, where values that are never alive together share memory.  A reshape shares its
operand's memory.  A result that aliases a parameter (donated state) is written in place where the
kernel that makes it reads the parameter only at the element it is writing and nobody reads the
parameter later; otherwise it is made in the workspace and copied at the end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tensorkiln.compiler.ir.function import Array, Function, Op, Value
from tensorkiln.compiler.kernel.program import Slot, align, aligned_bytes
from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.lower.in_place import writes_in_place
from tensorkiln.compiler.lower.layout import Layout, row_major


@dataclass(frozen=True)
class Assignment:
    """Slots of all values, copies (from, to, value) to run first and last, and the blob sizes."""

    slots: Mapping[Value, Slot]
    first_copies: tuple[tuple[Slot, Slot, Value], ...]
    last_copies: tuple[tuple[Slot, Slot, Value], ...]
    constants: np.ndarray[tuple[int], np.dtype[np.uint8]]
    workspace_bytes: int
    workspace_total: int


def assign_buffers(
    function: Function, kernels: Mapping[Op, Kernel], layouts: Mapping[Value, Layout]
) -> Assignment:
    """Slots for every value of a fused function whose fusions have the given kernels."""
    return _Assigner(function, kernels, layouts).run()


class _Assigner:
    def __init__(
        self, function: Function, kernels: Mapping[Op, Kernel], layouts: Mapping[Value, Layout]
    ) -> None:
        self.function, self.kernels, self.layouts = function, kernels, layouts
        self.producers = function.producers()
        self.slots: dict[Value, Slot] = {}
        self.step = {op: n for n, op in enumerate(function.ops)}
        self.first: list[tuple[Slot, Slot, Value]] = []
        self.last: list[tuple[Slot, Slot, Value]] = []
        self.extra = 0

    def root(self, value: Value) -> Value:
        """The value whose memory `value` shares."""
        op = self.producers.get(value)
        while op is not None and op.name == "reshape":
            value = op.operands[0]
            op = self.producers.get(value)
        return value

    def run(self) -> Assignment:
        for position, value in enumerate(self.function.parameters):
            self.slots[value] = Slot("argument", position)
        blob = self._constants()
        ends = self._last_uses()
        copied = self._results(ends)
        workspace, total = self._workspace(ends, copied)
        for op in self.function.ops:
            if op.name == "reshape":
                self.slots[op.result] = self.slots[self.root(op.result)]
        last = tuple((self.slots.get(v, s), d, v) for s, d, v in self.last)
        return Assignment(self.slots, tuple(self.first), last, blob, workspace, total)

    def _constants(self) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        """The blob: every constant is written to its place at once, without a copy in between."""
        pieces: list[tuple[int, Array, Layout]] = []
        offset = 0
        for op in self.function.ops:
            if op.name != "constant":
                continue
            data = op.array("value")
            layout = self.layouts.get(op.result, row_major(data.ndim))
            self.slots[op.result] = Slot("constants", offset)
            pieces.append((offset, data, layout))
            offset = align(offset + math.prod(layout.physical_shape(data.shape)) * data.itemsize)
        blob = aligned_bytes(offset)
        for start, data, layout in pieces:
            shape = layout.physical_shape(data.shape)
            end = start + math.prod(shape) * data.itemsize
            arrange(data, layout, blob[start:end].view(data.dtype).reshape(shape))
        return blob

    def _last_uses(self) -> dict[Value, int]:
        ends: dict[Value, int] = {}
        for op in self.function.ops:
            for value in op.operands if op.name != "reshape" else ():
                ends[self.root(value)] = self.step[op]
        return ends

    def _results(self, ends: Mapping[Value, int]) -> set[Value]:
        """Gives results the caller's memory where that is safe; returns those to be copied."""
        function = self.function
        copied: set[Value] = set()
        count = len(function.parameters)
        for position, value in enumerate(function.results):
            source = self.root(value)
            donor = function.aliases.get(position)
            # Donated state has one address and so one slot: kernels are told that buffers overlap.
            target = Slot("argument", count + position if donor is None else donor)
            parameter = None if donor is None else function.parameters[donor]
            if source is parameter:
                continue
            op = self.producers.get(source)
            if op is not None and op.name == "fusion" and source not in self.slots:
                if self._direct(op, source, value, parameter, ends):
                    self.slots[source] = target
                    continue
                copied.add(source)
            elif source in function.parameters and function.aliases:
                # A parameter's old value: saved before any update can overwrite it.
                saved = Slot("workspace", self.extra)
                self.extra = align(self.extra + source.type.bytes)
                self.first.append((self.slots[source], saved, source))
                self.last.append((saved, target, Value("saved", value.type)))
                continue
            self.last.append(
                (Slot("workspace", -1) if source in copied else self.slots[source], target, source)
            )
        return copied

    def _direct(
        self,
        op: Op,
        source: Value,
        value: Value,
        parameter: Value | None,
        ends: Mapping[Value, int],
    ) -> bool:
        layout = self.layouts.get(source)
        if layout is not None and not layout.is_row_major:
            return False
        if parameter is None:
            return True
        end = ends.get(parameter, -1)
        if end < self.step[op]:
            return True
        # The kernel may read the parameter under the names of its reshapes, too.
        readings = [v for v in op.operands if self.root(v) is parameter]
        return end == self.step[op] and all(
            writes_in_place(self.kernels[op], op, reading, source) for reading in readings
        )

    def _workspace(self, ends: Mapping[Value, int], copied: set[Value]) -> tuple[int, int]:
        """Best-fit by size: each value at the lowest offset free during its life."""
        finish = len(self.function.ops)
        lives: list[tuple[Value, int, int, int]] = []
        for op in self.function.ops:
            if op.name != "fusion":
                continue
            for value in op.results:
                if value not in self.slots:
                    end = finish if value in copied else ends.get(value, self.step[op])
                    lives.append((value, self.step[op], end, self._size(value)))
        placed: list[tuple[int, int, int, int]] = []
        top = self.extra
        for value, start, end, size in sorted(lives, key=lambda life: -life[3]):
            busy = sorted(
                (offset, offset + length)
                for offset, length, s, e in placed
                if s <= end and start <= e
            )
            offset = self.extra
            for low, high in busy:
                if offset + size <= low:
                    break
                offset = max(offset, high)
            placed.append((offset, size, start, end))
            self.slots[value] = Slot("workspace", offset)
            top = max(top, offset + size)
        return top, self.extra + sum(size for *_, size in lives)

    def _size(self, value: Value) -> int:
        layout = self.layouts.get(value)
        if layout is None:
            return align(max(value.type.bytes, 1))
        elements = int(np.prod(layout.physical_shape(value.shape)))
        return align(max(elements * value.dtype.bytes, 1))


def arrange(data: Array, layout: Layout, target: Array) -> None:
    """Writes a constant's elements to `target` in the order of `layout`, padding as zeros."""
    pads = [(0, 0)] * data.ndim
    for dim, size in layout.blocks:
        pads[dim] = (0, -data.shape[dim] % size)
    if any(high for _, high in pads):
        data = np.pad(data, pads)
    sizes = dict(layout.blocks)
    split: list[int] = []
    outer: dict[int, int] = {}
    inner: dict[int, int] = {}
    for dim, size in enumerate(data.shape):
        outer[dim] = len(split)
        split.append(size // sizes.get(dim, 1))
        if dim in sizes:
            inner[dim] = len(split)
            split.append(sizes[dim])
    order = [outer[d] for d in layout.order] + [inner[d] for d, _ in layout.blocks]
    np.copyto(target, data.reshape(split).transpose(order))


__all__: Sequence[str] = ("Assignment", "arrange", "assign_buffers")
