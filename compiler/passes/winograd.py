"""3x3 convolutions with constant kernels by Winograd's minimal filtering, a quarter of the products."""

from __future__ import annotations

import math

from tensorkiln.compiler.ir.dims import is_static
from tensorkiln.compiler.ir.function import Function, Op
from tensorkiln.compiler.ops.checks import op_pairs
from tensorkiln.compiler.ops.winograd import tile_grid
from tensorkiln.compiler.ops.winograd_matrices import POINTS, TAPS, transformed_filter
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, rewrite

_FEWEST_CHANNELS = 32  # below this the transforms cost what the products save
_FEWEST_TILES = 9  # whose products take longer than fetching the four times larger weights
_MOST_WORK = 0.6  # share of the direct form's products that makes up for the transforms


def winograd(function: Function) -> Function:
    """Writes 3x3 convolutions of stride 1 as 36 matrix multiplies of transformed tiles.

        %1 = convolution(%x, %k) {padding = ((1, 1), (1, 1)), strides = (1, 1), ...}

            ->    %2 = winograd_input(%x) {padding = ((1, 1), (1, 1)), spec = (0, 1, 2, 3)}
                  %3 = constant() {value = f32[36, 64, 64] ...}
                  %4 = dot_general(%2, %3) {lhs_batch = (0), rhs_batch = (0), ...}
                  %1 = winograd_output(%4) {shape = (1, 64, 56, 56), spec = (0, 1, 2, 3)}

    Only where the kernel is constant, for f32, one group, no dilation, enough channels, and enough
    tiles to share the weights, which become four times as many.  Not exact: the error against f64
    stays within four times the direct form's, and an infinity or NaN of the input spreads over its
    tile of 4x4 results.
    """
    return rewrite(function, {"convolution": (_tiles,)})


def _tiles(rewriter: Rewriter, op: Op) -> Replacement:
    x, kernel = op.operands
    weights = rewriter.literal(kernel)
    if weights is None or not _fits(op):
        return None
    spec, out = op.ints("lhs_spec"), op.ints("out_spec")
    left = rewriter.one("winograd_input", (x,), padding=op_pairs(op, "padding"), spec=spec)
    right = rewriter.constant(transformed_filter(weights.transpose(op.ints("rhs_spec"))))
    product = rewriter.one(
        "dot_general",
        (left, right),
        lhs_batch=(0,),
        rhs_batch=(0,),
        lhs_contracting=(2,),
        rhs_contracting=(1,),
    )
    return (rewriter.one("winograd_output", (product,), shape=op.result.shape, spec=out),)


def _fits(op: Op) -> bool:
    (x, kernel), out = op.operands, op.ints("out_spec")
    if x.type.rank != 4 or not is_static(x.type.shape) or op.result.dtype.name != "f32":
        return False
    outputs, inputs, *window = (kernel.shape[d] for d in op.ints("rhs_spec"))
    names = ("strides", "lhs_dilation", "rhs_dilation", "feature_groups", "batch_groups")
    plain = all(op.attributes[name] in (1, (1, 1)) for name in names)
    padded = all(min(pair) >= 0 for pair in op_pairs(op, "padding"))
    if window != [TAPS, TAPS] or not plain or not padded or any(op.ints("reversal")):
        return False
    batch, _, *space = (op.result.shape[d] for d in out)
    if min(inputs, outputs) < _FEWEST_CHANNELS or 0 in (batch, *space):
        return False
    tiles = batch * math.prod(tile_grid(space))
    work = tiles * POINTS * POINTS / (batch * math.prod(space) * TAPS * TAPS)
    return tiles >= _FEWEST_TILES and work <= _MOST_WORK
