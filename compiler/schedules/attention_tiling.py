"""Tiles and blocks of attention, from the target's registers and its nearest cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.layout import Layout

_BY_HEAD = (0, 2, 1, 3)
KEYS = 256  # keys of a block; up to so many, a query's scores are made at once
SCORE_BYTES = 1 << 15  # scores of a block of queries by a block of keys
BLOCK_BYTES = 1 << 17  # all that a block of queries needs, on the stack of whoever computes it


@dataclass(frozen=True, slots=True)
class AttentionTile:
    """Register tiles are `rows` queries by `vectors` vectors, of keys or of the result's width.

    `tiles` of them make a block of queries, `panels` panels of keys a block of keys.
    """

    rows: int
    vectors: int
    lanes: int
    tiles: int
    panels: int

    @property
    def columns(self) -> int:
        """Keys of a panel."""
        return self.vectors * self.lanes

    @property
    def queries(self) -> int:
        """Queries of a block."""
        return self.rows * self.tiles

    @property
    def keys(self) -> int:
        """Keys of a block."""
        return self.columns * self.panels


def attention_tile(op: Op, target: Target) -> AttentionTile:
    """The tile of an attention."""
    queries, keys = op.operands[0].shape[1], op.operands[1].shape[1]
    lanes = target.lanes(op.result.dtype.bits)
    vectors = 2 if keys > lanes else 1
    panels = _even(-(-keys // (vectors * lanes)), KEYS // (vectors * lanes))
    scores = panels * vectors * lanes * op.result.dtype.bytes
    whole = scores + (op.operands[0].shape[3] + op.result.shape[3]) * op.result.dtype.bytes
    most = max(1, min(14, (target.registers - vectors - 2) // vectors, BLOCK_BYTES // whole))
    rows = _even(queries, most)
    blocks = min(SCORE_BYTES // (rows * scores), BLOCK_BYTES // (rows * whole))
    tiles = _even(-(-queries // rows), max(1, blocks))
    return AttentionTile(rows, vectors, lanes, tiles, panels)


def attention_layouts(op: Op, producers: Mapping[Value, Op], target: Target) -> dict[Value, Layout]:
    """Keys lie in panels, so that lanes are keys, and values head by head.

    Keys: batch, head, panel, depth, key in the panel.  Rows of values that are whole heads apart
    would meet in few sets of the nearest cache; those that come turned from that order stay.
    """
    tile = attention_tile(op, target)
    _, k, v = op.operands[:3]
    found = {k: Layout(_BY_HEAD, ((1, tile.columns),))}
    made = producers.get(v)
    turned = made is not None and made.name == "transpose" and made.ints("permutation") == _BY_HEAD
    if not turned and v.shape[2] > 1:
        found[v] = Layout(_BY_HEAD)
    return found


def _even(extent: int, most: int) -> int:
    """The size of as few equal parts of at most `most` as make up the extent."""
    return -(-extent // -(-extent // most)) if extent else 1
