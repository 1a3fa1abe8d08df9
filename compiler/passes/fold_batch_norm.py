"""Batch normalisation at inference, folded into weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.passes.channels import constant_array, per_channel, scaled
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, rewrite


def fold_batch_norm(function: Function) -> Function:
    """Folds batch_norm_inference after a convolution or product into weights and a bias.

        %1 = convolution(%x, %w) {...}                         %3 = constant() {w * f}
        %2 = batch_norm_inference(%1, %scale, %offset,         %1 = convolution(%x, %3) {...}
                                  %mean, %variance)      ->    %4 = constant() {offset - mean * f}
                                                               %5 = broadcast_in_dim(%4) {...}
                                                               %2 = add(%1, %5)

    with f = scale / sqrt(variance + epsilon), where weights and all four parameters are constants
    and only the normalisation reads the convolution; a constant bias in between goes into the new
    one.  A reassociation: results differ by the rounding of the weights.  Runs before
    expand_composites.
    """
    return rewrite(function, {"batch_norm_inference": (_fold,)})


def _fold(rewriter: Rewriter, op: Op) -> Replacement:
    x, *parameters = op.operands
    axis = op.integer("feature_index")
    known = [constant_array(rewriter, v) for v in parameters]
    wide = [a.astype(np.float64) for a in known if a is not None]
    if len(wide) < len(parameters):
        return None
    scale, offset, mean, variance = wide
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(variance + op.number("epsilon"))
    if not np.isfinite(factor).all():
        return None
    product, bias = _biased(rewriter, x, axis)
    normalised = scaled(rewriter, product, axis, factor)
    if normalised is None:
        return None
    shift = (offset + (bias - mean) * factor).astype(x.dtype.numpy)
    spread = shorthand.broadcast_in_dim(rewriter, rewriter.keep(shift), x.type.shape, (axis,))
    return rewriter.one("add", (normalised, spread))


def _biased(rewriter: Rewriter, x: Value, axis: int) -> tuple[Value, NDArray[np.float64]]:
    """The product that `x` is, and the constant that is added to each of its channels."""
    op = rewriter.producer(x, "add")
    if op is None or not rewriter.has_one_use(x):
        return x, np.zeros(())
    for product, other in (op.operands, op.operands[::-1]):
        bias = per_channel(rewriter, other, axis)
        if bias is not None:
            return product, bias.astype(np.float64)
    return x, np.zeros(())
