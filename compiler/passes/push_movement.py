"""Transposes and reshapes pushed away, towards others that undo them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorkiln.compiler.ir.dims import Dim, Shape
from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.dot import sides
from tensorkiln.compiler.passes import rules_shape
from tensorkiln.compiler.passes.algebra import dot_of_transposes
from tensorkiln.compiler.passes.elementwise import ELEMENTWISE
from tensorkiln.compiler.passes.rewriting import (
    Replacement,
    Rewriter,
    Rule,
    Rules,
    merged,
    until_stable,
)
from tensorkiln.compiler.passes.transposing import inverse, untransposed

_SYMBOL_SIZE = 64  # stands for a symbolic dim where sizes are weighed


def push_movement(function: Function) -> Function:
    """Sinks transposes (and reshapes) through ops towards transposes that undo them.

        %1 = transpose(%x) {permutation = (0, 2, 3, 1)}
        %2 = tanh(%1)                                         ->    %2 = tanh(%x)
        %3 = transpose(%2) {permutation = (0, 3, 1, 2)}             return %2
        return %3

    Elementwise ops, slices, pads, reversals, concatenations, reductions, windows and convolutions
    let a transpose through; broadcast scalars and constants turn with it; products and reductions
    absorb it, and the transpose of a product is the product with its operands changed over.  Sinking is tried first where nobody else reads the transposed tensor, then
    everywhere; the result with the fewest transposed elements is taken, the function itself where
    sinking gains nothing.  Exact, but that a reduction may fold its members in another order.
    """
    candidates = (function, until_stable(function, _CAUTIOUS), until_stable(function, _EAGER))
    return min(candidates, key=_weight)


def _weight(function: Function) -> tuple[int, int]:
    transposed = reshapes = 0
    for op in function.ops:
        if op.name == "transpose":
            transposed += math.prod(map(_size, op.result.type.shape))
        reshapes += op.name == "reshape"
    return transposed, reshapes


def _size(dim: Dim) -> int:
    return dim if isinstance(dim, int) else _SYMBOL_SIZE


def _sink_transpose(rewriter: Rewriter, op: Op) -> Replacement:
    # f(T(x), T(y), c) = T(f(x, y, T'(c)))
    permutation = _shared_permutation(rewriter, op)
    if permutation is None:
        return None
    operands: list[Value] = []
    for value in op.operands:
        turned = value if _is_scalar(value, op) else untransposed(rewriter, value, permutation)
        if turned is None:
            return None
        operands.append(turned)
    (result,) = rewriter.op(op.name, operands, op.attributes)
    return shorthand.transpose(rewriter, result, permutation)


def _is_scalar(value: Value, op: Op) -> bool:
    # A condition or bound that clamp and select use for all elements.
    return value.type.rank == 0 and op.result.type.rank > 0


def _shared_permutation(rewriter: Rewriter, op: Op) -> tuple[int, ...] | None:
    for value in op.operands:
        inner = rewriter.producer(value, "transpose")
        if inner is not None and rewriter.literal(inner.operands[0]) is None:
            return inner.ints("permutation")
    return None


def _sink_reshape(rewriter: Rewriter, op: Op) -> Replacement:
    # f(R(x), R(y), c) = R(f(x, y, R'(c)))
    shapes = [
        inner.operands[0].type.shape
        for value in op.operands
        if (inner := rewriter.producer(value, "reshape")) is not None
    ]
    if not shapes:
        return None
    operands: list[Value] = []
    for value in op.operands:
        turned = value if _is_scalar(value, op) else _unreshaped(rewriter, value, shapes[0])
        if turned is None:
            return None
        operands.append(turned)
    (result,) = rewriter.op(op.name, operands, op.attributes)
    return shorthand.reshape(rewriter, result, op.result.type.shape)


def _unreshaped(rewriter: Rewriter, value: Value, shape: Shape) -> Value | None:
    inner = rewriter.producer(value, "reshape")
    if inner is not None and inner.operands[0].type.shape == shape:
        return inner.operands[0]
    if rewriter.literal(value) is None and rewriter.splat(value) is None:
        return None
    return shorthand.reshape(rewriter, value, shape)


def _reduce(rewriter: Rewriter, op: Op) -> Replacement:
    # Folding a transposed tensor: the other dims' names, and a transpose of what is left.
    inner = rewriter.producer(op.operands[0], "transpose")
    if inner is None:
        return None
    order, dimensions = inner.ints("permutation"), op.ints("dimensions")
    kept = [axis for k, axis in enumerate(order) if k not in dimensions]
    folded = shorthand.reduce(
        rewriter, inner.operands[0], op.string("reducer"), [order[k] for k in dimensions]
    )
    return shorthand.transpose(rewriter, folded, [sorted(kept).index(axis) for axis in kept])


def _slice(rewriter: Rewriter, op: Op) -> Replacement:
    return _per_dim(rewriter, op, ("start", "limit", "strides"))


def _pad(rewriter: Rewriter, op: Op) -> Replacement:
    return _per_dim(rewriter, op, ("low", "high", "interior"))


def _per_dim(rewriter: Rewriter, op: Op, names: Sequence[str]) -> Replacement:
    # An op whose attributes hold a number for each dim.
    inner = rewriter.producer(op.operands[0], "transpose")
    if inner is None:
        return None
    order = inner.ints("permutation")
    attributes = dict(op.attributes)
    for name in names:
        numbers = op.attributes[name]
        if not isinstance(numbers, tuple):
            return None
        attributes[name] = tuple(numbers[k] for k in inverse(order))
    (result,) = rewriter.op(op.name, (inner.operands[0], *op.operands[1:]), attributes)
    return shorthand.transpose(rewriter, result, order)


def _window(rewriter: Rewriter, op: Op) -> Replacement:
    names = ("window", "strides", "padding", "base_dilations", "window_dilations")
    return _per_dim(rewriter, op, names)


def _reverse(rewriter: Rewriter, op: Op) -> Replacement:
    inner = rewriter.producer(op.operands[0], "transpose")
    if inner is None:
        return None
    order = inner.ints("permutation")
    turned = [order[axis] for axis in op.ints("dimensions")]
    return shorthand.transpose(
        rewriter, shorthand.reverse(rewriter, inner.operands[0], turned), order
    )


def _convolution(rewriter: Rewriter, op: Op) -> Replacement:
    # A convolution is told which dims are what, so a transposed operand has other dim numbers.
    operands, attributes = [*op.operands], dict(op.attributes)
    for side, name in enumerate(("lhs_spec", "rhs_spec")):
        inner = rewriter.producer(operands[side], "transpose")
        if inner is not None:
            order = inner.ints("permutation")
            operands[side] = inner.operands[0]
            attributes[name] = tuple(order[k] for k in op.ints(name))
    return rewriter.op(op.name, operands, attributes) if operands != [*op.operands] else None


def _transpose(rewriter: Rewriter, op: Op) -> Replacement:
    # A convolution writes its result transposed, if nobody else reads it.
    inner = rewriter.producer(op.operands[0], "convolution")
    if inner is None or not rewriter.has_one_use(op.operands[0]):
        return None
    places = inverse(op.ints("permutation"))
    spec = tuple(places[k] for k in inner.ints("out_spec"))
    return rewriter.op(inner.name, inner.operands, {**inner.attributes, "out_spec": spec})


def _transposed_product(rewriter: Rewriter, op: Op) -> Replacement:
    # (a b)^T = b^T a^T: the operands change sides, if nobody else reads the product.
    inner = rewriter.producer(op.operands[0], "dot_general")
    if inner is None or not rewriter.has_one_use(op.operands[0]):
        return None
    a, b = inner.operands
    left, _ = sides(inner.attributes, (a.type.rank, b.type.rank))
    batches, rows = len(left.batch), len(left.free)
    axes = tuple(range(op.result.type.rank))
    turned = (*axes[:batches], *axes[batches + rows :], *axes[batches : batches + rows])
    if op.ints("permutation") != turned:
        return None
    attributes = {
        f"{side}_{kind}": inner.ints(f"{other}_{kind}")
        for side, other in (("lhs", "rhs"), ("rhs", "lhs"))
        for kind in ("batch", "contracting")
    }
    return rewriter.op(inner.name, (b, a), attributes)


def _concatenate(rewriter: Rewriter, op: Op) -> Replacement:
    permutation = _shared_permutation(rewriter, op)
    if permutation is None:
        return None
    pieces = [untransposed(rewriter, value, permutation) for value in op.operands]
    if any(piece is None for piece in pieces):
        return None
    axis = permutation[op.integer("dimension")]
    joined = shorthand.concat(rewriter, [piece for piece in pieces if piece is not None], axis)
    return shorthand.transpose(rewriter, joined, permutation)


def _cautious(rule: Rule) -> Rule:
    """`rule`, where no moved operand is read elsewhere too."""

    def apply(rewriter: Rewriter, op: Op) -> Replacement:
        for value in op.operands:
            inner = rewriter.producer(value)
            moved = inner is not None and inner.name in ("transpose", "reshape")
            if moved and not rewriter.has_one_use(value):
                return None
        return rule(rewriter, op)

    return apply


_SINKS: dict[str, Sequence[Rule]] = {
    **dict.fromkeys(sorted(ELEMENTWISE), (_sink_transpose, _sink_reshape)),
    "slice": (_slice,),
    "pad": (_pad,),
    "reverse": (_reverse,),
    "concatenate": (_concatenate,),
    "reduce": (_reduce,),
    "reduce_window": (_window,),
}
_ABSORBS: Rules = merged(
    rules_shape.RULES,
    {
        "dot_general": (dot_of_transposes,),
        "convolution": (_convolution,),
        "transpose": (_transpose, _transposed_product),
    },
)
_EAGER: Rules = merged(_SINKS, _ABSORBS)
_CAUTIOUS: Rules = merged(
    {name: tuple(map(_cautious, rules)) for name, rules in _SINKS.items()}, _ABSORBS
)
