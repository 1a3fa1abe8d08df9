"""Broadcasts read through reshapes that only drop dims of size 1."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tensorkiln.compiler.ir.dims import Shape
from tensorkiln.compiler.ir.function import Function, Op
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, rewrite


def broadcast_reshapes(function: Function) -> Function:
    """Lets a broadcast repeat a value as it was made, its dims of size 1 included.

        %1 = reshape(%x: f32[1,128]) {shape = (128)}
        %2 = broadcast_in_dim(%1) {shape = (1, 128, 768), dimensions = (1)}

            ->    %2 = broadcast_in_dim(%x) {shape = (1, 128, 768), dimensions = (0, 1)}

    The simplest form has no such dims, but a reshape between a reduction and what repeats its
    result would end a kernel: a softmax or a layer norm of one batch is one walk over its rows
    only without it.  Runs last, as canonicalize would undo it.
    """
    return rewrite(function, {"broadcast_in_dim": (_through_reshape,)})


def _through_reshape(rewriter: Rewriter, op: Op) -> Replacement:
    renamed = rewriter.producer(op.operands[0], "reshape")
    if renamed is None:
        return None
    x = renamed.operands[0]
    places = _places(x.type.shape, op.operands[0].type.shape, op.ints("dimensions"))
    if places is None or (places and places[-1] >= op.result.type.rank):
        return None
    return shorthand.broadcast_in_dim(rewriter, x, op.result.type.shape, places)


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
