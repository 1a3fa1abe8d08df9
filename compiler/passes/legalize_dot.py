"""Matrix products in the one form that kernels have."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dims import Dim, scale_dim
from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.dot import sides
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, rewrite

# [batch, m, k] x [batch, k, n] -> [batch, m, n]
_FORM = {
    "lhs_batch": (0,),
    "rhs_batch": (0,),
    "lhs_contracting": (2,),
    "rhs_contracting": (1,),
}


def legalize_dot(function: Function) -> Function:
    """Makes every dot_general a product of [batch, m, k] and [batch, k, n].

        %2 = dot_general(%x, %w) {... lhs_contracting = (1), rhs_contracting = (1)}

            ->    %3 = reshape(%x) {shape = (1, 8, 16)}
                  %4 = transpose(%w) {permutation = (1, 0)}
                  %5 = reshape(%4) {shape = (1, 16, 32)}
                  %6 = dot_general(%3, %5) {lhs_batch = (0), ... rhs_contracting = (1)}
                  %2 = reshape(%6) {shape = (8, 32)}

    Dims of one role are merged, of sizes 1 where there is none; transposes stay ops of their own
    that a kernel's packing absorbs.  A product where two symbolic dims would have to be merged is
    left as it is.  The real numbers summed are the same; their order may be another one.
    """
    return rewrite(function, {"dot_general": (_legalize,)})


def _legalize(rewriter: Rewriter, op: Op) -> Replacement:
    if dict(op.attributes) == _FORM and all(v.type.rank == 3 for v in op.operands):
        return None
    a, b = op.operands
    left, right = sides(op.attributes, (a.type.rank, b.type.rank))
    first = _merged(rewriter, a, (left.batch, left.free, left.contracting))
    second = _merged(rewriter, b, (right.batch, right.contracting, right.free))
    if first is None or second is None:
        return None
    (product,) = rewriter.op("dot_general", (first, second), _FORM)
    return shorthand.reshape(rewriter, product, op.result.type.shape)


def _merged(rewriter: Rewriter, x: Value, groups: Sequence[Sequence[int]]) -> Value | None:
    """`x` with its dims in the order of `groups`, each group merged into one dim."""
    shape = [_product([x.type.shape[axis] for axis in group]) for group in groups]
    known = [dim for dim in shape if dim is not None]
    if len(known) < len(shape):
        return None
    turned = shorthand.transpose(rewriter, x, [axis for group in groups for axis in group])
    return shorthand.reshape(rewriter, turned, known)


def _product(dims: Sequence[Dim]) -> Dim | None:
    """The product of sizes, at most one of which may be symbolic; None if more are."""
    result: Dim = 1
    for dim in dims:
        if isinstance(result, int):
            result = scale_dim(dim, result)
        elif isinstance(dim, int):
            result = scale_dim(result, dim)
        else:
            return None
    return result
