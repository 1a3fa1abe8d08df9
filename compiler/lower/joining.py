"""Programs of regions become steps of the program around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel.program import (
    Branch,
    Loop,
    Program,
    Slot,
    Step,
    align,
    map_steps,
)  # fmt: skip
from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.lower.assign import Assignment

CONTROL = ("while", "case")
_PREDICATE_BYTES = align(1)


def inner_bytes(op: Op, programs: Sequence[Program]) -> int:
    """Workspace for the branches of a case, of which one runs; for a loop's predicate, condition
    and body, which keeps what it computes once."""
    sizes = [align(program.workspace_bytes) for program in programs]
    return _PREDICATE_BYTES + sum(sizes) if op.name == "while" else max(sizes)


class Joining:
    """Makes steps of ops with regions, whose constants lie in the pool of the whole program.

    `number` gives a kernel its number in the program.
    """

    def __init__(self, plan: Assignment, number: Callable[[Kernel], int]) -> None:
        self._plan, self._number = plan, number

    def steps(self, op: Op, programs: Sequence[Program]) -> list[Step]:
        """The loop or branch that `op` is, with its regions' programs in it, behind what a loop
        computes once."""
        slots = self._plan.slots
        start = self._plan.inner.get(op, 0)
        nodes = (op.location.node,) if op.location.node else ()
        if op.name == "while":
            carried = [slots[v] for v in op.results]
            predicate = Slot("workspace", start)
            cond, body = programs
            start += _PREDICATE_BYTES
            # Results lie where the parameters lie.
            first, again = self._inside(body, [*carried, *carried], start)
            start += align(body.workspace_bytes)
            _, test = self._inside(cond, [*carried, predicate], start)
            return [*first, Loop(test, predicate, again, op.integer("bound"), nodes)]
        index, *values = op.operands
        arguments = [slots[v] for v in (*values, *op.results)]
        branches = tuple(self._inside(program, arguments, start)[1] for program in programs)
        return [Branch(slots[index], branches, nodes)]

    def _inside(
        self, program: Program, arguments: Sequence[Slot], start: int
    ) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """The program's first steps and its others, in the memory given to it."""

        def moved(slot: Slot) -> Slot:
            match slot.space:
                case "argument":
                    return arguments[slot.position]
                case "constants":
                    return slot
                case _:
                    return Slot("workspace", start + slot.position)

        numbers = [self._number(kernel) for kernel in program.kernels]
        first_steps = map_steps(program.once, moved, numbers.__getitem__)
        return first_steps, map_steps(program.steps, moved, numbers.__getitem__)
