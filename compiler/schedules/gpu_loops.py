"""Elementwise groups on a GPU: a plain loop nest, then rewrites that hand it to blocks and threads.

    for i in 0..N { y[i] = f(x[i]) }            the plain nest, dims merged into one
    block b { thread t { if b*256+t < N { y[b*256+t] = f(x[b*256+t]) } } }

Where every access walks memory one element after the other, an iteration of the plain nest is a
vector of 128 bits, so that a thread loads and stores them at once.
"""

from __future__ import annotations

import math

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Expr, Index, Load, Var, children
from tensorkiln.compiler.kernel.rewrite_bind import bind
from tensorkiln.compiler.kernel.rewrite_split import split
from tensorkiln.compiler.kernel.stmt import For, Kernel, LoopKind, walk
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.schedules.group import Group
from tensorkiln.compiler.schedules.loops import (
    access_steps,
    accesses_of,
    merge_dims,
    store_elements,
)  # fmt: skip

THREADS = 256


def schedule_gpu_loops(group: Group, target: Target) -> Kernel:
    """The kernel of a group whose results have one shape and only Element ops."""
    return over_blocks(_plain(group, target), THREADS)


def over_blocks(kernel: Kernel, threads: int) -> Kernel:
    """A kernel of one outer loop with its iterations handed to blocks of at most `threads`.

    The iterations must not touch each other's memory (RewriteError).
    """
    (nest,) = (stmt for stmt in kernel.body if isinstance(stmt, For))
    name, trips = nest.var.name, nest.var.extent or 1
    kernel = split(kernel, name, min(threads, trips))
    outer = next(s for s in walk(kernel.body) if isinstance(s, For))
    inner = next(s for s in walk(outer.body) if isinstance(s, For))
    kernel = bind(kernel, outer.var.name, LoopKind.BLOCK)
    return bind(kernel, inner.var.name, LoopKind.THREAD)


def _plain(group: Group, target: Target) -> Kernel:
    """One loop over all results, a vector each iteration where that is possible."""
    shape = group.outputs[0].buffer.shape
    found = accesses_of(group, shape)
    merged = merge_dims(shape, found)
    sizes = [math.prod(dims) for dims in merged] or [1]
    width = group.lanes(target.vector_bits)
    if sizes[-1] % width or not _walks_memory(found, shape):
        width = 1
    body = group.body()
    outer = (*sizes[:-1], sizes[-1] // width)
    with body.over(math.prod(outer)) as flat:
        index = ix.unflatten(flat, outer)
        with body.over(width, LoopKind.VECTOR, "l") as lane:
            place = (*index[:-1], ix.add(ix.mul(index[-1], width), lane))
            physical = _spread(place, merged)
            logical = group.outputs[0].layout.logical_index(physical)
            store_elements(body, group, physical, logical, False)
    return group.kernel(body)


def _spread(place: Index, merged: list[tuple[int, ...]]) -> Index:
    """The index of every dim from one of every run of merged dims (a scalar has neither)."""
    pairs = zip(place, merged, strict=False)
    return tuple(e for flat, dims in pairs for e in ix.unflatten(flat, dims))


def _walks_memory(found: list[Expr], shape: tuple[int, ...]) -> bool:
    """True if every access, unguarded, moves by 0 or 1 elements with the innermost dim."""
    wide = [axis for axis, size in enumerate(shape) if size > 1]
    dims = {f"p{axis}" for axis in range(len(shape))}
    if not wide or not all(_is_plain(expr, dims) for expr in found):
        return False
    name = f"p{wide[-1]}"
    steps, fixed = access_steps(found)
    return name not in fixed and all(step.get(name, 0) in (0, 1) for step in steps)


def _is_plain(expr: Expr, dims: set[str]) -> bool:
    """True if loads in `expr` have no guard, and indices of the variables `dims` alone."""
    if isinstance(expr, Load):
        return expr.guard is None and all(_names(e) <= dims for e in expr.index)
    return all(_is_plain(child, dims) for child in children(expr))


def _names(expr: Expr) -> set[str]:
    """The variables of an expression and the buffers that it reads."""
    match expr:
        case Var(name):
            return {name}
        case Load(buffer):
            return {buffer.name}
        case _:
            return {name for child in children(expr) for name in _names(child)}
