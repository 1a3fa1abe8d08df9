"""Programs of regions become steps of the program around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel.program import (
    Branch,
    Loop,
    Program,
    Slot,
    Step,
    align,
    aligned_bytes,
    map_steps,
)  # fmt: skip
from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.lower.assign import Assignment

CONTROL = ("while", "case")
_PREDICATE_BYTES = align(1)


def inner_bytes(op: Op, programs: Sequence[Program]) -> int:
    """Workspace for an op's regions, of which one runs at a time, and for a loop's predicate."""
    predicate = _PREDICATE_BYTES if op.name == "while" else 0
    return predicate + max(align(program.workspace_bytes) for program in programs)


class Joining:
    """Makes steps of ops with regions, and one blob of all constants.

    `number` gives a kernel its number in the program.
    """

    def __init__(self, plan: Assignment, number: Callable[[Kernel], int]) -> None:
        self._plan, self._number = plan, number
        self._blobs = [plan.constants]
        self._size = align(plan.constants.nbytes)

    def step(self, op: Op, programs: Sequence[Program]) -> Step:
        """The loop or branch that `op` is, with its regions' programs in it."""
        slots = self._plan.slots
        start = self._plan.inner.get(op, 0)
        nodes = (op.location.node,) if op.location.node else ()
        if op.name == "while":
            carried = [slots[v] for v in op.results]
            predicate = Slot("workspace", start)
            cond, body = programs
            start += _PREDICATE_BYTES
            test = self._inside(cond, [*carried, predicate], start)
            # Results lie where the parameters lie.
            again = self._inside(body, [*carried, *carried], start)
            return Loop(test, predicate, again, op.integer("bound"), nodes)
        index, *values = op.operands
        arguments = [slots[v] for v in (*values, *op.results)]
        branches = tuple(self._inside(program, arguments, start) for program in programs)
        return Branch(slots[index], branches, nodes)

    def _inside(self, program: Program, arguments: Sequence[Slot], start: int) -> tuple[Step, ...]:
        first = self._size
        if program.constants.nbytes:
            self._blobs.append(program.constants)
            self._size = align(first + program.constants.nbytes)

        def moved(slot: Slot) -> Slot:
            match slot.space:
                case "argument":
                    return arguments[slot.position]
                case "constants":
                    return Slot("constants", first + slot.position)
                case _:
                    return Slot("workspace", start + slot.position)

        numbers = [self._number(kernel) for kernel in program.kernels]
        return map_steps(program.steps, moved, numbers.__getitem__)

    def constants(self) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        """All constants: the function's own, then those of its regions."""
        if len(self._blobs) == 1:
            return self._blobs[0]
        whole = aligned_bytes(self._size)
        offset = 0
        for blob in self._blobs:
            whole[offset : offset + blob.nbytes] = blob
            offset = align(offset + blob.nbytes)
        return whole
