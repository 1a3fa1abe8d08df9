"""Rules of canonicalize for reductions and for empty tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.passes.rewriting import ANY, Replacement, Rewriter, Rule, static

# Folding in two steps gives the bits that folding in one gives.
EXACT_REDUCERS = ("maximum", "minimum", "and", "or")


def reduce_ones(rewriter: Rewriter, op: Op) -> Replacement:
    """Folding over no dims, or over a dim of size 1, only drops the dim."""
    (x,), dimensions = op.operands, op.ints("dimensions")
    folded = [axis for axis in dimensions if x.type.shape[axis] != 1]
    if len(folded) == len(dimensions) and folded:
        return None
    ones = [axis for axis in dimensions if axis not in folded]
    dropped = shorthand.squeeze(rewriter, x, ones)
    places = [axis - sum(one < axis for one in ones) for axis in folded]
    return shorthand.reduce(rewriter, dropped, op.string("reducer"), places)


def reduce_of_reduce(rewriter: Rewriter, op: Op) -> Replacement:
    """Two foldings by one exact reducer are one."""
    reducer = op.string("reducer")
    inner = rewriter.producer(op.operands[0], "reduce")
    if inner is None or inner.string("reducer") != reducer:
        return None
    if reducer not in EXACT_REDUCERS and not op.result.dtype.is_integer:
        return None
    (x,), first = inner.operands, inner.ints("dimensions")
    left = [axis for axis in range(x.type.rank) if axis not in first]
    dimensions = (*first, *(left[axis] for axis in op.ints("dimensions")))
    return shorthand.reduce(rewriter, x, reducer, dimensions)


def reduce_of_splat(rewriter: Rewriter, op: Op) -> Replacement:
    """The maximum (minimum, and, or) of equal elements is any one of them."""
    scalar = rewriter.splat(op.operands[0])
    if scalar is None or op.string("reducer") not in EXACT_REDUCERS or not static(*op.operands):
        return None
    return rewriter.splat_like(scalar, op.result) if op.operands[0].type.elements else None


def reshaped_reduction(rewriter: Rewriter, op: Op) -> Replacement:
    """A reduction between two reshapes that undo each other's is one of the tensor before them."""
    outer = rewriter.producer(op.operands[0], "reduce")
    inner = None if outer is None else rewriter.producer(outer.operands[0], "reshape")
    if outer is None or inner is None or not static(*inner.operands, op.result):
        return None
    (x,), dimensions = inner.operands, outer.ints("dimensions")
    count = len(dimensions)
    # The innermost dims, the same before the reshape: all others are kept, in whatever shape.
    last = tuple(range(outer.operands[0].type.rank - count, outer.operands[0].type.rank))
    folded = [inner.result.shape[axis] for axis in last]
    kept = x.type.rank - count
    if tuple(sorted(dimensions)) != last or kept < 0 or list(x.shape[kept:]) != folded:
        return None
    if op.result.shape != x.shape[:kept]:
        return None
    return shorthand.reduce(rewriter, x, outer.string("reducer"), range(kept, x.type.rank))


def arg_reduce_one(rewriter: Rewriter, op: Op) -> Replacement:
    """Along a dim of size 1 the extreme is the element and its index is 0."""
    (x,), axis = op.operands, op.integer("dimension")
    if x.type.shape[axis] != 1:
        return None
    values, indices = op.results
    zeros = rewriter.splat_like(np.zeros((), indices.dtype.numpy), indices)
    return shorthand.reshape(rewriter, x, values.type.shape), zeros


def empty_sum(rewriter: Rewriter, op: Op) -> Replacement:
    """A product or convolution with an empty operand is a sum of nothing: zeros."""
    if not static(*op.operands, op.result) or all(v.type.elements for v in op.operands):
        return None
    return rewriter.splat_like(np.zeros((), op.result.dtype.numpy), op.result)


def empty(rewriter: Rewriter, op: Op) -> Replacement:
    """An op that makes only empty tensors makes constants; an empty operand is a constant."""
    if op.name == "constant" or op.regions or not static(*op.results):
        return None
    if not any(v.type.elements for v in op.results):
        return tuple(rewriter.constant(np.zeros(v.shape, v.dtype.numpy)) for v in op.results)
    return None


def empty_operand(rewriter: Rewriter, op: Op) -> Replacement:
    """Folding an empty tensor gives the reducer's start, whatever the tensor is."""
    (x,) = op.operands
    if not static(x) or x.type.elements or rewriter.literal(x) is not None:
        return None
    nothing = rewriter.constant(np.zeros(x.shape, x.dtype.numpy))
    return rewriter.op(op.name, (nothing,), op.attributes)


RULES: dict[str, Sequence[Rule]] = {
    "reduce": (reduce_ones, reduce_of_reduce, reduce_of_splat, empty_operand),
    "arg_reduce": (arg_reduce_one,),
    "reshape": (reshaped_reduction,),
    "dot_general": (empty_sum,),
    "convolution": (empty_sum,),
    ANY: (empty,),
}
