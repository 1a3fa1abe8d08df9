"""Machine instructions that schedules ask for by name, each with its meaning."""

from __future__ import annotations

from tensorkiln.compiler.kernel.expr import Buffer, Index
from tensorkiln.compiler.kernel.stmt import Instruction, Invoke, Window

PREFETCH = "prefetch"


def prefetch(buffer: Buffer, index: Index) -> Invoke:
    """Asks for the cache line of `buffer[index]` to be fetched; it computes nothing."""
    rank = len(buffer.shape)
    line = Buffer("line", (1,) * rank, buffer.dtype)
    instruction = Instruction(f"{PREFETCH}_{buffer.dtype}_{rank}", (line,), ())
    return Invoke(instruction, (Window(buffer, index),))
