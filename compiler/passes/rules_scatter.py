"""Rules of canonicalize for scatters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.gather import per_entry
from tensorkiln.compiler.ops.gather_dims import scatter_map
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, Rule


def chosen_scatter(rewriter: Rewriter, op: Op) -> Replacement:
    """p ? scatter(x, i, u) : x  =  scatter(x, p ? i : outside, u) for one p.

    An update outside of the operand is skipped.  So an update that happens on a condition touches
    only what it changes, instead of all of `x`; likewise for several scatters into `x`.
    """
    condition, on_true, on_false = op.operands
    flag = _one_flag(rewriter, condition)
    scatter = rewriter.producer(on_true, "scatter")
    if flag is None or scatter is None or not rewriter.has_one_use(on_true):
        return None
    index_map = scatter_map(scatter.attributes)
    if not index_map.mapped or not _leads_to(rewriter, scatter.operands[0], on_false):
        return None
    x, indices, updates = scatter.operands
    limits = [x.shape[axis] for axis in index_map.mapped]
    if max(limits) > np.iinfo(indices.dtype.numpy.str).max:
        return None
    outside = per_entry(rewriter, indices, limits, index_map.vector)
    if x is not on_false:
        x = shorthand.select(rewriter, flag, x, on_false)
    places = shorthand.select(rewriter, flag, indices, outside)
    (found,) = rewriter.op("scatter", (x, places, updates), scatter.attributes)
    return found


def _one_flag(rewriter: Rewriter, condition: Value) -> Value | None:
    """The scalar that a condition repeats."""
    if condition.type.rank == 0:
        return condition
    op = rewriter.producer(condition, "broadcast_in_dim")
    return None if op is None or op.operands[0].type.rank else op.operands[0]


def _leads_to(rewriter: Rewriter, value: Value, base: Value) -> bool:
    """True if `value` is `base` or a scatter into it, used nowhere else."""
    if value is base:
        return True
    op = rewriter.producer(value, "scatter")
    once = op is not None and rewriter.has_one_use(value)
    return once and op is not None and _leads_to(rewriter, op.operands[0], base)


RULES: dict[str, Sequence[Rule]] = {"select": (chosen_scatter,)}
