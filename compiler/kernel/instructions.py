"""Machine instructions that schedules ask for by name, each with its meaning."""

from __future__ import annotations

from tensorkiln.compiler.kernel.expr import Buffer, Index
from tensorkiln.compiler.kernel.stmt import Instruction, Invoke, Window


def prefetch(buffer: Buffer, index: Index) -> Invoke:
    """Asks for the cache line of `buffer[index]` to be fetched; it computes nothing."""
    line = Buffer("line", (1,) * len(buffer.shape), buffer.dtype)
    return Invoke(Instruction("prefetch", (line,), ()), (Window(buffer, index),))
