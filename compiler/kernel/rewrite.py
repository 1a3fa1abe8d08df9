"""What the rewrites of kernels share: finding a loop by name, replacing it, refusing.

A rewrite takes a kernel and returns a kernel that computes the same, or raises RewriteError.  Each
checks first, then rewrites; the result is verified.  Loops are named by their variables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Const, Expr
from tensorkiln.compiler.kernel.stmt import Barrier, Block, For, If, Kernel, walk
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.runtime.errors import RewriteError, VerifyError


def find_loop(kernel: Kernel, name: str) -> For:
    """The only loop whose variable is `name`."""
    found = [s for s in walk(kernel.body) if isinstance(s, For) and s.var.name == name]
    if len(found) != 1:
        count = "no loop is" if not found else f"{len(found)} loops are"
        raise RewriteError(f"kernel {kernel.name}: {count} named {name}")
    return found[0]


def loops_around(kernel: Kernel, target: For) -> tuple[For, ...]:
    """The loops that contain `target`, outermost first."""

    def search(block: Block, around: tuple[For, ...]) -> tuple[For, ...] | None:
        for stmt in block:
            if stmt is target:
                return around
            if isinstance(stmt, For | If):
                inner = (*around, stmt) if isinstance(stmt, For) else around
                found = search(stmt.body, inner)
                if found is not None:
                    return found
        return None

    return search(kernel.body, ()) or ()


def replace_loop(kernel: Kernel, target: For, make: Callable[[For], Block]) -> Kernel:
    """The kernel with the loop `target` replaced by statements; RewriteError if that is no kernel."""

    def run(block: Block) -> Block:
        result: list[Block] = []
        for stmt in block:
            if stmt is target:
                result.append(make(target))
            elif isinstance(stmt, For | If):
                result.append((replace(stmt, body=run(stmt.body)),))
            else:
                result.append((stmt,))
        return tuple(stmt for part in result for stmt in part)

    rewritten = replace(kernel, body=run(kernel.body))
    try:
        verify_kernel(rewritten)
    except VerifyError as error:
        refuse(kernel, target, f"cannot be rewritten so: {error}")
    return rewritten


def constant_trips(kernel: Kernel, loop: For) -> int:
    """How often a loop from 0 by 1 runs; RewriteError if it is no such loop or not constant."""
    if loop.start != ix.ZERO or loop.step != 1 or not isinstance(loop.stop, Const):
        refuse(kernel, loop, "does not run from 0 by 1 to a constant")
    return int(loop.stop.value)


def check_no_barrier(kernel: Kernel, loop: For) -> None:
    """Refuses a loop with a barrier in it."""
    if any(isinstance(stmt, Barrier) for stmt in walk(loop.body)):
        refuse(kernel, loop, "has a barrier in it")


def refuse(kernel: Kernel, loop: For, reason: str) -> NoReturn:
    """Raises RewriteError about a loop."""
    raise RewriteError(f"kernel {kernel.name}: loop {loop.var.name} {reason}")


def bounded(expr: Expr, size: int) -> bool:
    """True if an index surely lies in 0..size-1."""
    low, high = ix.bounds(expr)
    return low >= 0 and high < size
