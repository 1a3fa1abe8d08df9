"""Reshapes of matrix products move behind what is done to the products' elements."""

from __future__ import annotations

from collections.abc import Collection

from tensorkiln.compiler.ir.dims import Dim, Shape
from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.passes.elementwise import ELEMENTWISE
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, Rule, rewrite


def epilogue_reshapes(function: Function) -> Function:
    """Lets elementwise ops follow a matrix product directly, so that they become its epilogue.

        %1: f32[256,8] = dot_general(...)
        %2: f32[2,128,8] = reshape(%1)
        %3: f32[2,128,8] = broadcast_in_dim(%bias) {dimensions = (2)}
        %4: f32[2,128,8] = add(%2, %3)

            ->    %3: f32[256,8] = broadcast_in_dim(%bias) {dimensions = (1)}
                  %5: f32[256,8] = add(%1, %3)
                  %4: f32[2,128,8] = reshape(%5)

    Other operands are reshaped where that costs nothing: constants, broadcasts along dims that
    the reshape leaves whole, and what is in memory anyway.  What a reduction reads too is not
    followed further: it and what comes after are one walk over rows.
    """
    folded = {v.name for op in function.ops if op.name in _FOLDS for v in op.operands}
    rule = _rule(folded)
    return rewrite(function, dict.fromkeys(sorted(ELEMENTWISE), (rule,)))


def _rule(folded: Collection[str]) -> Rule:
    """The rule; `folded` are names of values that reductions read."""
    followers: set[Value] = set()  # elementwise results put behind a product

    def sink(rewriter: Rewriter, op: Op) -> Replacement:
        shape = _shape_of_product(rewriter, op, followers, folded)
        if shape is None:
            return None
        operands: list[Value] = []
        for value in op.operands:
            scalar = value.type.rank == 0 and op.result.type.rank > 0
            turned = value if scalar else _reshaped(rewriter, value, shape)
            if turned is None:
                return None
            operands.append(turned)
        (result,) = rewriter.op(op.name, operands, op.attributes)
        followers.add(result)
        return shorthand.reshape(rewriter, result, op.result.type.shape)

    return sink


def _shape_of_product(
    rewriter: Rewriter, op: Op, followers: set[Value], folded: Collection[str]
) -> Shape | None:
    """The shape of a product (or of what follows one) that the op reads through a reshape.

    None if it reads another one as it is: two products of different shapes would take turns.
    """

    def follows(value: Value) -> bool:
        product = rewriter.producer(value)
        return value in followers or (product is not None and product.name in _PRODUCTS)

    if any(map(follows, op.operands)):
        return None
    for value in op.operands:
        renamed = rewriter.producer(value, "reshape")
        if renamed is None or value.name in folded:
            continue
        source = renamed.operands[0]
        if follows(source):
            return source.type.shape
    return None


def _reshaped(rewriter: Rewriter, value: Value, shape: Shape) -> Value | None:
    """`value` in `shape`, None where that would end a fusion."""
    op = rewriter.producer(value)
    if op is not None and op.name == "reshape" and op.operands[0].type.shape == shape:
        return op.operands[0]
    if rewriter.literal(value) is not None or rewriter.splat(value) is not None:
        return shorthand.reshape(rewriter, value, shape)
    if op is not None and op.name == "broadcast_in_dim":
        return _rebroadcast(rewriter, op, shape)
    computed = op is not None and (op.name in ELEMENTWISE or op.name in _MOVEMENT)
    if computed and rewriter.has_one_use(value):
        return None
    return shorthand.reshape(rewriter, value, shape)


def _rebroadcast(rewriter: Rewriter, op: Op, shape: Shape) -> Value | None:
    """The broadcast `op` made in another shape, if it covers merged dims whole or not at all."""
    (x,), old, dimensions = op.operands, op.result.type.shape, op.ints("dimensions")
    if list(dimensions) != sorted(dimensions) or 1 in x.type.shape:
        return None
    tail = 0
    while tail < min(len(old), len(shape)) and old[-1 - tail] == shape[-1 - tail]:
        tail += 1
    first = len(old) - tail  # dims before this one are merged or split
    merged = [axis for axis in dimensions if axis < first]
    kept = [axis for axis in dimensions if axis >= first]
    whole = [axis for axis in range(first) if old[axis] != 1]
    if merged and merged != whole:
        return None
    dims: list[Dim] = [*shape[: len(shape) - tail]] if merged else []
    places = list(range(len(dims)))
    dims += [old[axis] for axis in kept]
    places += [axis - len(old) + len(shape) for axis in kept]
    source = shorthand.reshape(rewriter, x, dims)
    return shorthand.broadcast_in_dim(rewriter, source, shape, places)


_PRODUCTS = ("dot_general", "integer_dot")
_FOLDS = ("reduce", "arg_reduce")
_MOVEMENT = ("transpose", "slice", "pad", "reverse", "concatenate", "iota")
