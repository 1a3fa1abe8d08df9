"""bind: says who runs the iterations of a loop."""

from __future__ import annotations

from dataclasses import replace

from tensorkiln.compiler.kernel.dependence import carried_dependence
from tensorkiln.compiler.kernel.rewrite import check_no_barrier, find_loop, refuse, replace_loop
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind

_IN_ORDER = (LoopKind.SERIAL, LoopKind.UNROLLED)


def bind(kernel: Kernel, name: str, kind: LoopKind | str) -> Kernel:
    """Changes the kind of a loop.

        for i in 0..8 {             parallel i in 0..8 {
          y[i] = x[i]        ->       y[i] = x[i]
        }                           }

    Between serial and unrolled that is always right; to or from a kind whose iterations run at the
    same time, the iterations must not touch each other's memory.  The kernel's invariants say what
    else a kind needs (a vector loop runs from 0 by 1 to a constant, for one).
    """
    target = find_loop(kernel, name)
    kind = LoopKind(kind)
    if target.kind not in _IN_ORDER or kind not in _IN_ORDER:
        check_no_barrier(kernel, target)
        problem = carried_dependence(target)
        if problem is not None:
            refuse(kernel, target, f"cannot become {kind.value}: {problem}")
    return replace_loop(kernel, target, lambda old: (replace(old, kind=kind),))
