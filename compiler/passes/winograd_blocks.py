"""Winograd convolutions as one op, where a task can do all three steps for some tiles."""

from __future__ import annotations

from tensorkiln.compiler.ir.function import Function, Op
from tensorkiln.compiler.ops.checks import op_pairs
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, rewrite

_MOST_WEIGHTS = 3 << 20  # bytes: more would come from memory for each block of tiles
_TIMES = 6  # that what the steps hand on must be larger than the weights


def winograd_blocks(function: Function) -> Function:
    """Joins the three steps of a Winograd convolution whose weights are small beside the image.

        %2 = winograd_input(%x) {padding = ((1, 1), (1, 1)), spec = (0, 1, 2, 3)}
        %4 = dot_general(%2, %3) {lhs_batch = (0), rhs_batch = (0), ...}
        %1 = winograd_output(%4) {shape = (1, 64, 56, 56), spec = (0, 1, 2, 3)}

            ->    %1 = winograd_convolution(%x, %3) {padding = ((1, 1), (1, 1)), ...}

    Needs what `winograd` made of convolutions.  The result has the same meaning; products are
    summed up in another order of the same length.  Its kernel reads the weights once for every
    block of tiles and keeps tiles and products in a near cache, so this is done where these are
    several times as large as the weights.
    """
    return rewrite(function, {"winograd_output": (_joined,)})


def _joined(rewriter: Rewriter, op: Op) -> Replacement:
    product = rewriter.producer(op.operands[0], "dot_general")
    tiles = None if product is None else rewriter.producer(product.operands[0], "winograd_input")
    if product is None or tiles is None or not _pays(tiles, product):
        return None
    joined = rewriter.one(
        "winograd_convolution",
        (tiles.operands[0], product.operands[1]),
        padding=op_pairs(tiles, "padding"),
        spec=tiles.ints("spec"),
        out_spec=op.ints("spec"),
    )
    return (joined,)


def _pays(tiles: Op, product: Op) -> bool:
    weights = product.operands[1].type.bytes
    handed_on = tiles.result.type.bytes + product.result.type.bytes
    return weights <= _MOST_WEIGHTS and _TIMES * weights <= handed_on
