"""Reductions whose lanes lie along a dim of the result: each lane folds its own box.

    parallel outer dims { tile of the innermost dim {
        acc[copy, lane] = initial
        for box dims { acc = combine(acc, element) }
        results = epilogue(acc) } }

This is the general form of every Reduction: column sums, pooling, and the contractions and
convolutions that no faster family takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeAlias

from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Convert, Expr, Index, Load, Select
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.ops.record import Reduction
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group, reduction_of

COPIES = 4
# The index of the outer dims, and the sizes of the inner ones that a tile walks as one.
Outer: TypeAlias = tuple[Index, tuple[int, ...]]


def schedule_accumulate(group: Group, target: Target) -> Kernel:
    """The kernel of a group of reductions with one result shape and box, and their epilogue."""
    place = group.outputs[0]
    shape = place.buffer.shape
    lanes = group.lanes(target.vector_bits)
    body = group.body()
    outer, inner = shape[:-1], shape[-1:]
    if len(shape) > 1 and shape[-1] == lanes:  # channel blocks: a tile is several places of space
        outer, inner = shape[:-2], shape[-2:]
    parallel = group.work >= PARALLEL_WORK
    count = math.prod(outer)
    with ExitStack() as stack:
        index: Index = ()
        if count > 1:
            kind = LoopKind.PARALLEL if parallel else LoopKind.SERIAL
            index = ix.unflatten(stack.enter_context(body.over(count, kind)), outer)
        else:
            index = (ix.ZERO,) * len(outer)
        _tiles(body, group, (index, inner), lanes, parallel and count == 1)
    return group.kernel(body)


def _tiles(body: Body, group: Group, outer: Outer, lanes: int, parallel: bool) -> None:
    step = lanes * COPIES
    inner = math.prod(outer[1])
    tiles = inner // step
    if tiles:
        with body.over(tiles, LoopKind.PARALLEL if parallel else LoopKind.SERIAL) as tile:
            _tile(body, group, outer, ix.mul(tile, step), lanes, COPIES, None)
    rest = inner - tiles * step
    vectors = rest // lanes
    start = tiles * step
    if vectors:
        _tile(body, group, outer, ix.const(start), lanes, vectors, None)
    start += vectors * lanes
    if start < inner:
        _tile(body, group, outer, ix.const(start), lanes, 1, inner - start)


def _tile(
    body: Body,
    group: Group,
    outer: Outer,
    start: Expr,
    lanes: int,
    copies: int,
    count: int | None,
) -> None:
    """One tile of `copies` vectors from `start`; of the only vector, `count` lanes exist."""
    if count == 1:
        lanes, count = 1, None
    states: dict[Op, list[Buffer]] = {}
    for op in group.reductions:
        reduction = _reduction(op)
        states[op] = [body.local((copies, lanes), e.dtype) for e in reduction.initial(op)]

    def each(visit: Callable[[int, Expr, Index, Expr | None], None]) -> None:
        for copy in range(copies):
            with body.over(lanes, LoopKind.VECTOR, "l") as lane:
                position = ix.add(ix.add(start, ix.const(copy * lanes)), lane)
                index, inner = outer
                physical = (*index, *(ix.unflatten(position, inner) if inner else ()))
                logical = group.outputs[0].layout.logical_index(physical)
                exists = None if count is None else ix_less(lane, count)
                visit(copy, lane, logical, exists)

    def initialise(copy: int, lane: Expr, logical: Index, exists: Expr | None) -> None:
        for op, buffers in states.items():
            for buffer, value in zip(buffers, _reduction(op).initial(op), strict=True):
                body.store(buffer, (ix.const(copy), lane), value)

    def accumulate(inner: Index) -> Callable[[int, Expr, Index, Expr | None], None]:
        def visit(copy: int, lane: Expr, logical: Index, exists: Expr | None) -> None:
            for op, buffers in states.items():
                step(body, op, buffers, (ix.const(copy), lane), logical, inner, exists)

        return visit

    def results(copy: int, lane: Expr, logical: Index, exists: Expr | None) -> None:
        bind_states(body, states, (ix.const(copy), lane))
        _store(body, group, logical, exists)

    each(initialise)
    extents = _reduction(group.reductions[0]).extents(group.reductions[0])
    with ExitStack() as stack:
        inner = tuple(stack.enter_context(body.over(size, hint="k")) for size in extents)
        each(accumulate(inner))
    each(results)


def step(
    body: Body,
    op: Op,
    buffers: list[Buffer],
    at: Index,
    index: Index,
    inner: Index,
    exists: Expr | None,
) -> None:
    """Folds the element of `op` at (index, inner) into the state held by `buffers` at `at`."""
    reduction = _reduction(op)
    valid = reduction.valid(op, index, inner)
    with ExitStack() as stack:
        for condition in (exists, valid):
            if condition is not None:
                stack.enter_context(body.guard(condition))
        element = reduction.element(body, op, index, inner)
    for condition in (exists, valid):
        if condition is not None:
            element = tuple(
                Select(condition, e, i) for e, i in zip(element, reduction.initial(op), strict=True)
            )
    state: tuple[Expr, ...] = tuple(Load(buffer, at) for buffer in buffers)
    if len(buffers) > 1:
        state = tuple(body.let(e) for e in state)
    joined = reduction.combine(body, op, state, element)
    for buffer, value in zip(buffers, joined, strict=True):
        body.store(buffer, at, value)


def bind_states(body: Body, states: dict[Op, list[Buffer]], at: Index) -> None:
    """Makes the reductions' results read the states at `at`."""
    for op, buffers in states.items():
        for value, buffer in zip(op.results, buffers, strict=True):
            body.bound[value] = _reader(body, buffer, at, value.dtype)


def _reader(body: Body, buffer: Buffer, at: Index, dtype: DType) -> Callable[[Index], Expr]:
    def read(index: Index) -> Expr:
        state = body.let(Load(buffer, at))
        return state if state.dtype == dtype else body.let(Convert(state, dtype))

    return read


def _store(body: Body, group: Group, logical: Index, exists: Expr | None) -> None:
    with ExitStack() as stack:
        if exists is not None:
            stack.enter_context(body.when(exists))
        values = [body.read(v, logical) for v in group.region.results]
        for output, value in zip(group.outputs, values, strict=True):
            body.store(output.buffer, output.index(logical), value)


def ix_less(a: Expr, bound: int) -> Expr:
    """`a < bound` on indices."""
    return Binary("lt", a, ix.const(bound))


def _reduction(op: Op) -> Reduction:
    reduction = reduction_of(op)
    assert reduction is not None
    return reduction
