"""Reductions over any dims on a GPU: a thread a result, or a block a result where those are few.

block b { thread t {                        block r { thread t {
  r = b*256 + t                               fold members t, t + T, ... of result r
  for box { state = combine(state, ...) }     join the threads' states in shared memory
  y[r] = epilogue(state) } }                  thread 0: y[r] = epilogue(state) } }
"""

from __future__ import annotations

import math
from contextlib import ExitStack

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import INDEX, Binary, Const, Index
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.schedules.accumulate import bind_states, step
from tensorkiln.compiler.schedules.gpu_loops import THREADS
from tensorkiln.compiler.schedules.gpu_tree import (
    initial_of,
    make_trees,
    member,
    reduce_over_block,
    threads_for,
)  # fmt: skip
from tensorkiln.compiler.schedules.group import Group, reduction_of

FEW = 1 << 12  # results below which one thread each would leave most of a GPU idle
LARGE = 256  # members above which a block has work enough for all its threads


def schedule_gpu_reduce(group: Group) -> Kernel:
    """The kernel of a group of reductions with one result shape and box, and their epilogue."""
    results = math.prod(group.outputs[0].buffer.shape)
    members = math.prod(_extents(group))
    if results < FEW and members > LARGE:
        return _block_each(group, results, members)
    return _thread_each(group, results)


def _thread_each(group: Group, results: int) -> Kernel:
    # Blocks and threads are written here and not bound by a rewrite: the results' index may be
    # read back from the state, which a check of dependences cannot see through.
    threads = max(1, min(THREADS, results))
    body = group.body()
    blocks = -(-results // threads)
    with (
        body.over(blocks, LoopKind.BLOCK, "b") as block,
        body.over(threads, LoopKind.THREAD, "t") as thread,
        ExitStack() as stack,
    ):
        result = ix.add(ix.mul(block, threads), thread)
        if results % threads:
            stack.enter_context(body.when(Binary("lt", result, Const(results, INDEX))))
        index = member(result, group.outputs[0].buffer.shape)
        _fold(body, group, index)
        _store(body, group, index)
    return group.kernel(body)


def _fold(body: Body, group: Group, index: Index) -> None:
    """Folds the whole box of the result at `index` in this thread."""
    states = {op: [body.local((1,), e.dtype) for e in initial_of(op)] for op in group.reductions}
    for op, buffers in states.items():
        for buffer, value in zip(buffers, initial_of(op), strict=True):
            body.store(buffer, (ix.ZERO,), value)
    with ExitStack() as stack:
        inner = tuple(stack.enter_context(body.over(s, hint="k")) for s in _extents(group))
        for op, buffers in states.items():
            step(body, op, buffers, (ix.ZERO,), index, inner, None)
    bind_states(body, states, (ix.ZERO,))


def _block_each(group: Group, results: int, members: int) -> Kernel:
    threads = threads_for(members)
    extents = _extents(group)
    body = group.body()
    with body.over(results, LoopKind.BLOCK, "r") as result:
        index = ix.unflatten(result, group.outputs[0].buffer.shape)
        trees = make_trees(body, group.reductions, threads)
        with body.over(threads, LoopKind.THREAD, "t") as thread:
            reduce_over_block(
                body, trees, thread, threads, members,
                lambda number: (index, member(number, extents)),
            )  # fmt: skip
            with body.when(Binary("eq", thread, ix.ZERO)):
                _store(body, group, index)
    return group.kernel(body)


def _store(body: Body, group: Group, index: Index) -> None:
    values = [body.read(v, index) for v in group.region.results]
    for output, value in zip(group.outputs, values, strict=True):
        body.store(output.buffer, output.index(index), value)


def _extents(group: Group) -> tuple[int, ...]:
    first = group.reductions[0]
    reduction = reduction_of(first)
    assert reduction is not None
    return reduction.extents(first)
