"""Reductions by all threads of a block: a state each, joined pairwise in shared memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import INDEX, Binary, Buffer, Const, Expr, Index, Load
from tensorkiln.compiler.kernel.stmt import Alloc, LoopKind
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.schedules.accumulate import bind_states, step
from tensorkiln.compiler.schedules.group import reduction_of

UNROLL = 4  # members a thread folds without a branch back, so that their loads overlap


@dataclass(frozen=True, slots=True)
class Tree:
    """One op's states in shared memory, an element a thread of the block in every buffer."""

    op: Op
    buffers: tuple[Buffer, ...]


def shared(body: Body, shape: tuple[int, ...], hint: str, like: Expr) -> Buffer:
    """A buffer of the block, for elements of the dtype of `like`."""
    buffer = Buffer(body.name(hint), shape, like.dtype, "shared")
    body.emit(Alloc(buffer))
    return buffer


def make_trees(body: Body, ops: Sequence[Op], threads: int) -> list[Tree]:
    """Room in shared memory for the states of `ops`; made outside of the thread loop."""
    return [
        Tree(op, tuple(shared(body, (threads,), "tree", e) for e in initial_of(op))) for op in ops
    ]


def initial_of(op: Op) -> tuple[Expr, ...]:
    """The state that a reduction starts from."""
    reduction = reduction_of(op)
    assert reduction is not None
    return reduction.initial(op)


def reduce_over_block(
    body: Body,
    trees: Sequence[Tree],
    thread: Expr,
    threads: int,
    members: int,
    visit: Callable[[Expr], tuple[Index, Index]],
) -> None:
    """Folds members 0..`members`, thread t taking t, t + threads, ..., and binds the results.

    `visit(number)` gives the result's index and the index in the box of a member; it may emit
    statements.  Every thread of the block must come here: there are barriers.  Afterwards every
    thread reads the same states.  The order of joins is fixed by `threads` alone.
    """
    states = {tree.op: [body.local((1,), b.dtype) for b in tree.buffers] for tree in trees}
    for op, buffers in states.items():
        for buffer, value in zip(buffers, initial_of(op), strict=True):
            body.store(buffer, (ix.ZERO,), value)

    def fold(number: Expr) -> None:
        index, inner = visit(number)
        for op, buffers in states.items():
            step(body, op, buffers, (ix.ZERO,), index, inner, None)

    stride(body, thread, threads, members, fold)
    for tree in trees:
        for own, buffer in zip(states[tree.op], tree.buffers, strict=True):
            body.store(buffer, (thread,), Load(own, (ix.ZERO,)))
    body.barrier()
    half = threads // 2
    while half:
        with body.when(Binary("lt", thread, Const(half, INDEX))):
            for tree in trees:
                _join(body, tree, thread, ix.add(thread, ix.const(half)))
        body.barrier()
        half //= 2
    bind_states(body, {tree.op: list(tree.buffers) for tree in trees}, (ix.ZERO,))


def stride(
    body: Body, thread: Expr, threads: int, members: int, visit: Callable[[Expr], None]
) -> None:
    """Calls `visit` for members t, t + threads, ... below `members` of thread t."""
    whole = members // threads
    blocks = whole // UNROLL
    if blocks:
        with body.over(blocks, hint="k") as block, body.over(UNROLL, LoopKind.UNROLLED, "n") as n:
            step_number = ix.add(ix.mul(block, UNROLL), n)
            visit(ix.add(ix.mul(step_number, threads), thread))
    if whole % UNROLL:
        with body.over(whole % UNROLL, LoopKind.UNROLLED, "n") as n:
            step_number = ix.add(n, ix.const(blocks * UNROLL))
            visit(ix.add(ix.mul(step_number, threads), thread))
    rest = members - whole * threads
    if rest:
        with body.when(Binary("lt", thread, Const(rest, INDEX))):
            visit(ix.add(thread, ix.const(whole * threads)))


def member(number: Expr, shape: tuple[int, ...]) -> Index:
    """The row-major index in `shape` of a member whose number is known to exist."""
    if len(shape) < 2 or 0 in shape:
        return (number,) if len(shape) == 1 else ix.unflatten(number, shape)
    return (ix.floordiv(number, math.prod(shape[1:])), *ix.unflatten(number, shape)[1:])


def threads_for(members: int) -> int:
    """A power of two: about four members a thread, between one warp and 512 threads."""
    wanted = max(32, min(512, members // UNROLL))
    return 1 << (wanted.bit_length() - 1)


def _join(body: Body, tree: Tree, here: Expr, there: Expr) -> None:
    reduction = reduction_of(tree.op)
    assert reduction is not None
    a = tuple(body.let(Load(buffer, (here,))) for buffer in tree.buffers)
    b = tuple(body.let(Load(buffer, (there,))) for buffer in tree.buffers)
    joined = reduction.combine(body, tree.op, a, b)
    for buffer, value in zip(tree.buffers, joined, strict=True):
        body.store(buffer, (here,), value)


__all__ = [
    "Tree", "initial_of", "make_trees", "member", "reduce_over_block", "shared", "stride",
    "threads_for",
]  # fmt: skip
