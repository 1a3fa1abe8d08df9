"""Tiles of matrix multiplies that a call of a range computes.

A panel of the right operand is fetched from the outer caches by the tiles of the panel before it,
each its share. At capacity there may be many; the shares must be those of tiles that are there:
those of the call where all tiles follow each other, else those that every call has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from tensorkiln.compiler.ir.dims import Dim, substitute
from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.demand_rules import Need
from tensorkiln.compiler.schedules.tiling import FewRows, Tiling, Turns, few_rows_tiles
from tensorkiln.compiler.schedules.transfer import size_expr
from tensorkiln.compiler.sizes.factors import Factor, is_open
from tensorkiln.compiler.sizes.factors import prefix as first_places


def sure_tiles(
    op: Op,
    tiling: Tiling,
    target: Target,
    wanted: Mapping[Value, Need],
    capacities: Mapping[str, int],
    least: Mapping[str, int],
) -> Tiling:
    """The tiling of a contraction with its number of tiles, or the turns they take at `least`."""
    (result, *_) = op.results
    need = wanted.get(result)
    if need is None or len(need) < 2 or not is_open(need[-2]):
        return tiling
    rows = need[-2]
    *outer, inner = rows
    if not outer:
        tiling = _with_few_rows(op, tiling, target, inner, capacities, least)
    if outer and inner.size % tiling.rows:
        outer, inner = [], first_places(rows)
    if not outer:
        rows_up = ix.add(size_expr(inner.extent, capacities), ix.const(tiling.rows - 1))
        return replace(tiling, tiles=ix.floordiv(rows_up, tiling.rows))
    size = -(-inner.size // tiling.rows)
    used = -(-_at(inner.extent, least) // tiling.rows)
    rounds = math.prod(_at(factor.extent, least) for factor in outer)
    return replace(tiling, turns=Turns(max(rounds, 1), size, min(max(used, 1), size)))


def _with_few_rows(
    op: Op,
    tiling: Tiling,
    target: Target,
    rows: Factor,
    capacities: Mapping[str, int],
    least: Mapping[str, int],
) -> Tiling:
    """The tiling with tiles for few rows, if there are calls that have so few.

    Wide tiles read several panels of weights side by side, which memory serves faster.
    """
    blocks = -(-rows.size // (tiling.rows * tiling.block_tiles))
    plain = tiling.pack_right and not tiling.staged and not tiling.panels_staged
    (product,) = (inner for inner in op.regions[0].ops if inner.name == "dot_general")
    if blocks > 1 or not plain or product.ints("rhs_batch"):
        return tiling
    tiles = few_rows_tiles(product, tiling, target, _at(rows.extent, least))
    if not tiles:
        return tiling
    return replace(tiling, few=FewRows(size_expr(rows.extent, capacities), tiles))


def _at(extent: Dim, least: Mapping[str, int]) -> int:
    size = substitute(extent, least)
    return size if isinstance(size, int) else 1
