"""What a loop's body computes from what no trip changes: it is computed once, before the loop.

Passes have moved such ops out already; what is left are the copies in other layouts and orders that
kernels want of their operands, such as the packed weights of a recurrent net.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.lower.sharing import overlaid


@dataclass(frozen=True)
class Once:
    """A body whose first ops are those that need to run once only: `ops`, which make `values`."""

    function: Function
    ops: frozenset[Op]
    values: frozenset[Value]


def run_once(body: Function, invariants: Sequence[Value]) -> Once:
    """Finds the fusions that depend on `invariants` (parameters that no trip changes) and on
    constants only, and puts them first."""
    fixed = set(invariants)
    returned = _returned(body)
    first: list[Op] = []
    chosen: list[Op] = []
    for op in body.ops:
        if op.name not in ("fusion", "reshape", "constant") or overlaid(op):
            continue
        if not all(v in fixed for v in op.operands):
            continue
        # What is returned is written anew in every trip.
        if op.name == "fusion" and returned.intersection(op.results):
            continue
        fixed.update(op.results)
        first.append(op)
        if op.name == "fusion":
            chosen.append(op)
    if not chosen:
        return Once(body, frozenset(), frozenset())
    early = set(first)
    ops = (*first, *(op for op in body.ops if op not in early))
    values = frozenset(v for op in chosen for v in op.results)
    return Once(replace(body, ops=ops), frozenset(chosen), values)


def _returned(body: Function) -> set[Value]:
    """The results and what they are reshapes of."""
    found = set(body.results)
    for op in reversed(body.ops):
        if op.name == "reshape" and op.result in found:
            found.add(op.operands[0])
    return found
