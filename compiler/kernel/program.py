"""A compiled model before code generation: kernels, the calls of them, and where data lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """One kernel run on buffers; `nodes` are the user's nodes it stands for."""

    kernel: int
    slots: tuple[Slot, ...]
    nodes: tuple[str, ...] = ()
    flops: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """Kernels (each once, however often it is called), calls in order, and the memory plan."""

    name: str
    kernels: tuple[Kernel, ...]
    calls: tuple[Call, ...]
    arguments: int
    constants: NDArray[np.uint8]
    workspace_bytes: int
    workspace_total: int = 0  # bytes of all intermediates, were none to share memory


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
    for call in program.calls:
        slots = ", ".join(map(str, call.slots))
        nodes = f"  // {', '.join(call.nodes)}" if call.nodes else ""
        lines.append(f"  {program.kernels[call.kernel].name}({slots}){nodes}")
    return "\n".join([*lines, "}", ""])
