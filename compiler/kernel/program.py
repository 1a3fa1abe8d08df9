"""A compiled model before code generation: kernels, the steps that call them, and where data lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.kernel.text import print_kernel

ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a buffer lies: argument number `position`, or byte `position` of a blob.

    `space` is "argument" (parameters, then results), "constants" or "workspace".
    """

    space: str
    position: int

    def __str__(self) -> str:
        return f"{self.space}[{self.position}]"


@dataclass(frozen=True, slots=True)
class Call:
    """One kernel run on buffers; `nodes` are the user's nodes it stands for.

    `op` is the fusion that it computes, None for a copy that the memory plan wants, which is one of
    the value `copied`; `layouts` are the layouts of its operands and results, None for row-major
    ones.
    """

    kernel: int
    slots: tuple[Slot, ...]
    nodes: tuple[str, ...] = ()
    flops: int = 0
    bytes: int = 0
    op: Op | None = None
    layouts: tuple[object, ...] = ()
    copied: Value | None = None

    @property
    def results(self) -> tuple[Value, ...]:
        """The values that it makes, or makes a copy of."""
        if self.op is not None:
            return self.op.results
        return () if self.copied is None else (self.copied,)


@dataclass(frozen=True, slots=True)
class Loop:
    """`body` as often as `condition` leaves a true byte in the slot `predicate`.

    `trips` is the most often that can be, -1 where nobody knows.
    """

    condition: tuple[Step, ...]
    predicate: Slot
    body: tuple[Step, ...]
    trips: int = -1
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Branch:
    """The branch whose number is the i32 in the slot `index`, the last one if there is none such."""

    index: Slot
    branches: tuple[tuple[Step, ...], ...]
    nodes: tuple[str, ...] = ()


Step: TypeAlias = Call | Loop | Branch


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """Kernels (each once, however often it is called), steps in order, and the memory plan.

    `once` are the steps of a loop's body that need to run once only, before the loop; a whole
    program has none.
    """

    name: str
    kernels: tuple[Kernel, ...]
    steps: tuple[Step, ...]
    arguments: int
    constants: NDArray[np.uint8]
    workspace_bytes: int
    workspace_total: int = 0  # bytes of all intermediates, were none to share memory
    once: tuple[Step, ...] = ()

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call, those in loops and branches included, in the order of the steps."""
        return tuple(walk_calls(self.steps))


def parts(step: Step) -> tuple[tuple[Step, ...], ...]:
    """The lists of steps inside of a step."""
    match step:
        case Loop():
            return (step.condition, step.body)
        case Branch():
            return step.branches
        case _:
            return ()


def walk_calls(steps: Sequence[Step]) -> Iterator[Call]:
    """Every call in `steps` and inside of them, in order, each once."""
    for step in steps:
        if isinstance(step, Call):
            yield step
        for inner in parts(step):
            yield from walk_calls(inner)


def walk_slots(steps: Sequence[Step]) -> Iterator[Slot]:
    """Every slot that `steps` and the steps inside of them name."""
    for step in steps:
        match step:
            case Call():
                yield from step.slots
            case Loop():
                yield step.predicate
            case Branch():
                yield step.index
        for inner in parts(step):
            yield from walk_slots(inner)


def step_cost(steps: Sequence[Step]) -> tuple[int, int]:
    """Arithmetic operations and bytes moved: a loop for all trips there can be (one if nobody
    knows), a branch for the most expensive one."""
    flops = moved = 0
    for step in steps:
        inner = [step_cost(part) for part in parts(step)]
        match step:
            case Call():
                inner = [(step.flops, step.bytes)]
            case Loop():
                times = 1 if step.trips < 0 else step.trips
                inner = [(sum(f for f, _ in inner) * times, sum(b for _, b in inner) * times)]
        flops += max((f for f, _ in inner), default=0)
        moved += max((b for _, b in inner), default=0)
    return flops, moved


def map_steps(
    steps: Sequence[Step], slot: Callable[[Slot], Slot], kernel: Callable[[int], int]
) -> tuple[Step, ...]:
    """`steps` with every slot and every kernel's number replaced."""

    def mapped(step: Step) -> Step:
        match step:
            case Call():
                slots = tuple(map(slot, step.slots))
                return replace(step, kernel=kernel(step.kernel), slots=slots)
            case Loop():
                condition = map_steps(step.condition, slot, kernel)
                body = map_steps(step.body, slot, kernel)
                predicate = slot(step.predicate)
                return replace(step, condition=condition, predicate=predicate, body=body)
            case Branch():
                branches = tuple(map_steps(part, slot, kernel) for part in step.branches)
                return replace(step, index=slot(step.index), branches=branches)

    return tuple(map(mapped, steps))


def map_calls(steps: Sequence[Step], call: Callable[[Call], Call]) -> tuple[Step, ...]:
    """`steps` with every call in them and inside of them replaced."""

    def mapped(step: Step) -> Step:
        match step:
            case Call():
                return call(step)
            case Loop():
                condition, body = map_calls(step.condition, call), map_calls(step.body, call)
                return replace(step, condition=condition, body=body)
            case Branch():
                branches = tuple(map_calls(part, call) for part in step.branches)
                return replace(step, branches=branches)

    return tuple(map(mapped, steps))


def scratch_slots(kernel: Kernel, start: int) -> tuple[Slot, ...]:
    """The slots of a kernel's scratch buffers from byte `start` of the workspace on."""
    slots: list[Slot] = []
    for buffer in kernel.scratches:
        slots.append(Slot("workspace", start))
        start = align(start + buffer.elements * buffer.dtype.bytes)
    return tuple(slots)


def scratch_bytes(kernel: Kernel) -> int:
    """The bytes of a kernel's scratch buffers."""
    return sum(align(b.elements * b.dtype.bytes) for b in kernel.scratches)


def align(offset: int) -> int:
    """The next multiple of the alignment."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def aligned_bytes(size: int) -> NDArray[np.uint8]:
    """A zeroed array of `size` bytes that starts at a multiple of the alignment."""
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -int(raw.ctypes.data) % ALIGNMENT
    return raw[start : start + size]


def print_program(program: Program) -> str:
    """The kernels' texts, then the calls in order with the slots they are given."""
    lines = [print_kernel(kernel) for kernel in program.kernels]
    lines.append(f"program @{program.name} workspace {program.workspace_bytes} {{")
    lines += _lines(program, program.steps, "  ")
    return "\n".join([*lines, "}", ""])


def _lines(program: Program, steps: Sequence[Step], indent: str) -> Iterator[str]:
    for step in steps:
        nodes = f"  // {', '.join(step.nodes)}" if step.nodes else ""
        match step:
            case Call():
                slots = ", ".join(map(str, step.slots))
                yield f"{indent}{program.kernels[step.kernel].name}({slots}){nodes}"
            case Loop():
                bound = f" at most {step.trips} times" if step.trips >= 0 else ""
                yield f"{indent}while {step.predicate}{bound} given by {{{nodes}"
                yield from _lines(program, step.condition, indent + "  ")
                yield f"{indent}}} do {{"
                yield from _lines(program, step.body, indent + "  ")
                yield f"{indent}}}"
            case Branch():
                for number, branch in enumerate(step.branches):
                    yield f"{indent}case {step.index} of {number} {{{nodes}"
                    yield from _lines(program, branch, indent + "  ")
                    yield f"{indent}}}"
