"""Sliding reductions without holes between elements."""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.ir.function import Function, Op
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.reducers import identity
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, rewrite


def legalize_windows(function: Function) -> Function:
    """Makes the base dilation of every reduce_window a pad with the reducer's identity.

        %1 = reduce_window(%x) {... base_dilations = (1, 2), reducer = "maximum"}

            ->    %2 = constant() {value = f32[] -inf}
                  %3 = pad(%x, %2) {low = (0, 0), high = (0, 0), interior = (0, 1)}
                  %1 = reduce_window(%3) {... base_dilations = (1, 1), reducer = "maximum"}

    Padding stays: kernels leave out the members that are none.  Afterwards every base dilation
    is 1.  Exact.
    """
    return rewrite(function, {"reduce_window": (_fill_holes,)})


def _fill_holes(rewriter: Rewriter, op: Op) -> Replacement:
    (x,), dilations = op.operands, op.ints("base_dilations")
    if all(d == 1 for d in dilations):
        return None
    filler = np.asarray(identity(op.string("reducer"), x.dtype), x.dtype.numpy)
    nothing = (0,) * x.type.rank
    interior = [d - 1 for d in dilations]
    filled = shorthand.pad(rewriter, x, nothing, nothing, interior, rewriter.constant(filler))
    attributes = {**op.attributes, "base_dilations": (1,) * x.type.rank}
    return rewriter.op(op.name, (filled,), attributes)
