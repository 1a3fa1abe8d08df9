"""Matrix products in the forms that kernels have."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dims import Dim, scale_dim
from tensorkiln.compiler.ir.function import Attribute, Function, Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.dot import Side, sides
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, rewrite


def legalize_dot(function: Function) -> Function:
    """Makes every dot_general and integer_dot a product of matrices, or of batches of matrices.

        %2 = dot_general(%x, %w) {... lhs_contracting = (1, 2), rhs_contracting = (1, 2)}

            ->    %3 = reshape(%x) {shape = (8, 16)}
                  %4 = reshape(%w) {shape = (32, 16)}
                  %2 = dot_general(%3, %4) {lhs_batch = (), ... rhs_contracting = (1)}

    Afterwards each operand has its batch dims first, and then one free dim and one contracting
    dim in either order: kernels read matrices as they lie or transposed.  Free and contracting dims
    are merged, of sizes 1 where there is none; batch dims are merged too (always those of an
    integer_dot), unless everything else is one dim each already: then nothing stands between the
    product and a transpose that its kernel can read through.  A transpose is made where dims of
    one role are not neighbours.  A product where two symbolic dims would have to be merged is left
    as it is.  The real numbers summed are the same; their order may be another one.
    """
    return rewrite(function, {"dot_general": (_legalize,), "integer_dot": (_legalize,)})


def _legalize(rewriter: Rewriter, op: Op) -> Replacement:
    if _is_legal(op):
        return None
    a, b = op.operands
    left, right = sides(op.attributes, (a.type.rank, b.type.rank))
    contracting = (left.contracting, right.contracting)
    if _matrices(op):
        return _in_order(rewriter, op, left, right)
    batches = 1 if left.batch else 0
    orders = [
        _order(side.batch, side.free, side.contracting, free_first)
        for side, free_first in ((left, True), (right, False))
    ]
    operands = [_merged(rewriter, x, order) for x, order in zip((a, b), orders, strict=True)]
    if operands[0] is None or operands[1] is None:
        return None
    places = [
        batches + 1 if order[-1] == dims else batches
        for order, dims in zip(orders, contracting, strict=True)
    ]
    attributes = {
        "lhs_batch": tuple(range(batches)),
        "rhs_batch": tuple(range(batches)),
        "lhs_contracting": (places[0],),
        "rhs_contracting": (places[1],),
    }
    (product,) = rewriter.op(op.name, (operands[0], operands[1]), attributes)
    return shorthand.reshape(rewriter, product, op.result.type.shape)


def _matrices(op: Op) -> bool:
    """True if each operand has one free and one contracting dim, and there are several batch dims."""
    batches = len(op.ints("lhs_batch"))
    return (
        op.name == "dot_general"
        and batches > 1
        and len(op.ints("lhs_contracting")) == 1
        and all(v.type.rank == batches + 2 for v in op.operands)
    )


def _in_order(rewriter: Rewriter, op: Op, left: Side, right: Side) -> Replacement:
    """The product with batch dims first; their kernel walks them, so they need not be one."""
    attributes: dict[str, Attribute] = {}
    operands: list[Value] = []
    for name, side, x in (
        ("lhs", left, op.operands[0]),
        ("rhs", right, op.operands[1]),
    ):
        pair = (*side.free, *side.contracting)
        lying = pair if pair[0] < pair[1] else pair[::-1]
        order = (*side.batch, *lying)
        operands.append(shorthand.transpose(rewriter, x, order))
        attributes[f"{name}_batch"] = tuple(range(len(side.batch)))
        attributes[f"{name}_contracting"] = (order.index(side.contracting[0]),)
    return rewriter.op(op.name, operands, attributes)


def _is_legal(op: Op) -> bool:
    batches = len(op.ints("lhs_batch"))
    first = tuple(range(batches))
    one = all(len(op.ints(f"{side}_contracting")) == 1 for side in ("lhs", "rhs"))
    ordered = all(op.ints(f"{side}_batch") == first for side in ("lhs", "rhs"))
    ranks = all(v.type.rank == batches + 2 for v in op.operands)
    return (batches <= 1 or op.name == "dot_general") and one and ordered and ranks


def _order(
    batch: tuple[int, ...], free: tuple[int, ...], contracting: tuple[int, ...], free_first: bool
) -> list[tuple[int, ...]]:
    """The roles' dims in the order in which they lie, or as kernels like it if they lie mixed."""
    both = [(free, contracting), (contracting, free)]
    if not free_first:
        both.reverse()
    groups = [[batch, *pair] if batch else [*pair] for pair in both]
    lying = [g for g in groups if _is_sorted([axis for group in g for axis in group])]
    return (lying or groups)[0]


def _is_sorted(axes: Sequence[int]) -> bool:
    return list(axes) == sorted(axes)


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
