"""Ops that bring their own loops (scatter, random bits): the record's build, made a kernel.

Innermost loops get lanes by the checked rewrites; where a check refuses, a loop stays serial.
"""

from __future__ import annotations

from collections.abc import Iterator

from tensorkiln.compiler.kernel.expr import Const
from tensorkiln.compiler.kernel.rewrite_bind import bind
from tensorkiln.compiler.kernel.rewrite_split import split
from tensorkiln.compiler.kernel.stmt import Block, For, If, Kernel, LoopKind, walk
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Loops
from tensorkiln.compiler.schedules.group import Group
from tensorkiln.runtime.errors import RewriteError

SHORTEST = 4  # loops of fewer iterations are not worth a masked vector


def schedule_custom(group: Group, target: Target) -> Kernel:
    """The kernel of a group that is one op with a Loops lowering."""
    (op,) = [op for op in group.region.ops if op.name != "constant"]
    lowering = REGISTRY[op.name].lowering
    assert isinstance(lowering, Loops)
    body = group.body()
    # A result nobody reads still needs memory to be written to; region results are all of them.
    body.places.update(zip(group.region.results, group.outputs, strict=True))
    body.current_op = op
    lowering.build(body, op)
    return with_lanes(group.kernel(body), group.lanes(target.vector_bits))


def with_lanes(kernel: Kernel, lanes: int) -> Kernel:
    """`kernel` with every innermost serial loop that may run in lanes split into vectors.

    for i in 0..100 { y[i] = x[i] }   ->   for i in 0..7 { vector l in 0..16 {
                                               if 16*i + l < 100 { y[16*i + l] = ... } } }
    """
    for name in list(_innermost(kernel.body)):
        try:
            kernel = bind(split(kernel, name, lanes, "guard"), f"{name}_inner", LoopKind.VECTOR)
        except RewriteError:
            continue
    return kernel


def _innermost(block: Block) -> Iterator[str]:
    for stmt in block:
        if isinstance(stmt, If):
            yield from _innermost(stmt.body)
        elif isinstance(stmt, For):
            if any(isinstance(inner, For) for inner in walk(stmt.body)):
                yield from _innermost(stmt.body)
            elif stmt.kind is LoopKind.SERIAL and _trips(stmt) >= SHORTEST:
                yield stmt.var.name


def _trips(loop: For) -> int:
    return (
        int(loop.stop.value)
        if isinstance(loop.stop, Const) and loop.start == Const(0, loop.stop.dtype)
        else 0
    )
