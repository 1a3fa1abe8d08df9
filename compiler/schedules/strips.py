"""Walking a dim in vector strips: a main part, left-over vectors, and a partial last vector."""

from __future__ import annotations

from collections.abc import Callable

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import INDEX, Binary, Const, Expr
from tensorkiln.compiler.kernel.stmt import LoopKind
from tensorkiln.compiler.lower.body import Body

# visit(unrolled copy number, index along the dim, condition or None)
Visit = Callable[[int, Expr, Expr | None], None]


def strips(body: Body, extent: int, lanes: int, unroll: int, visit: Visit) -> None:
    """Calls `visit` so that it covers 0..extent once, `unroll` vectors of `lanes` at a time.

    `visit(copy, index, condition)` emits one vector's work: `copy` tells which of the unrolled
    copies it is (for accumulators), `index` depends on the lane, and `condition`, if there is one,
    says which lanes exist.
    """
    step = lanes * unroll
    blocks = extent // step
    if blocks:
        with body.over(blocks) as block:
            _unrolled(body, ix.mul(block, step), lanes, unroll, visit)
    tail_strips(body, extent, blocks * step, lanes, unroll, visit)


def tail_strips(body: Body, extent: int, start: int, lanes: int, unroll: int, visit: Visit) -> None:
    """The part of `strips` from `start` on: whole vectors, then a partial one."""
    vectors = (extent - start) // lanes
    if vectors:
        _unrolled(body, ix.const(start), lanes, vectors, visit)
    done = start + vectors * lanes
    if done < extent:
        _partial(body, done, extent - done, lanes, visit)


def _unrolled(body: Body, base: Expr, lanes: int, copies: int, visit: Visit) -> None:
    for copy in range(copies):
        with body.over(lanes, LoopKind.VECTOR, "l") as lane:
            visit(copy, ix.add(ix.add(base, ix.const(copy * lanes)), lane), None)


def _partial(body: Body, start: int, count: int, lanes: int, visit: Visit) -> None:
    if count == 1:  # a scalar: no mask needed; a block of its own all the same
        with body.over(1, LoopKind.VECTOR, "l"):
            visit(0, ix.const(start), None)
        return
    # The variable's extent says which lanes matter, so that indices simplify for those.
    with body.between(ix.ZERO, ix.const(lanes), count, LoopKind.VECTOR) as lane:
        exists = Binary("lt", lane, Const(count, INDEX))
        visit(0, ix.add(lane, ix.const(start)), exists)
