"""Attention written as separate ops, recognised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tensorkiln.compiler.ir.dtypes import F32, F64, I32
from tensorkiln.compiler.ir.function import Array, Function, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.dot import Side, sides
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, rewrite

HIDDEN = -1e30  # scores at most this are those of keys that are not to be seen


def match_attention(function: Function) -> Function:
    """Makes an `attention` of a softmax of products between two products.

        %s = dot_general(%q, %k)        scores, batch by head
        %t = add(multiply(%s, scale), mask)
        %p = softmax(%t) {axis = 3}     ->    %a = attention(%q, %k, %v, mask) {scale = ...}
        %y = dot_general(%p, %v)              %y = transpose(%a)

    A scale (of the scores or of an operand), a choice between scores and a very small number by
    a constant triangle (causal attention), and masks that are added may stand between, each or
    none, in this order; behind the softmax, a choice of zero for whole queries.  Keys of an open
    number (compiler/sizes) are found by the masks that keep what is not in use out, a triangle that
    lies where a number says by the comparison that makes it.  Nobody else may
    read what stands between.  Operands are turned as attention wants them, which undoes what
    models do to split heads.  The same real numbers are summed, in another order, but that values
    of keys that a query does not see do not count, be they infinite.
    """
    return rewrite(function, {"dot_general": (_attention,)})


@dataclass
class _Scores:
    """What was found between the softmax and the product before it."""

    scale: float = 1.0
    offset: int | None = None
    diagonal: Value | None = None  # a number that is added to the offset
    used: Value | None = None  # the number of keys that count
    masks: list[Value] = field(default_factory=list)


def _attention(rewriter: Rewriter, op: Op) -> Replacement:
    left, right = sides(op.attributes, (op.operands[0].type.rank, op.operands[1].type.rank))
    zeroed: list[Value] = []
    weights, v = (
        _whole(rewriter, x, side.contracting, zeroed)
        for x, side in zip(op.operands, (left, right), strict=True)
    )
    dropped, weights = _dropped(rewriter, weights)
    softmax = rewriter.producer(weights, "softmax")
    if softmax is None or op.result.dtype not in (F32, F64) or not rewriter.has_one_use(weights):
        return None
    batches = weights.type.rank - 2
    last = weights.type.rank - 1
    fits = left.batch == tuple(range(batches)) and left.contracting == (last,)
    if batches not in (1, 2) or not fits or softmax.integer("axis") != last:
        return None
    found = _Scores()
    product = _product(rewriter, softmax.operands[0], found)
    if product is None or any(number is not found.used for number in zeroed):
        return None
    queries, keys = sides(product.attributes, (batches + 2, batches + 2))
    ordered = [_ordered(side, batches) for side in (queries, keys)]
    if None in ordered or queries.batch != left.batch or _ordered(right, batches) is None:
        return None
    q, k = (_unscaled(rewriter, value, found) for value in product.operands)
    q = _turned(rewriter, q, queries, queries.free, queries.contracting)
    k = _turned(rewriter, k, keys, keys.free, keys.contracting)
    v = _turned(rewriter, v, right, right.contracting, right.free)
    mask = [_joined(rewriter, found.masks)] if found.masks else []
    numbers = [value for value in (found.used, found.diagonal) if value is not None]
    if found.used is None and found.diagonal is not None:
        numbers.insert(0, shorthand.scalar(rewriter, product.result.shape[-1], I32))
    attention = rewriter.one(
        "attention",
        (q, k, v, *mask, *numbers),
        scale=found.scale,
        causal=found.offset is not None,
        offset=found.offset or 0,
    )
    turned = shorthand.transpose(rewriter, attention, (0, 2, 1, 3))
    result = shorthand.reshape(rewriter, turned, op.result.type.shape)
    if dropped is None:
        return result
    rows = shorthand.broadcast_in_dim(
        rewriter, dropped.operands[0], result.type.shape, dropped.ints("dimensions")
    )
    return shorthand.select(rewriter, rows, shorthand.zeros_like(rewriter, result), result)


def _dropped(rewriter: Rewriter, weights: Value) -> tuple[Op | None, Value]:
    """A condition for whole queries under which weights are zero, and the weights without it."""
    choice = rewriter.producer(weights, "select")
    if choice is None or not rewriter.has_one_use(weights):
        return None, weights
    condition, zero, inner = choice.operands
    rows = rewriter.producer(condition, "broadcast_in_dim")
    number = rewriter.splat(zero)
    last = weights.type.rank - 1
    if rows is None or last in rows.ints("dimensions") or number is None or float(number) != 0:
        return None, weights
    return rows, inner


def _whole(rewriter: Rewriter, x: Value, axes: Sequence[int], zeroed: list[Value]) -> Value:
    """An operand of the second product before zeros took the place of what is not in use.

    The number of keys in use goes to `zeroed`: it must be the one that the scores have.
    """
    choice = rewriter.producer(x, "select")
    if choice is None or len(axes) != 1:
        return x
    condition, inner, zero = choice.operands
    value = rewriter.splat(zero)
    number = _in_use(rewriter, condition, axes[0])
    if number is None or value is None or float(value) != 0:
        return x
    zeroed.append(number)
    return inner


def _in_use(rewriter: Rewriter, condition: Value, axis: int) -> Value | None:
    """The number n, i32[], where a condition says that places along `axis` are below n."""
    op = rewriter.producer(condition, "broadcast_in_dim")
    if op is not None and op.ints("dimensions") == (axis,):
        condition = op.operands[0]
    elif axis or condition.type.rank != 1:
        return None
    test = rewriter.producer(condition, "compare")
    if test is None or test.string("direction") not in ("LT", "GT"):
        return None
    below = test.string("direction") == "LT"
    place, number = test.operands if below else test.operands[::-1]
    spread = rewriter.producer(number, "broadcast_in_dim")
    if (
        spread is None
        or not _is_counting(rewriter, place)
        or spread.operands[0].type != TensorType((), I32)
    ):
        return None
    return spread.operands[0]


def _is_low(rewriter: Rewriter, value: Value) -> bool:
    """True for a score that hides its key."""
    low = rewriter.splat(value)
    return low is not None and float(low) <= HIDDEN


def _unscaled(rewriter: Rewriter, value: Value, found: _Scores) -> Value:
    """An operand of the product before a factor for all its elements, which joins the scale."""
    op = rewriter.producer(value, "multiply") or rewriter.producer(value, "divide")
    number = None if op is None else rewriter.splat(op.operands[1])
    if op is None or number is None or float(number) == 0 or not rewriter.has_one_use(value):
        return value
    found.scale *= float(number) if op.name == "multiply" else 1 / float(number)
    return op.operands[0]


def _ordered(side: Side, batches: int) -> Side | None:
    """The side itself, if it has so many batch dims and one free and one contracting dim."""
    plain = len(side.batch) == batches and len(side.free) == len(side.contracting) == 1
    return side if plain else None


def _turned(
    rewriter: Rewriter, x: Value, side: Side, rows: tuple[int, ...], columns: tuple[int, ...]
) -> Value:
    """An operand as batch, rows, head, columns; with one batch dim there is one head."""
    outer, heads = side.batch[:1], side.batch[1:]
    turned = shorthand.transpose(rewriter, x, (*outer, *rows, *heads, *columns))
    return turned if heads else shorthand.expand_dims(rewriter, turned, (2,))


def _product(rewriter: Rewriter, scores: Value, found: _Scores) -> Op | None:
    """The product that scores come from; what is done to it on the way goes to `found`."""
    while True:
        op = rewriter.producer(scores)
        if op is None or not rewriter.has_one_use(scores):
            return None
        if op.name == "dot_general":
            plain = op.result.type.rank - len(op.ints("lhs_batch")) == 2
            return op if plain else None
        following = _step(rewriter, op, found)
        if following is None:
            return None
        scores = following


def _step(rewriter: Rewriter, op: Op, found: _Scores) -> Value | None:
    """The scores before the mask, choice or scale `op`, which `found` then has."""
    if op.name == "add" and found.offset is None and found.scale == 1.0:
        for scores, mask in (op.operands, op.operands[::-1]):
            if _is_score(rewriter, scores):
                found.masks.append(_narrow(rewriter, mask))
                return scores
    if op.name == "select" and found.used is None and _is_low(rewriter, op.operands[2]):
        found.used = _in_use(rewriter, op.operands[0], op.result.type.rank - 1)
        if found.used is not None:
            return op.operands[1]
    if op.name == "select" and found.offset is None and found.scale == 1.0:
        found.offset = _offset(rewriter, op)
        if found.offset is None:
            found.diagonal = _diagonal(rewriter, op)
            found.offset = None if found.diagonal is None else 0
        return None if found.offset is None else op.operands[1]
    if op.name in ("multiply", "divide"):
        number = rewriter.splat(op.operands[1])
        if number is not None and float(number) != 0:
            factor = float(number)
            found.scale *= factor if op.name == "multiply" else 1 / factor
            return op.operands[0]
    return None


def _is_score(rewriter: Rewriter, value: Value) -> bool:
    """True if `value` is a product, perhaps scaled, masked or chosen from."""
    op = rewriter.producer(value)
    while op is not None and op.name in ("add", "multiply", "divide", "select"):
        op = rewriter.producer(op.operands[op.name == "select"])
    return op is not None and op.name == "dot_general"


def _narrow(rewriter: Rewriter, mask: Value) -> Value:
    """A mask of rank 4 (one head where the scores have rank 3), dims that repeat as 1."""
    rank = mask.type.rank
    op = rewriter.producer(mask, "broadcast_in_dim")
    shape = list(mask.type.shape)
    if op is not None and list(op.ints("dimensions")) == sorted(op.ints("dimensions")):
        kept = dict(zip(op.ints("dimensions"), op.operands[0].type.shape, strict=True))
        mask, shape = op.operands[0], [kept.get(axis, 1) for axis in range(rank)]
    if rank == 3:
        shape = [shape[0], 1, *shape[1:]]
    return shorthand.reshape(rewriter, mask, shape)


def _joined(rewriter: Rewriter, masks: list[Value]) -> Value:
    total = masks[-1]
    for mask in masks[-2::-1]:
        total = shorthand.binary(rewriter, "add", total, mask)
    return total


def _offset(rewriter: Rewriter, op: Op) -> int | None:
    """How far a query sees, if `op` hides the keys above a diagonal and none sees nothing."""
    condition, _, hidden = op.operands
    if not _is_low(rewriter, hidden):
        return None
    table = _matrix(rewriter, condition)
    if table is None or not table.size or not table[0, 0]:
        return None
    offset = int(table[0].sum()) - 1
    queries, keys = np.indices(table.shape)
    return offset if bool((table == (keys <= queries + offset)).all()) else None


def _diagonal(rewriter: Rewriter, op: Op) -> Value | None:
    """The number n, i32[] and not below 0, if `op` hides key k from query i where k > i + n."""
    condition, _, hidden = op.operands
    rank = op.result.type.rank
    spread = rewriter.producer(condition, "broadcast_in_dim")
    if spread is not None:
        if spread.ints("dimensions")[-2:] != (rank - 2, rank - 1):
            return None
        condition = spread.operands[0]
    if any(size != 1 for size in condition.shape[:-2]):
        return None
    test = rewriter.producer(condition, "compare")
    if test is None or test.string("direction") != "LE" or not _is_low(rewriter, hidden):
        return None
    key = _spread_along(rewriter, test.operands[0], 1)
    last = _spread_along(rewriter, test.operands[1], 0)
    total = None if last is None else rewriter.producer(last, "add")
    if key is None or total is None or not _is_counting(rewriter, key):
        return None
    for query, more in (total.operands, total.operands[::-1]):
        number = rewriter.producer(more, "broadcast_in_dim")
        if number is None or not _is_counting(rewriter, query):
            continue
        (n,) = number.operands
        if n.type == TensorType((), I32) and _is_nonnegative(rewriter, n):
            return n
    return None


def _spread_along(rewriter: Rewriter, value: Value, axis: int) -> Value | None:
    """The vector that a matrix, perhaps with dims of size 1 before it, repeats along another dim."""
    op = rewriter.producer(value, "broadcast_in_dim")
    if op is None or op.ints("dimensions") != (value.type.rank - 2 + axis,):
        return None
    return op.operands[0]


def _is_counting(rewriter: Rewriter, value: Value) -> bool:
    """True for 0, 1, 2, ..."""
    known = rewriter.literal(value)
    if known is not None:
        return bool((known == np.arange(known.size)).all())
    return value.type.rank == 1 and rewriter.producer(value, "iota") is not None


def _is_nonnegative(rewriter: Rewriter, number: Value) -> bool:
    """True for a maximum of a number and a constant that is not below 0."""
    op = rewriter.producer(number, "maximum")
    literals = [] if op is None else [rewriter.literal(value) for value in op.operands]
    return any(known is not None and bool(known.min() >= 0) for known in literals)


def _matrix(rewriter: Rewriter, condition: Value) -> Array | None:
    """A constant bool that is the same for every batch and head, as queries by keys."""
    rank = condition.type.rank
    op = rewriter.producer(condition, "broadcast_in_dim")
    if op is not None:
        if op.ints("dimensions")[-2:] != (rank - 2, rank - 1):
            return None
        condition = op.operands[0]
    array = rewriter.literal(condition)
    if array is None or any(size != 1 for size in array.shape[:-2]):
        return None
    return array.reshape(array.shape[-2:])
