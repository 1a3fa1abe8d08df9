"""Rules for sums with updates of zeros, which gradients of slices are."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.passes.facts import is_number
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, Rule


def add_box(rewriter: Rewriter, op: Op) -> Replacement:
    """x + update(0, u, at) = update(x, slice(x, at) + u, at): only the box is touched."""
    x, y = op.operands
    found = _box_in_zeros(rewriter, y)
    if found is None:
        x, found = y, _box_in_zeros(rewriter, x)
    if found is None:
        return None
    update, starts = found
    part = shorthand.dynamic_slice(rewriter, x, starts, update.type.shape)
    total = rewriter.one("add", (part, update))
    return shorthand.dynamic_update_slice(rewriter, x, total, starts)


def _box_in_zeros(rewriter: Rewriter, value: Value) -> tuple[Value, Sequence[Value]] | None:
    op = rewriter.producer(value, "dynamic_update_slice")
    if op is None or not rewriter.has_one_use(value):
        return None
    zeros, update, *starts = op.operands
    return (update, starts) if is_number(rewriter.splat(zeros), 0.0) else None


RULES: dict[str, Sequence[Rule]] = {"add": (add_box,)}
