"""Register tiles of a recurrence's products, and how its weights lie.

A tile is some rows of the batch by all gates of a panel of units, so that a cell has its whole
product in registers when it is done.  A weight lies panel after panel, in each the contracted
units, their gates, and the panel's units: in the order in which a step reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.layout import Layout
from tensorkiln.compiler.ops.recurrent_parts import parts_of

PART_BYTES = 20 << 10  # of a weight's panel, to stay in the nearest cache beside the states
BLOCK_TILES = 8
CHAINS = 8  # sums that must be under way to keep multiply-add units busy


@dataclass(frozen=True, slots=True)
class RecurrentTile:
    """Rows of the batch by vectors of units, all gates of them."""

    rows: int
    vectors: int
    lanes: int
    block_rows: int  # rows that share a part of a panel while it is in the nearest cache
    depth: int  # contracted units of such a part

    @property
    def columns(self) -> int:
        """Units of a panel."""
        return self.vectors * self.lanes


def recurrent_tile(op: Op, phase: int, target: Target) -> RecurrentTile:
    """The tile of a phase; one without a product takes a vector of one row at a time."""
    batch, units = op.results[0].shape[1:]
    lanes = target.lanes(op.results[0].dtype.bits)
    gates = parts_of(op).product_gates(phase)
    panels = -(-units // lanes)
    if gates == 0:
        return RecurrentTile(1, 1, lanes, max(1, min(batch, 64)), 1)
    vectors = max(1, min(panels, CHAINS // (gates * max(1, min(batch, CHAINS)))))
    if gates == 1 and batch >= CHAINS:
        vectors = min(2, panels)
    most = max(1, (target.registers - 1) // (gates * vectors) - 1)
    rows = _even(batch, most)
    depth = PART_BYTES // (gates * vectors * lanes * op.results[0].dtype.bytes)
    depth = max(units, 1) if rows == batch else _even(units, max(depth, 1))
    return RecurrentTile(rows, vectors, lanes, _even(batch, BLOCK_TILES * rows), depth)


def _even(extent: int, most: int) -> int:
    """The size of as few equal parts of at most `most` as make up the extent."""
    return -(-extent // -(-extent // most)) if extent else 1


def recurrent_layouts(
    op: Op, producers: Mapping[Value, Op], target: Target
) -> Mapping[Value, Layout]:
    """The layout of each weight of a recurrence."""
    found: dict[Value, Layout] = {}
    for phase, weight in enumerate(parts_of(op).weights):
        if weight is not None:
            tile = recurrent_tile(op, phase, target)
            found[weight] = Layout((3, 0, 1, 2), ((3, tile.columns),))
    return found
