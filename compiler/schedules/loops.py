"""Elementwise groups: one loop nest over the results, in memory order, innermost dim in lanes.

Neighbouring dims become one loop where every access allows it, so that a contiguous tensor of any
rank is walked as one long vector.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import (
    INDEX,
    Binary,
    Const,
    Expr,
    Index,
    Load,
    Select,
    Var,
    children,
)  # fmt: skip
from tensorkiln.compiler.kernel.instructions import prefetch
from tensorkiln.compiler.kernel.stmt import Kernel, Let, LoopKind, Store, walk
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group
from tensorkiln.compiler.schedules.strips import strips, tail_strips

UNROLL = 4
AHEAD_BYTES = 4096
BAND = 32  # rows of a matrix whose pages the processor can keep track of at once
TASKS = 32  # iterations of a parallel loop that share out well over any usual number of threads
CHUNK = 1 << 12  # elements one iteration of a parallel loop over a flat range handles


def schedule_loops(group: Group, target: Target) -> Kernel:
    """The kernel of a group whose results have one shape and layout and only Element ops."""
    place = group.outputs[0]
    shape = place.buffer.shape
    merged = merge_dims(shape, accesses_of(group, shape))
    lanes = group.lanes(target.vector_bits)
    body = group.body()
    emit_elements(body, group, merged, lanes, parallel=group.work >= PARALLEL_WORK)
    return group.kernel(body)


def emit_elements(
    body: Body, group: Group, merged: list[tuple[int, ...]], lanes: int, parallel: bool
) -> None:
    """Loops over the merged dims that store every result's element."""
    place = group.outputs[0]
    sizes = [_product(dims) for dims in merged]
    streaming = group.streams

    def element(index: tuple[Expr, ...], condition: Expr | None) -> None:
        # A scalar result has no dims, and one loop of extent 1.
        physical = tuple(
            e for flat, dims in zip(index, merged, strict=False) for e in ix.unflatten(flat, dims)
        )
        logical = place.layout.logical_index(physical)
        if condition is None:
            store_elements(body, group, physical, logical, streaming)
            return
        with body.when(condition):
            store_elements(body, group, physical, logical, False)

    _nest(body, sizes, lanes, parallel, bool(place.layout.blocks), element)


def store_elements(
    body: Body, group: Group, physical: Index, logical: Index, streaming: bool
) -> None:
    """Stores the element of every result at an index, zeros in a layout's padding."""
    values = elements(body, group, logical)
    for output, value in zip(group.outputs, values, strict=True):
        body.store(output.buffer, physical, value, streaming)
    if streaming:
        _fetch_ahead(body, group, physical)


def elements(body: Body, group: Group, logical: Index) -> list[Expr]:
    """The element of every result at an index, zero in a layout's padding."""
    inside = _inside(group, logical)
    if inside is None:
        return [body.read(v, logical) for v in group.region.results]
    with body.guard(inside):
        values = [body.read(v, logical) for v in group.region.results]
    return [Select(inside, v, Const(0, v.dtype)) for v in values]


def _fetch_ahead(body: Body, group: Group, physical: Index) -> None:
    """Prefetches what long streams read next: the processor's own prefetch stops at pages."""
    for place in group.inputs:
        if physical and place.buffer.shape == group.outputs[0].buffer.shape:
            ahead = ix.const(AHEAD_BYTES // place.buffer.dtype.bytes)
            body.emit(prefetch(place.buffer, (*physical[:-1], ix.add(physical[-1], ahead))))


def _inside(group: Group, logical: Index) -> Expr | None:
    """The condition that an index is not in a layout's padding, which is filled with zeros."""
    inside: Expr | None = None
    for dim, size in group.outputs[0].layout.blocks:
        extent = group.region.results[0].shape[dim]
        if extent % size:
            here = Binary("lt", logical[dim], ix.const(extent))
            inside = here if inside is None else Binary("and", inside, here)
    return inside


def _nest(
    body: Body,
    sizes: list[int],
    lanes: int,
    parallel: bool,
    packing: bool,
    element: Callable[[tuple[Expr, ...], Expr | None], None],
) -> None:
    outer, inner = sizes[:-1], sizes[-1] if sizes else 1
    if not outer and parallel and inner >= 2 * CHUNK:
        _flat_parallel(body, inner, lanes, element)
        return

    def descend(axis: int, index: tuple[Expr, ...]) -> None:
        if axis == len(outer):
            strips(body, inner, lanes, UNROLL, lambda _, i, c: element((*index, i), c))
            return
        with body.over(outer[axis]) as var:
            descend(axis + 1, (*index, var))

    count = math.prod(outer)
    if not parallel or count == 1:
        descend(0, ())
        return
    if packing and len(outer) == 2 and outer[1] >= 2 * BAND:
        _bands(body, (outer[0], outer[1]), inner, lanes, element)
        return
    # As many outer dims as make enough tasks to share out evenly; the rest are plain loops.
    shared, tasks = 0, 1
    while shared < len(outer) and tasks < TASKS:
        tasks *= outer[shared]
        shared += 1
    with body.over(tasks, LoopKind.PARALLEL) as task:
        descend(shared, ix.unflatten(task, tuple(outer[:shared])))


def _bands(
    body: Body,
    outer: tuple[int, int],
    inner: int,
    lanes: int,
    element: Callable[[tuple[Expr, ...], Expr | None], None],
) -> None:
    """Panels of a matrix, a band of its rows at a time: the band's pages stay at hand."""
    panels, depth = outer

    def band(start: Expr, rows: int) -> None:
        with body.over(panels) as panel, body.over(rows) as row:
            index = (panel, ix.add(start, row))
            strips(body, inner, lanes, UNROLL, lambda _, i, c: element((*index, i), c))

    with body.over(depth // BAND, LoopKind.PARALLEL, "b") as number:
        band(ix.mul(number, BAND), BAND)
    if depth % BAND:
        band(ix.const(depth - depth % BAND), depth % BAND)


def _flat_parallel(
    body: Body, extent: int, lanes: int, element: Callable[[tuple[Expr, ...], Expr | None], None]
) -> None:
    chunks = extent // CHUNK
    with body.over(chunks, LoopKind.PARALLEL, "c") as chunk:
        base = ix.mul(chunk, CHUNK)
        strips(body, CHUNK, lanes, UNROLL, lambda _, i, c: element((ix.add(base, i),), c))
    rest = extent - chunks * CHUNK
    if rest:
        start = ix.const(chunks * CHUNK)
        strips(body, rest, lanes, UNROLL, lambda _, i, c: element((ix.add(start, i),), c))


def accesses_of(group: Group, shape: tuple[int, ...]) -> list[Expr]:
    """Every index and value expression of the group, in terms of one variable a dim."""
    body = group.body()
    physical = tuple(Var(f"p{axis}", INDEX, size) for axis, size in enumerate(shape))
    store_elements(body, group, physical, group.outputs[0].layout.logical_index(physical), False)
    found: list[Expr] = []
    for stmt in walk(body.finish()):
        if isinstance(stmt, Let):
            found.append(stmt.value)
        elif isinstance(stmt, Store):
            found += [Load(stmt.buffer, stmt.index), stmt.value]
    return found


def merge_dims(shape: tuple[int, ...], expressions: list[Expr]) -> list[tuple[int, ...]]:
    """Runs of dims that one loop can walk, outermost first; dims of size 1 join any run.

    Dims a and b (b next inside) merge if in every access the step of a is the size of b times the
    step of b, and neither is used other than in such steps.
    """
    steps, fixed = access_steps(expressions)
    runs: list[tuple[int, ...]] = []
    last = -1  # the innermost dim larger than 1 so far
    for axis, size in enumerate(shape):
        if runs and (size == 1 or last < 0 or _mergeable(last, axis, size, steps, fixed)):
            runs[-1] = (*runs[-1], size)
        else:
            runs.append((size,))
        if size != 1:
            last = axis
    return runs


def _mergeable(
    outer: int, inner: int, size: int, steps: list[dict[str, int]], fixed: set[str]
) -> bool:
    a, b = f"p{outer}", f"p{inner}"
    if a in fixed or b in fixed:
        return False
    return all(step.get(a, 0) == size * step.get(b, 0) for step in steps)


def access_steps(expressions: list[Expr]) -> tuple[list[dict[str, int]], set[str]]:
    """How far each load moves with each variable, and the variables used in any other way."""
    steps: list[dict[str, int]] = []
    fixed: set[str] = set()

    def visit(expr: Expr) -> None:
        if isinstance(expr, Var):
            fixed.add(expr.name)
            return
        if not isinstance(expr, Load):
            for child in children(expr):
                visit(child)
            return
        if expr.guard is not None:
            visit(expr.guard)
        terms, _ = ix.linear(ix.flatten(expr.index, expr.buffer.strides))
        steps.append({atom.name: c for atom, c in terms.items() if isinstance(atom, Var)})
        for atom in terms:
            if not isinstance(atom, Var):
                visit(atom)

    for expr in expressions:
        visit(expr)
    return steps, fixed


def _product(dims: tuple[int, ...]) -> int:
    total = 1
    for size in dims:
        total *= size
    return total


__all__ = [
    "access_steps", "accesses_of", "elements", "emit_elements", "merge_dims", "schedule_loops",
    "store_elements", "tail_strips",
]  # fmt: skip
