"""Rules for sums with updates of zeros and with padded boxes, which gradients of slices are."""

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


def pads_side_by_side(rewriter: Rewriter, op: Op) -> Replacement:
    """pad(a, after) + pad(b, before) = concatenate(a, b): parts that cover the whole, once."""
    parts = sorted(_padded_parts(rewriter, op), key=lambda part: part[1])
    axes = {axis for _, _, axis in parts}
    if len(parts) < 2 or len(axes) != 1:
        return None
    (axis,) = axes
    end = 0
    for box, low, _ in parts:
        size = box.type.shape[axis]
        if low != end or not isinstance(size, int):
            return None
        end += size
    if end != op.result.type.shape[axis]:
        return None
    return rewriter.one("concatenate", tuple(box for box, _, _ in parts), dimension=axis)


def _padded_parts(rewriter: Rewriter, op: Op) -> list[tuple[Value, int, int]]:
    """(box, place, axis) of the pads of zeros along one axis that `op` sums; empty if others."""
    parts: list[tuple[Value, int, int]] = []
    pending = list(op.operands)
    while pending:
        value = pending.pop()
        if not rewriter.has_one_use(value):
            return []
        inner = rewriter.producer(value)
        if inner is not None and inner.name == "add":
            pending.extend(inner.operands)
            continue
        part = _padded_part(rewriter, inner)
        if part is None:
            return []
        parts.append(part)
    return parts


def _padded_part(rewriter: Rewriter, op: Op | None) -> tuple[Value, int, int] | None:
    if op is None or op.name != "pad" or not is_number(rewriter.splat(op.operands[1]), 0.0):
        return None
    low, high = op.ints("low"), op.ints("high")
    axes = [axis for axis in range(len(low)) if low[axis] or high[axis]]
    if len(axes) != 1 or any(op.ints("interior")) or min(*low, *high) < 0:
        return None
    (axis,) = axes
    return op.operands[0], low[axis], axis


RULES: dict[str, Sequence[Rule]] = {"add": (add_box, pads_side_by_side)}
