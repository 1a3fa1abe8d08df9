"""Reductions of outer dims of a wide tensor: many columns folded side by side, several rows a pass.

    parallel chunks of columns {
        acc[column] = initial
        for four rows { for vector of columns { acc = combine(... combine(acc, row 0) ..., row 3) } }
        results = epilogue(acc) }

A chunk of accumulators stays in the first-level cache, memory is read in long runs, and each
accumulator is loaded and stored once for four rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Const, Expr, Index, Load
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.schedules.accumulate import step
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group, reduction_of

CHUNK = 1024
TASKS = 4  # that share out well over two threads
LEAST_LINES = 4  # that are read next to each other
ROWS = 4
LEAST_COLUMNS = 256
LEAST_ROWS = 16


def takes_columns(group: Group) -> bool:
    """True for plain reductions of one state over whole dims outside of a wide innermost dim."""
    shape = group.outputs[0].buffer.shape
    if not shape or shape[-1] < LEAST_COLUMNS:
        return False
    for op in group.reductions:
        reduction = reduction_of(op)
        if (
            op.name != "reduce"
            or reduction is None
            or math.prod(reduction.extents(op)) < LEAST_ROWS
        ):
            return False
        if op.operands[0].type.rank - 1 in op.ints("dimensions"):
            return False
    return all(p.layout.is_row_major for p in (*group.inputs, *group.outputs))


def schedule_columns(group: Group, target: Target) -> Kernel:
    """The kernel of a group that `takes_columns`."""
    body = group.body()
    lanes = group.lanes(target.vector_bits)
    shape = group.outputs[0].buffer.shape
    outer, inner = shape[:-1], shape[-1]
    parallel = group.work >= PARALLEL_WORK
    width = _chunk_width(math.prod(outer), inner, lanes) if parallel else CHUNK
    chunks = -(-inner // width)
    tasks = (*outer, chunks)
    with body.over(math.prod(tasks), LoopKind.PARALLEL if parallel else LoopKind.SERIAL) as task:
        *index, chunk = ix.unflatten(task, tasks)
        full = inner // width
        parts = ([width] if full else []) + ([inner % width] if inner % width else [])
        for size in parts:
            with ExitStack() as stack:
                if len(parts) == 2:
                    condition = Binary("lt" if size == width else "eq", chunk, ix.const(full))
                    stack.enter_context(body.when(condition))
                _chunk(body, group, tuple(index), ix.mul(chunk, width), size, lanes)
    return group.kernel(body)


def _chunk_width(outer: int, columns: int, lanes: int) -> int:
    """Columns of a task: a chunk, or fewer where that would make too few tasks to share out."""
    wanted = max(1, TASKS // outer)
    step = LEAST_LINES * lanes
    return min(CHUNK, max(step, -(-columns // (wanted * step)) * step))


def _chunk(body: Body, group: Group, outer: Index, start: Expr, size: int, lanes: int) -> None:
    vectors = -(-size // lanes)
    states: dict[Op, list[Buffer]] = {}
    accumulators: dict[Op, list[Buffer]] = {}
    for op in group.reductions:
        initial = _initial(op)
        states[op] = [body.local((vectors * lanes,), e.dtype, "sums") for e in initial]
        accumulators[op] = [body.local((lanes,), e.dtype) for e in initial]

    def each(visit: Callable[[Expr, Index, Expr | None], None]) -> None:
        """Visits the vectors of the chunk: place in it, index in the result, lanes that exist."""
        whole = size // lanes
        if whole:
            with body.over(whole, hint="v") as v, body.over(lanes, LoopKind.VECTOR, "l") as lane:
                at = ix.add(ix.mul(v, lanes), lane)
                visit(at, (*outer, ix.add(start, at)), None)
        if size % lanes:
            with body.over(lanes, LoopKind.VECTOR, "l") as lane:
                at = ix.add(ix.const(whole * lanes), lane)
                exists = Binary("lt", lane, Const(size % lanes, at.dtype))
                visit(at, (*outer, ix.add(start, at)), exists)

    def initialise(at: Expr, index: Index, exists: Expr | None) -> None:
        for op, buffers in states.items():
            for buffer, value in zip(buffers, _initial(op), strict=True):
                body.store(buffer, (at,), value)

    def fold(members: list[Index]) -> Callable[[Expr, Index, Expr | None], None]:
        def visit(at: Expr, index: Index, exists: Expr | None) -> None:
            for op, buffers in states.items():
                held = accumulators[op]
                lane = ix.mod(at, lanes)
                for near, far in zip(held, buffers, strict=True):
                    body.store(near, (lane,), Load(far, (at,)))
                for member in members:
                    step(body, op, held, (lane,), index, member, exists)
                for near, far in zip(held, buffers, strict=True):
                    body.store(far, (at,), Load(near, (lane,)))

        return visit

    def results(at: Expr, index: Index, exists: Expr | None) -> None:
        for op, buffers in states.items():
            for value, buffer in zip(op.results, buffers, strict=True):
                body.bound[value] = _reader(body, buffer, at)
        with ExitStack() as stack:
            if exists is not None:
                stack.enter_context(body.when(exists))
            elements = [body.read(v, index) for v in group.region.results]
            for output, element in zip(group.outputs, elements, strict=True):
                body.store(output.buffer, output.index(index), element)

    each(initialise)
    first = group.reductions[0]
    reduction = reduction_of(first)
    assert reduction is not None
    extents = reduction.extents(first)
    with ExitStack() as stack:
        around = tuple(stack.enter_context(body.over(s, hint="k")) for s in extents[:-1])
        rows = extents[-1]
        if rows >= ROWS:
            with body.over(rows // ROWS, hint="k") as k:
                each(fold([(*around, ix.add(ix.mul(k, ROWS), ix.const(r))) for r in range(ROWS)]))
        for row in range(rows - rows % ROWS, rows):
            each(fold([(*around, ix.const(row))]))
    each(results)


def _initial(op: Op) -> tuple[Expr, ...]:
    reduction = reduction_of(op)
    assert reduction is not None
    return reduction.initial(op)


def _reader(body: Body, buffer: Buffer, at: Expr) -> Callable[[Index], Expr]:
    return lambda index: body.let(Load(buffer, (at,)))
