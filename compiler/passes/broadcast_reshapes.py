"""Broadcasts read through reshapes that only drop dims of size 1."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tensorkiln.compiler.ir.dims import Shape
from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.passes.elementwise import ELEMENTWISE
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, Rule, rewrite


def broadcast_reshapes(function: Function) -> Function:
    """Lets a broadcast repeat a value as it was made, its dims of size 1 included.

        %1 = reshape(%x: f32[1,128]) {shape = (128)}
        %2 = broadcast_in_dim(%1) {shape = (1, 128, 768), dimensions = (1)}

            ->    %2 = broadcast_in_dim(%x) {shape = (1, 128, 768), dimensions = (0, 1)}

    The simplest form has no such dims, but a reshape between a reduction and what repeats its
    result would end a kernel: a softmax or a layer norm of one batch is one walk over its rows
    only without it.  For the same reason what is done to the elements of a reduction is done
    before a reshape of it.  Runs last, as canonicalize would undo it.
    """
    sink = _sink_rule()
    rules = dict.fromkeys(sorted(ELEMENTWISE), (sink,))
    return rewrite(function, {**rules, "broadcast_in_dim": (_through_reshape,)})


def _sink_rule() -> Rule:
    """The rule that reshapes reductions after what is done to their elements."""
    followers: set[Value] = set()  # elementwise results that took the place of reshaped ones

    def source(rewriter: Rewriter, value: Value) -> Value | None:
        renamed = rewriter.producer(value, "reshape")
        if renamed is None:
            return None
        x = renamed.operands[0]
        return x if x in followers or rewriter.producer(x, "reduce") is not None else None

    def sink(rewriter: Rewriter, op: Op) -> Replacement:
        sources = [source(rewriter, value) for value in op.operands]
        shape = next((x.type.shape for x in sources if x is not None), None)
        if shape is None:
            return None
        operands: list[Value] = []
        for value, x in zip(op.operands, sources, strict=True):
            number = rewriter.splat(value)
            if x is not None and x.type.shape == shape:
                operands.append(x)
            elif number is not None:
                whole = value.type.shape == op.result.type.shape
                operands.append(
                    shorthand.full(rewriter, shape, number.item(), value.dtype) if whole else value
                )
            else:
                return None
        (result,) = rewriter.op(op.name, operands, op.attributes)
        followers.add(result)
        return shorthand.reshape(rewriter, result, op.result.type.shape)

    return sink


def _through_reshape(rewriter: Rewriter, op: Op) -> Replacement:
    (value,) = op.operands
    sources: list[Value] = []
    while (renamed := rewriter.producer(value, "reshape")) is not None:
        (value,) = renamed.operands
        sources.append(value)
    shape, dimensions = op.operands[0].type.shape, op.ints("dimensions")
    for x in reversed(sources):
        places = _places(x.type.shape, shape, dimensions)
        if places is not None and (not places or places[-1] < op.result.type.rank):
            return shorthand.broadcast_in_dim(rewriter, x, op.result.type.shape, places)
    return None


def _places(wide: Shape, narrow: Shape, dimensions: Sequence[int]) -> list[int] | None:
    """Where the dims of `wide` go if those of `narrow`, which lacks ones, go to `dimensions`."""
    places: list[int] = []
    rest = list(zip(narrow, dimensions, strict=True))
    for dim in wide:
        lowest = places[-1] + 1 if places else 0
        if rest and rest[0][0] == dim:
            places.append(rest.pop(0)[1])
        elif dim == 1 and (not rest or lowest < rest[0][1]):
            places.append(lowest)
        else:
            return None
    return places if not rest and _increases(places) else None


def _increases(places: Sequence[int]) -> bool:
    return all(a < b for a, b in pairwise(places))
