"""Convolutions in the one form that kernels have."""

from __future__ import annotations

import math

import numpy as np

from tensorkiln.compiler.ir.dims import is_static
from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.checks import op_pairs
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, rewrite

_MOST_SUMS = 49  # elements of a channel's filter that become a sum each


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
    A filter gradient of a depthwise convolution (as many batch groups as there are images and
    output features) becomes a sum of products for each element of a channel's filter.

    Afterwards padding is zero, lhs_dilation 1, reversal 0 and batch_groups 1 everywhere.  Exact,
    but for the order of summation and products of padding with infinite or NaN weights.
    """
    return rewrite(function, {"convolution": (_pad, _reverse, _depthwise_sums, _group_features)})


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


def _depthwise_sums(rewriter: Rewriter, op: Op) -> Replacement:
    # With one image and one output feature a group, result[c, k] = sum of x[c, :, k + w] g[c, :, w]:
    # channels stay where they lie, which may be innermost, and vectors run along them.
    (x, g), groups = op.operands, op.integer("batch_groups")
    left, right, out = (op.ints(name) for name in ("lhs_spec", "rhs_spec", "out_spec"))
    shapes = (x.type.shape, g.type.shape, op.result.type.shape)
    if not all(map(is_static, shapes)) or op.result.dtype.bits < 32 or groups == 1:
        return None
    space, window = [op.result.shape[d] for d in out[2:]], [g.shape[d] for d in right[2:]]
    alone = x.shape[left[0]] == g.shape[right[0]] == groups and op.integer("feature_groups") == 1
    if not alone or math.prod(space) > min(_MOST_SUMS, math.prod(window)):
        return None
    order = [right[left.index(d)] for d in range(x.type.rank)]
    factor = shorthand.transpose(rewriter, g, order)
    strides = list(zip(left[2:], window, op.ints("strides"), op.ints("rhs_dilation"), strict=True))
    sums: list[Value] = []
    for place in np.ndindex(*space):
        start, limit, steps = [0] * x.type.rank, list(x.shape), [1] * x.type.rank
        for k, (axis, taps, stride, dilation) in zip(place, strides, strict=True):
            start[axis], steps[axis] = k * stride, dilation
            limit[axis] = start[axis] + (taps - 1) * dilation + 1
        part = rewriter.one(
            "slice", (x,), start=tuple(start), limit=tuple(limit), strides=tuple(steps)
        )
        product = rewriter.one("multiply", (part, factor))
        folded = [d for d in range(x.type.rank) if d != left[0]]
        sums.append(
            shorthand.reshape(
                rewriter, shorthand.reduce(rewriter, product, "add", folded), (1, groups)
            )
        )
    joined = shorthand.concat(rewriter, sums, 0) if len(sums) > 1 else sums[0]
    ordered = shorthand.reshape(rewriter, joined, (*space, 1, groups))
    places = {d: k for k, d in enumerate((*out[2:], out[0], out[1]))}
    return shorthand.transpose(rewriter, ordered, [places[d] for d in range(len(out))])


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
