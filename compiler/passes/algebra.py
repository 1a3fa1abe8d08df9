"""Algebraic rewrites, exact ones always and inexact ones on demand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.dot import sides
from tensorkiln.compiler.passes.facts import is_number
from tensorkiln.compiler.passes.rewriting import (
    Replacement,
    Rewriter,
    Rule,
    merged,
    static,
    until_stable,
)

_ASSOCIATIVE = ("add", "multiply", "maximum", "minimum", "and", "or", "xor")
_ALWAYS_ASSOCIATIVE = ("maximum", "minimum", "and", "or", "xor")


def algebra(function: Function) -> Function:
    """Applies the exact rules below.

        %1 = add(%x, %c1)                        %1 = add(%c1, %c2)
        %2 = add(%1, %c2)    -> (integers)       %2 = add(%x, %1)

        %1 = transpose(%w) {permutation = (1, 0)}
        %2 = dot_general(%x, %1) {... rhs_contracting = (0)}    ->
                                               %2 = dot_general(%x, %w) {... rhs_contracting = (1)}

        %1 = dot_general(%x, %w)                 %1 = slice(%w)
        %2 = slice(%1)                 ->        %2 = dot_general(%x, %1)

    Expects canonical form (constants right) and leaves constants to fold_constants.  Every bit of
    every result is kept.
    """
    return until_stable(function, _EXACT)


def reassociate(function: Function) -> Function:
    """Applies the rules that round otherwise too; to be asked for.

        %1 = multiply(%x, %a)
        %2 = multiply(%y, %a)    ->    %1 = add(%x, %y)
        %3 = add(%1, %2)               %3 = multiply(%1, %a)

    The real number that is meant stays, where nothing overflows on the way.
    """
    return until_stable(function, merged(_EXACT, _INEXACT))


def _is_constant(rewriter: Rewriter, value: Value) -> bool:
    return rewriter.literal(value) is not None or rewriter.splat(value) is not None


def _constants_together(rewriter: Rewriter, op: Op) -> Replacement:
    # (x op c) op d = x op (c op d); (x op c) op y = (x op y) op c
    x, y = op.operands
    inner = rewriter.producer(x, op.name)
    if inner is None or not _is_constant(rewriter, inner.operands[1]):
        return None
    a, c = inner.operands
    if _is_constant(rewriter, y):
        return rewriter.one(op.name, (a, rewriter.one(op.name, (c, y))))
    return None


def _constants_together_exactly(rewriter: Rewriter, op: Op) -> Replacement:
    if op.result.dtype.is_float and op.name not in _ALWAYS_ASSOCIATIVE:
        return None
    return _constants_together(rewriter, op)


def _subtract_constant(rewriter: Rewriter, op: Op) -> Replacement:
    # x - c = x + -c, for floats too: negation is exact.
    x, y = op.operands
    constant = rewriter.splat(y)
    if constant is None or constant.dtype.kind == "u":
        return None
    with np.errstate(over="ignore"):
        return rewriter.one("add", (x, rewriter.splat_like(np.negative(constant), x)))


def _negated_factor(rewriter: Rewriter, op: Op) -> Replacement:
    # (-x) * c = x * -c and (-x) / c = x / -c: the sign is the product's, rounding is symmetric.
    x, y = op.operands
    inner, constant = rewriter.producer(x, "negate"), rewriter.splat(y)
    if inner is None or constant is None or not op.result.dtype.is_float:
        return None
    return rewriter.one(op.name, (inner.operands[0], rewriter.splat_like(np.negative(constant), x)))


def _select_of_selects(rewriter: Rewriter, op: Op) -> Replacement:
    # p ? (p ? a : b) : c = p ? a : c, and so on the other side.
    condition, on_true, on_false = op.operands
    yes, no = (rewriter.producer(v, "select") for v in (on_true, on_false))
    if yes is not None and yes.operands[0] is condition:
        return rewriter.one("select", (condition, yes.operands[1], on_false))
    if no is not None and no.operands[0] is condition:
        return rewriter.one("select", (condition, on_true, no.operands[2]))
    return None


def _max_of_max(rewriter: Rewriter, op: Op) -> Replacement:
    # max(max(x, y), y) = max(x, y)
    x, y = op.operands
    inner = rewriter.producer(x, op.name)
    return x if inner is not None and y in inner.operands else None


def dot_of_transposes(rewriter: Rewriter, op: Op) -> Replacement:
    """A transposed operand is the operand with other dims named, if the order of its free dims,
    which is the result's, stays."""
    attributes = dict(op.attributes)
    operands = list(op.operands)
    for side, name in enumerate(("lhs", "rhs")):
        inner = rewriter.producer(operands[side], "transpose")
        if inner is None:
            continue
        order = inner.ints("permutation")
        named = {*op.ints(f"{name}_batch"), *op.ints(f"{name}_contracting")}
        free = [order[axis] for axis in range(len(order)) if axis not in named]
        if free != sorted(free):
            continue
        operands[side] = inner.operands[0]
        for kind in ("batch", "contracting"):
            attributes[f"{name}_{kind}"] = tuple(order[k] for k in op.ints(f"{name}_{kind}"))
    if operands == [*op.operands]:
        return None
    return rewriter.op(op.name, operands, attributes)


def slice_of_product(rewriter: Rewriter, op: Op) -> Replacement:
    """A part of a product, of which nobody reads more, is the product of parts."""
    inner = rewriter.producer(op.operands[0], "dot_general")
    if inner is None or not rewriter.has_one_use(op.operands[0]):
        return None
    if not static(*inner.operands, op.result) or not op.result.type.elements:
        return None
    ranks = (inner.operands[0].type.rank, inner.operands[1].type.rank)
    left, right = sides(inner.attributes, ranks)
    batches, rows = len(left.batch), len(left.free)
    cuts = list(zip(op.ints("start"), op.ints("limit"), op.ints("strides"), strict=True))
    parts: list[Value] = []
    for value, side, free in (
        (inner.operands[0], left, cuts[batches : batches + rows]),
        (inner.operands[1], right, cuts[batches + rows :]),
    ):
        bounds = [(0, size, 1) for size in value.shape]
        for axis, cut in (
            *zip(side.batch, cuts[:batches], strict=True),
            *zip(side.free, free, strict=True),
        ):
            bounds[axis] = cut
        start, limit, strides = ([bound[k] for bound in bounds] for k in range(3))
        parts.append(shorthand.slice_(rewriter, value, start, limit, strides))
    return rewriter.op(inner.name, parts, inner.attributes)


def _divide_by_constant(rewriter: Rewriter, op: Op) -> Replacement:
    # x / c = x * (1/c): one rounding more.
    x, y = op.operands
    constant = rewriter.splat(y)
    if constant is None or not x.dtype.is_float:
        return None
    with np.errstate(all="ignore"):
        reciprocal = np.asarray(1.0 / constant.astype(np.float64)).astype(constant.dtype)
    usable = bool(np.isfinite(reciprocal)) and not is_number(abs(reciprocal), 0.0)
    return rewriter.one("multiply", (x, rewriter.splat_like(reciprocal, x))) if usable else None


def _divide_by_sqrt(rewriter: Rewriter, op: Op) -> Replacement:
    # x / sqrt(y) = x * rsqrt(y); 1 / sqrt(y) = rsqrt(y)
    x, y = op.operands
    inner = rewriter.producer(y, "sqrt")
    if inner is None:
        return None
    inverse = rewriter.one("rsqrt", inner.operands)
    return inverse if is_number(rewriter.splat(x), 1.0) else rewriter.one("multiply", (x, inverse))


def _square_of_rsqrt(rewriter: Rewriter, op: Op) -> Replacement:
    # rsqrt(x) * rsqrt(x) = 1 / x for x > 0; below both have no meaning to keep.
    x, y = op.operands
    inner = rewriter.producer(x, "rsqrt")
    if x is not y or inner is None:
        return None
    one = rewriter.splat_like(np.ones((), x.dtype.numpy), x)
    return rewriter.one("divide", (one, inner.operands[0]))


def _common_factor(rewriter: Rewriter, op: Op) -> Replacement:
    # x*a + y*a = (x + y) * a
    first, second = (rewriter.producer(v, "multiply") for v in op.operands)
    if first is None or second is None or first is second:
        return None
    for shared in first.operands:
        if shared in second.operands:
            x, y = (_other(product, shared) for product in (first, second))
            return rewriter.one("multiply", (rewriter.one(op.name, (x, y)), shared))
    return None


def _other(op: Op, operand: Value) -> Value:
    a, b = op.operands
    return b if a is operand else a


def _reduce_of_reduce(rewriter: Rewriter, op: Op) -> Replacement:
    # sum_i sum_j x[i,j] = sum_ij x[i,j], and products alike
    inner = rewriter.producer(op.operands[0], "reduce")
    if inner is None or inner.string("reducer") != op.string("reducer"):
        return None
    (x,), first = inner.operands, inner.ints("dimensions")
    left = [axis for axis in range(x.type.rank) if axis not in first]
    dimensions = (*first, *(left[axis] for axis in op.ints("dimensions")))
    return shorthand.reduce(rewriter, x, op.string("reducer"), dimensions)


_EXACT: dict[str, Sequence[Rule]] = {
    **dict.fromkeys(_ASSOCIATIVE, (_constants_together_exactly,)),
    "multiply": (_constants_together_exactly, _negated_factor),
    "maximum": (_constants_together_exactly, _max_of_max),
    "minimum": (_constants_together_exactly, _max_of_max),
    "subtract": (_subtract_constant,),
    "divide": (_negated_factor,),
    "select": (_select_of_selects,),
    "dot_general": (dot_of_transposes,),
    "slice": (slice_of_product,),
}

_INEXACT: dict[str, Sequence[Rule]] = {
    "add": (_constants_together, _common_factor),
    "subtract": (_common_factor,),
    "multiply": (_constants_together, _square_of_rsqrt),
    "divide": (_divide_by_constant, _divide_by_sqrt),
    "reduce": (_reduce_of_reduce,),
}
