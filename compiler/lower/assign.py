"""Buffer assignment: where every value of a fused function lies.

Parameters and results lie in the caller's arrays, constants in a pool, everything else in one
workspace, where values that are never alive together share memory.  Names of one tensor and
results written over operands share memory as `sharing.py` tells.  A result that aliases a
parameter (donated state) is written in place where the kernel that makes it reads the parameter
only at the element it is writing and nobody reads the parameter later; otherwise it is made in the
workspace and copied at the end.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.kernel.program import Slot, align
from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.lower.constants import Constants
from tensorkiln.compiler.lower.in_place import writes_in_place
from tensorkiln.compiler.lower.layout import Layout, row_major
from tensorkiln.compiler.lower.sharing import Part, Sharing

Copy = tuple[Slot, Slot, Value]


@dataclass(frozen=True)
class Assignment:
    """Slots of all values, copies (from, to, value) to run first, before ops and last, where the
    memory of ops with regions begins in the workspace, and the workspace's size."""

    slots: Mapping[Value, Slot]
    first_copies: tuple[Copy, ...]
    copies: Mapping[Op, tuple[Copy, ...]]
    last_copies: tuple[Copy, ...]
    inner: Mapping[Op, int]
    workspace_bytes: int
    workspace_total: int


def assign_buffers(
    function: Function,
    kernels: Mapping[Op, Kernel],
    layouts: Mapping[Value, Layout],
    inner: Mapping[Op, int],
    constants: Constants,
    in_place: bool = True,
    lasting: Collection[Value] = (),
    parts: Mapping[Value, Part] | None = None,
) -> Assignment:
    """Slots for every value of a fused function whose fusions have the given kernels.

    `inner` gives the workspace bytes of each op with regions, `constants` the places of constants.
    `in_place` says that kernels of
    updates write what changes only.  Values in `lasting` keep their memory for themselves, those in
    `parts` lie in others'.
    """
    return _Assigner(
        function, kernels, layouts, inner, constants, in_place, lasting, parts or {}
    ).run()


class _Assigner:
    def __init__(
        self,
        function: Function,
        kernels: Mapping[Op, Kernel],
        layouts: Mapping[Value, Layout],
        inner: Mapping[Op, int],
        constants: Constants,
        in_place: bool,
        lasting: Collection[Value],
        parts: Mapping[Value, Part],
    ) -> None:
        self.function, self.kernels, self.layouts, self.inner = function, kernels, layouts, inner
        self.constants = constants
        self.producers = function.producers()
        self.lasting = lasting
        self.sharing = Sharing(function, layouts, in_place, lasting, parts)
        self.homes: dict[Value, Slot] = {}
        self.step = {op: n for n, op in enumerate(function.ops)}
        self.first: list[Copy] = []
        self.extra = 0

    def run(self) -> Assignment:
        for position, value in enumerate(self.function.parameters):
            self.homes[value] = Slot("argument", position)
        self._place_constants()
        last = self._results()
        late = {source for source, _, _ in last if isinstance(source, Value)}
        inner, workspace, total = self._workspace(late)
        values = (*self.function.parameters, *(v for op in self.function.ops for v in op.results))
        slots = {v: self._slot(v) for v in values if self._is_placed(v)}
        copies = {
            op: tuple((slots[a], slots[b], a) for a, b in pairs)
            for op, pairs in self.sharing.copies.items()
        }
        lasting = [
            (self.homes[source] if isinstance(source, Value) else source, target, value)
            for source, target, value in last
        ]
        # What lies in donated state is copied before the state gets its last value.
        lasting.sort(key=lambda copy: copy[0].space != "argument")
        ends = tuple(lasting)
        return Assignment(slots, tuple(self.first), copies, ends, inner, workspace, total)

    def _is_placed(self, value: Value) -> bool:
        return self.sharing.home(value) in self.homes

    def _slot(self, value: Value) -> Slot:
        slot, offset = self.homes[self.sharing.home(value)], self.sharing.offset(value)
        return Slot(slot.space, slot.position + offset)

    def _place_constants(self) -> None:
        for op in self.function.ops:
            if op.name == "constant":
                data = op.array("value")
                layout = self.layouts.get(op.result, row_major(data.ndim))
                self.homes[op.result] = Slot("constants", self.constants.place(data, layout))

    def _results(self) -> list[tuple[Value | Slot, Slot, Value]]:
        """Gives results the caller's memory where that is safe; returns what to copy at the end,
        from a home or a slot."""
        function = self.function
        last: list[tuple[Value | Slot, Slot, Value]] = []
        count = len(function.parameters)
        for position, value in enumerate(function.results):
            tensor, home = self.sharing.tensor(value), self.sharing.home(value)
            donor = function.aliases.get(position)
            # Donated state has one address and so one slot: kernels are told that buffers overlap.
            target = Slot("argument", count + position if donor is None else donor)
            parameter = None if donor is None else function.parameters[donor]
            if home is parameter:
                continue
            if home not in self.homes and self._direct(home, value, parameter):
                self.homes[home] = target
            elif tensor in function.parameters and function.aliases:
                # A parameter's old value: saved before any update can overwrite it.
                saved = Slot("workspace", self.extra)
                self.extra = align(self.extra + tensor.type.bytes)
                self.first.append((self.homes[tensor], saved, tensor))
                last.append((saved, target, Value("saved", value.type)))
            else:
                last.append((home, target, tensor))
        return last

    def _direct(self, home: Value, value: Value, parameter: Value | None) -> bool:
        """True if the memory of `home` may be the caller's: a result's, or the parameter's."""
        layout = self.layouts.get(home)
        if layout is not None and not layout.is_row_major:
            return False
        if parameter is None:
            return True
        op = self.producers[home]
        end = self.sharing.ends.get(parameter, -1)
        if end < self.step[op]:
            return True
        if op.name != "fusion" or end != self.step[op] or op in self.sharing.copies:
            return False
        # The kernel may read the parameter under the names of its reshapes, too.
        readings = [v for v in op.operands if self.sharing.home(v) is parameter]
        return all(writes_in_place(self.kernels[op], op, reading, home) for reading in readings)

    def _workspace(self, late: set[Value]) -> tuple[dict[Op, int], int, int]:
        """Best-fit by size: each value at the lowest offset free during its life.

        Also gives the place of each op's inner memory, which lives while the op runs.
        """
        finish = len(self.function.ops)
        lives: list[tuple[Value | Op, int, int, int]] = []
        for op in self.function.ops:
            step = self.step[op]
            if self.inner.get(op):
                lives.append((op, step, step, align(self.inner[op])))
            for value in op.results if op.name != "reshape" else ():
                if self.sharing.home(value) is value and value not in self.homes:
                    end = finish if value in late else self.sharing.ends.get(value, step)
                    start = self.sharing.starts.get(value, step)
                    life = (0, finish) if value in self.lasting else (start, max(end, step))
                    lives.append((value, *life, self._size(value)))
        places: dict[Op, int] = {}
        placed: list[tuple[int, int, int, int]] = []
        top = self.extra
        for owner, start, end, size in sorted(lives, key=lambda life: -life[3]):
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
            if isinstance(owner, Op):
                places[owner] = offset
            else:
                self.homes[owner] = Slot("workspace", offset)
            top = max(top, offset + size)
        return places, top, self.extra + sum(size for *_, size in lives)

    def _size(self, value: Value) -> int:
        layout = self.layouts.get(value)
        if layout is None:
            return align(max(value.type.bytes, 1))
        elements = int(np.prod(layout.physical_shape(value.shape)))
        return align(max(elements * value.dtype.bytes, 1))


__all__: Sequence[str] = ("Assignment", "assign_buffers")
