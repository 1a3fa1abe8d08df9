"""Convolutions in the one form that kernels have."""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.ir.function import Function, Op
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.checks import op_pairs
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, rewrite


def legalize_convolution(function: Function) -> Function:
    """Leaves convolutions strides, kernel dilation, feature groups and dimension numbers only.

        %1 = convolution(%x, %k) {padding = ((1, 1)), lhs_dilation = (2), reversal = (1), ...}

            ->    %2 = constant() {value = f32[] 0.0}
                  %3 = pad(%x, %2) {low = (0, 0, 1), high = (0, 0, 1), interior = (0, 0, 1)}
                  %4 = reverse(%k) {dimensions = (2)}
                  %1 = convolution(%3, %4) {padding = ((0, 0)), lhs_dilation = (1),
                                            reversal = (0), ...}

    Padding and input dilation become a pad, reversal becomes a reverse of the kernel (which folds
    where the kernel is constant), and batch groups become feature groups of a reshaped input.
    Afterwards padding is zero, lhs_dilation 1, reversal 0 and batch_groups 1 everywhere.  Exact,
    but for the order of summation and products of padding with infinite or NaN weights.
    """
    return rewrite(function, {"convolution": (_pad, _reverse, _group_features)})


def _pad(rewriter: Rewriter, op: Op) -> Replacement:
    (x, kernel), spec = op.operands, op.ints("lhs_spec")
    padding, dilations = op_pairs(op, "padding"), op.ints("lhs_dilation")
    if not any(low or high for low, high in padding) and all(d == 1 for d in dilations):
        return None
    low, high, interior = ([0] * x.type.rank for _ in range(3))
    for axis, (before, after), dilation in zip(spec[2:], padding, dilations, strict=True):
        low[axis], high[axis], interior[axis] = before, after, dilation - 1
    zero = rewriter.constant(np.zeros((), x.dtype.numpy))
    padded = shorthand.pad(rewriter, x, low, high, interior, zero)
    attributes = {
        **op.attributes,
        "padding": ((0, 0),) * len(padding),
        "lhs_dilation": (1,) * len(dilations),
    }
    return rewriter.op(op.name, (padded, kernel), attributes)


def _reverse(rewriter: Rewriter, op: Op) -> Replacement:
    (x, kernel), reversal = op.operands, op.ints("reversal")
    if not any(reversal):
        return None
    spatial = op.ints("rhs_spec")[2:]
    flipped = [axis for axis, flip in zip(spatial, reversal, strict=True) if flip]
    attributes = {**op.attributes, "reversal": (0,) * len(reversal)}
    return rewriter.op(op.name, (x, shorthand.reverse(rewriter, kernel, flipped)), attributes)


def _group_features(rewriter: Rewriter, op: Op) -> Replacement:
    # Group g of the output's features is made of group g of the batch: what was (group, batch),
    # feature becomes batch, (group, feature), and feature groups do the rest.
    (x, kernel), groups = op.operands, op.integer("batch_groups")
    if groups == 1:
        return None
    ordered = shorthand.transpose(rewriter, x, op.ints("lhs_spec"))
    batch, features, *spatial = ordered.shape
    split = shorthand.reshape(rewriter, ordered, (groups, batch // groups, features, *spatial))
    turned = shorthand.transpose(rewriter, split, (1, 0, *range(2, split.type.rank)))
    shape = (batch // groups, groups * features, *spatial)
    attributes = {
        **op.attributes,
        "lhs_spec": tuple(range(x.type.rank)),
        "feature_groups": groups,
        "batch_groups": 1,
    }
    joined = shorthand.reshape(rewriter, turned, shape)
    return rewriter.op(op.name, (joined, kernel), attributes)
