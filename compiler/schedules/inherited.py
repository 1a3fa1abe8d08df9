"""Layouts that pointwise groups, windows and what moves elements take over from their operands."""

from __future__ import annotations

from collections.abc import Mapping

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.lower.layout import Layout

_LOCAL = frozenset(("pad", "slice", "concatenate", "reduce_window"))


def inherited_layout(
    op: Op, layouts: Mapping[Value, Layout], crossed: Mapping[Value, frozenset[int]]
) -> Layout | None:
    """The layout that a fusion's results take over from an operand, if there is one.

    Pointwise groups follow an operand of their shape; windows, padding, slices and concatenation
    follow any operand of their rank, where the blocks divide. Results whose blocks windows would
    cross (`crossed_dims`) keep the order of dims, with the blocked one whole and innermost.
    """
    if op.string("kind") not in ("loops", "reduce", "concatenate"):
        return None
    result = op.results[0]
    local = any(o.name in _LOCAL for o in op.regions[0].ops)
    # What lies whole for a window's sake is followed only where nothing else is.
    for operand in sorted(
        op.operands, key=lambda v: _crossed_whole(layouts.get(v), crossed.get(v))
    ):
        layout = layouts.get(operand)
        if layout is None or operand.type.rank != result.type.rank:
            continue
        same = operand.shape == result.shape
        divides = all(v.shape[d] % size == 0 for d, size in layout.blocks for v in op.results)
        if (same or local) and divides:
            across = frozenset.intersection(*(crossed.get(v, frozenset()) for v in op.results))
            return _whole(layout, across)
    return None


def crossed_dims(function: Function) -> Mapping[Value, frozenset[int]]:
    """The dims along which windows slide, of values that groups of windows read.

    In blocks, the places of such a window lie in two blocks for most lanes: gathers.
    """
    found: dict[Value, frozenset[int]] = {}
    for op in function.ops:
        if op.name != "fusion" or op.string("kind") != "reduce":
            continue
        (region,) = op.regions
        for inner in (o for o in region.ops if o.name == "reduce_window"):
            dims = frozenset(d for d, size in enumerate(inner.ints("window")) if size > 1)
            for parameter, value in zip(region.parameters, op.operands, strict=True):
                if parameter is inner.operands[0] and dims:
                    found[value] = found.get(value, frozenset()) | dims
    return found


def _crossed_whole(layout: Layout | None, across: frozenset[int] | None) -> bool:
    return layout is not None and not layout.blocks and layout.order[-1] in (across or ())


def _whole(layout: Layout, across: frozenset[int]) -> Layout:
    blocked = tuple(d for d, _ in layout.blocks)
    if len(blocked) != 1 or blocked[0] not in across:
        return layout
    return Layout((*(d for d in layout.order if d != blocked[0]), blocked[0]))
