"""Constant factors a channel, folded into weights; to be asked for."""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.ir.function import Function, Op
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.passes.channels import per_channel, scaled
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, until_stable


def fold_scales(function: Function) -> Function:
    """Folds a multiplication by constants a channel into the weights of what it multiplies.

        %1 = convolution(%x, %w) {...}
        %2 = broadcast_in_dim(%c) {dimensions = (1), ...}    ->    %2 = constant() {w * c}
        %3 = multiply(%1, %2)                                      %3 = convolution(%x, %2) {...}

    Where a bias was added in between, the factor goes into both.  A reassociation: results differ
    by the rounding of the weights.  Expects canonical form.
    """
    return until_stable(function, {"multiply": (_into_weights,)})


def _into_weights(rewriter: Rewriter, op: Op) -> Replacement:
    x, y = op.operands
    if not x.dtype.is_float:
        return None
    for axis in range(x.type.rank):
        factor = per_channel(rewriter, y, axis)
        if factor is None:
            continue
        found = scaled(rewriter, x, axis, factor)
        if found is not None:
            return found
        added = rewriter.producer(x, "add")
        bias = None if added is None else per_channel(rewriter, added.operands[1], axis)
        if added is None or bias is None or not rewriter.has_one_use(x):
            continue
        found = scaled(rewriter, added.operands[0], axis, factor)
        if found is not None:
            shift = (bias.astype(np.float64) * factor.astype(np.float64)).astype(bias.dtype)
            spread = shorthand.broadcast_in_dim(
                rewriter, rewriter.keep(shift), x.type.shape, (axis,)
            )
            return rewriter.one("add", (found, spread))
    return None
