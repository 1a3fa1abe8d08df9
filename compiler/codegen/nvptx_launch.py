"""How a kernel of blocks and threads is started, read from its loops."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from tensorkiln.compiler.kernel.expr import Const
from tensorkiln.compiler.kernel.stmt import (
    Alloc,
    Barrier,
    Block,
    For,
    If,
    Kernel,
    LoopKind,
    Store,
    walk,
)  # fmt: skip
from tensorkiln.runtime.errors import UnsupportedError

THREADS = 1024  # the most a block may have
BLOCKS = 2**31 - 1  # the most a grid may have along x
SHARED_BYTES = 48 << 10  # the most a block may have without asking the driver for more


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel's entry in the PTX and its geometry, all of it along x.

    `shared_bytes` is static shared memory, which the PTX declares itself: a launch asks for none
    on top.  An empty tensor has 0 blocks and nothing to start.  The arguments are the addresses of the kernel's parameters in device memory, each a
    multiple of 16.
    """

    entry: str
    blocks: int
    threads: int
    shared_bytes: int


def launch_of(kernel: Kernel, number: int) -> Launch:
    """The launch of a kernel that is one loop over blocks with loops over threads in it.

    UnsupportedError if the kernel has another form, or more than a GPU takes.
    """
    grid = _grid(kernel)
    blocks = trips_of(kernel, grid)
    loops = list(_thread_loops(kernel, grid.body))
    threads = min(max((trips_of(kernel, loop) for loop in loops), default=1), THREADS)
    for loop in loops:
        if trips_of(kernel, loop) != threads and _holds_barrier(loop.body):
            _refuse(kernel, f"loop {loop.var.name} has barriers, but not {threads} threads")
    buffers = [s.buffer for s in walk(kernel.body) if isinstance(s, Alloc)]
    sizes = [-(-b.elements * b.dtype.bytes // 16) * 16 for b in buffers if b.space == "shared"]
    if sum(sizes) > SHARED_BYTES:
        _refuse(kernel, f"{sum(sizes)} bytes of shared memory are more than {SHARED_BYTES}")
    if blocks > BLOCKS:
        _refuse(kernel, f"a grid of {blocks} blocks")
    name = re.sub(r"[^A-Za-z0-9_]", "_", kernel.name)
    return Launch(f"k{number}_{name}", blocks, threads, sum(sizes))


def trips_of(kernel: Kernel, loop: For) -> int:
    """How often a loop over blocks or threads runs; UnsupportedError if that is not constant."""
    if not (isinstance(loop.start, Const) and isinstance(loop.stop, Const)):
        _refuse(kernel, f"the bounds of loop {loop.var.name} are not constant")
    return len(range(int(loop.start.value), int(loop.stop.value), loop.step))


def _grid(kernel: Kernel) -> For:
    match kernel.body:
        case (For(kind=LoopKind.BLOCK) as grid,):
            return grid
    _refuse(kernel, "it is not one loop over blocks")


def _thread_loops(kernel: Kernel, block: Block) -> Iterator[For]:
    """The thread loops of a block; what lies outside of them, every thread does."""
    for stmt in block:
        match stmt:
            case For(kind=LoopKind.THREAD):
                if any(isinstance(s, For) and s.kind is LoopKind.THREAD for s in walk(stmt.body)):
                    _refuse(kernel, f"thread loop {stmt.var.name} has another inside")
                yield stmt
            case For(kind=LoopKind.SERIAL | LoopKind.UNROLLED) | If():
                yield from _thread_loops(kernel, stmt.body)
            case For():
                _refuse(kernel, f"{stmt.kind.value} loop {stmt.var.name} outside of thread loops")
            case Store():
                _refuse(kernel, f"a store to {stmt.buffer.name} outside of thread loops")
            case _:
                pass


def _holds_barrier(block: Block) -> bool:
    return any(isinstance(stmt, Barrier) for stmt in walk(block))


def _refuse(kernel: Kernel, reason: str) -> NoReturn:
    raise UnsupportedError(f"kernel {kernel.name} is no GPU kernel: {reason}")
