"""Statements and kernels: the loop tree.

A Block is a tuple of statements run in order.  `Let` names are visible from there to the end of
their block and in blocks below it; an `Alloc` likewise.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tensorkiln.compiler.kernel.expr import INDEX, Buffer, Const, Expr, Var


class LoopKind(enum.Enum):
    """Who runs the iterations of a loop."""

    SERIAL = "for"  # one after the other
    UNROLLED = "unroll"  # one after the other, written out; the extent is a constant
    VECTOR = "vector"  # the lanes of one vector; the extent is a constant
    PARALLEL = "parallel"  # split statically over the threads of the pool
    BLOCK = "block"  # the blocks of a GPU grid
    THREAD = "thread"  # the threads of a GPU block


@dataclass(frozen=True, slots=True)
class Let:
    """`var = value`, evaluated once, here."""

    var: Var
    value: Expr


@dataclass(frozen=True, slots=True)
class Store:
    """`buffer[index] = value`; `streaming` asks for a store that bypasses the caches."""

    buffer: Buffer
    index: tuple[Expr, ...]
    value: Expr
    streaming: bool = False


@dataclass(frozen=True, slots=True)
class Alloc:
    """Makes an uninitialised buffer in space local or shared, alive to the end of the block."""

    buffer: Buffer


@dataclass(frozen=True, slots=True)
class For:
    """Runs `body` with `var` at start, start + step, ... below `stop`."""

    var: Var
    start: Expr
    stop: Expr
    kind: LoopKind
    body: Block
    step: int = 1


@dataclass(frozen=True, slots=True)
class If:
    """Runs `body` where `condition` holds; inside a vector loop, for the lanes where it holds."""

    condition: Expr
    body: Block


@dataclass(frozen=True, slots=True)
class Barrier:
    """Waits until every thread of the block is here."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """A machine instruction with its meaning: `body` over `parameters` says what it computes.

    The interpreter runs the body; an emitter that knows `name` emits the instruction, any other
    emits the body.
    """

    name: str
    parameters: tuple[Buffer, ...]
    body: Block


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a buffer that starts at `index`, as an instruction's operand."""

    buffer: Buffer
    index: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Invoke:
    """Runs an instruction on windows of buffers, one for each of its parameters."""

    instruction: Instruction
    windows: tuple[Window, ...]


Stmt: TypeAlias = Let | Store | Alloc | For | If | Barrier | Invoke
Block: TypeAlias = tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A loop nest over parameters in global memory: inputs first, then outputs.

    The last `scratch` of the outputs are memory that it uses while it runs.
    """

    name: str
    parameters: tuple[Buffer, ...]
    outputs: int
    body: Block
    scratch: int = 0

    @property
    def written(self) -> tuple[Buffer, ...]:
        """The parameters the kernel writes."""
        return self.parameters[len(self.parameters) - self.outputs :]

    @property
    def scratches(self) -> tuple[Buffer, ...]:
        """The parameters that hold nothing before and after the kernel runs."""
        return self.parameters[len(self.parameters) - self.scratch :]


def loop(var: Var, body: Block, kind: LoopKind = LoopKind.SERIAL, stop: Expr | None = None) -> For:
    """A loop of `var` from 0 to its extent (or to `stop`)."""
    if stop is None:
        if var.extent is None:
            raise ValueError(f"loop variable {var.name} has no extent")
        stop = Const(var.extent, INDEX)
    return For(var, Const(0, INDEX), stop, kind, body)


def walk(block: Block) -> Iterator[Stmt]:
    """Every statement of a block and the blocks below it, outermost first."""
    for stmt in block:
        yield stmt
        if isinstance(stmt, For | If):
            yield from walk(stmt.body)
