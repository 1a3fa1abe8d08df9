"""unroll: a loop becomes copies of its body."""

from __future__ import annotations

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Const
from tensorkiln.compiler.kernel.rewrite import check_no_barrier, find_loop, refuse, replace_loop
from tensorkiln.compiler.kernel.stmt import Block, For, Kernel, LoopKind, Stmt
from tensorkiln.compiler.kernel.substitute import (
    bound_names,
    fresh_name,
    names_of,
    rename,
    substitute,
)  # fmt: skip

_MAX_COPIES = 256
_IN_ORDER = (LoopKind.SERIAL, LoopKind.UNROLLED, LoopKind.PARALLEL)


def unroll(kernel: Kernel, name: str) -> Kernel:
    """Writes out the iterations of a loop with constant bounds.

        for i in 0..2 {             let t: f32 = x[0]
          let t: f32 = x[i]         y[0] = t
          y[i] = t            ->    let t_1: f32 = x[1]
        }                           y[1] = t_1

    Lanes and threads run statement by statement together, so their loops are refused.
    """
    target = find_loop(kernel, name)
    if not (isinstance(target.start, Const) and isinstance(target.stop, Const)):
        refuse(kernel, target, "has bounds that are not constant")
    if target.kind not in _IN_ORDER:
        refuse(kernel, target, f"is a {target.kind.value} loop")
    check_no_barrier(kernel, target)
    values = range(int(target.start.value), int(target.stop.value), target.step)
    if len(values) > _MAX_COPIES:
        refuse(kernel, target, f"runs {len(values)} times, more than {_MAX_COPIES}")
    taken = names_of(kernel) - set(bound_names(target.body))

    def make(old: For) -> Block:
        copies: list[Stmt] = []
        for value in values:
            body = substitute(old.body, {name: ix.const(value)})
            own = dict.fromkeys(bound_names(body))
            copies += rename(body, {n: fresh_name(taken, n) for n in own})
        return tuple(copies)

    return replace_loop(kernel, target, make)
