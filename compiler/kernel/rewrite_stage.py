"""stage: a window of a buffer is worked on in a local copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.dependence import Access, accesses, carried_dependence, has_load
from tensorkiln.compiler.kernel.expr import INDEX, Binary, Buffer, Expr, Index, Load, Var
from tensorkiln.compiler.kernel.rewrite import (
    bounded,
    check_no_barrier,
    find_loop,
    loops_around,
    refuse,
    replace_loop,
)  # fmt: skip
from tensorkiln.compiler.kernel.stmt import (
    Alloc,
    Block,
    For,
    If,
    Kernel,
    LoopKind,
    Store,
    loop,
    walk,
)
from tensorkiln.compiler.kernel.substitute import bound_names, fresh_name, names_of, redirect

_TOGETHER = (LoopKind.PARALLEL, LoopKind.BLOCK, LoopKind.THREAD)


@dataclass(frozen=True, slots=True)
class _Window:
    """Elements `start[d]` to `start[d] + shape[d] - 1` along every dim; a dim of `inside` lies
    within the buffer whatever the variables are."""

    start: tuple[Expr, ...]
    shape: tuple[int, ...]
    inside: tuple[bool, ...]


def stage(kernel: Kernel, name: str, buffer: str) -> Kernel:
    """In each iteration of a loop, copies what it touches of a buffer to a local one and back.

        for i in 0..8 {                 for i in 0..8 {
          for j in 0..4 {                 alloc x_local: f32[4] local
            ... x[i, j + 1]       ->      for c in 0..4 { x_local[c] = x[i, c + 1] }
          }                               for j in 0..4 { ... x_local[j] }
        }                               }

    Dims of size 1 are dropped.  The window's place may depend on what is fixed within an iteration,
    its size is constant.  It is copied in (guarded where it may reach over the buffer's edge), and
    back if the loop stores to the buffer.
    """
    target = find_loop(kernel, name)
    if target.kind is LoopKind.VECTOR or any(
        around.kind is LoopKind.VECTOR for around in loops_around(kernel, target)
    ):
        refuse(kernel, target, "is of lanes, which have no buffers of their own")
    used = [a for a in accesses(target.body) if a.buffer.name == buffer]
    if not used:
        refuse(kernel, target, f"does not use {buffer}")
    source = used[0].buffer
    if any(isinstance(s, Alloc) and s.buffer == source for s in walk(target.body)):
        refuse(kernel, target, f"allocates {buffer} itself")
    check_no_barrier(kernel, target)
    window = _window(kernel, target, used)
    stored = any(access.stored for access in used)
    taken = names_of(kernel)
    kept = [axis for axis, size in enumerate(window.shape) if size != 1]
    shape = tuple(window.shape[axis] for axis in kept)
    local = Buffer(fresh_name(taken, f"{source.name}_local"), shape, source.dtype, "local")

    def local_index(index: Index) -> Index:
        return tuple(ix.sub(index[axis], window.start[axis]) for axis in kept)

    def make(old: For) -> Block:
        body: Block = (Alloc(local), *_copy(source, local, window, taken, False))
        body += redirect(old.body, source, local, local_index)
        if stored:
            body += _copy(source, local, window, taken, True)
        return (replace(old, body=body),)

    rewritten = replace_loop(kernel, target, make)
    if stored:
        _check_copies_apart(rewritten, name)
    return rewritten


def _window(kernel: Kernel, target: For, used: Sequence[Access]) -> _Window:
    moving = set(bound_names(target.body))
    starts: list[Expr] = []
    shape: list[int] = []
    for axis in range(len(used[0].index)):
        fixed: Expr | None = None
        low, high = 0, -1
        for access in used:
            base, least, most = _parts(access.index[axis], moving)
            most += access.sizes[axis] - 1
            if fixed is None:
                fixed, low, high = base, least, most
            elif base != fixed:
                refuse(kernel, target, f"touches {access.buffer.name} in places that move apart")
            low, high = min(low, least), max(high, most)
        if fixed is None or high - low >= 1 << 32:
            refuse(kernel, target, f"touches {used[0].buffer.name} in places that are not known")
        starts.append(ix.add(fixed, ix.const(low)))
        shape.append(high - low + 1)
    sizes = used[0].buffer.shape
    inside = tuple(
        bounded(start, total) and bounded(ix.add(start, ix.const(size - 1)), total)
        for start, size, total in zip(starts, shape, sizes, strict=True)
    )
    return _Window(tuple(starts), tuple(shape), inside)


def _parts(expr: Expr, moving: set[str]) -> tuple[Expr, int, int]:
    """What of an index is fixed, and the range of the rest."""
    terms, low = ix.linear(expr)
    high = low
    fixed: dict[Expr, int] = {}
    for atom, coefficient in terms.items():
        if has_load(atom) or any(ix.depends(atom, name) for name in moving):
            ends = [coefficient * end for end in ix.bounds(atom)]
            low, high = low + min(ends), high + max(ends)
        else:
            fixed[atom] = coefficient
    return ix.from_linear(fixed, 0), low, high


def _copy(source: Buffer, local: Buffer, window: _Window, taken: set[str], back: bool) -> Block:
    here: list[Expr] = []
    there: list[Expr] = []
    loops: list[Var] = []
    guard: Expr | None = None
    for axis, size in enumerate(window.shape):
        where = window.start[axis]
        if size != 1:
            loops.append(Var(fresh_name(taken, "c"), INDEX, size))
            here.append(loops[-1])
            where = ix.add(where, loops[-1])
        there.append(where)
        if not window.inside[axis]:
            guard = _both(guard, _inside(where, source.shape[axis]))
    if back:
        block: Block = (Store(source, tuple(there), Load(local, tuple(here))),)
        block = block if guard is None else (If(guard, block),)
    else:
        block = (Store(local, tuple(here), Load(source, tuple(there), guard)),)
    for var in reversed(loops):
        block = (loop(var, block),)
    return block


def _inside(where: Expr, size: int) -> Expr:
    low, high = ix.bounds(where)
    above: Expr | None = None if low >= 0 else Binary("ge", where, ix.ZERO)
    if high < size and above is not None:
        return above
    return _both(above, Binary("lt", where, ix.const(size)))


def _both(a: Expr | None, b: Expr) -> Expr:
    return b if a is None else Binary("and", a, b)


def _check_copies_apart(kernel: Kernel, name: str) -> None:
    # Copying back stores whole windows, which may overlap where the single stores did not.
    staged = find_loop(kernel, name)
    for around in (*loops_around(kernel, staged), staged):
        problem = carried_dependence(around) if around.kind in _TOGETHER else None
        if problem is not None:
            refuse(kernel, staged, f"cannot copy back: {problem}")
