"""The op merge_sort: rows of 64-bit words in ascending order, by merging runs from the bottom up.

`sort` packs a key of 32 bits and a position into each word, so that equal keys keep their order.
The first `keep` words of each row are found, zeros follow.  The second result is the memory that
runs are merged into by turns; it is zeros when all is done.

    runs of 16 words by rank:   rank[i] = number of words that belong before word i
    runs of 32, 64, ... words:  the smaller of the two first words that are left, again and again,
                                and from the other end the greater of the two last ones
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from tensorkiln.compiler.ir.dtypes import I64, U64
from tensorkiln.compiler.ir.function import Array, Attributes, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Const, Convert, Expr, Select
from tensorkiln.compiler.kernel.index import ZERO, add, const, floordiv, mul, sub
from tensorkiln.compiler.ops.checks import at_most, expect, require
from tensorkiln.compiler.ops.record import (
    Cost,
    LoopContext,
    Loops,
    NoGradient,
    OpRecord,
    Types,
    bytes_moved,
)

RUN = 16  # words that are sorted by counting
_PARALLEL_WORDS = 1 << 14  # below that, waking threads costs more than it gives
_TRIP_FLOPS = 6  # of a merged word, or of a pair of words that is counted


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the words are u64 in rows.  C2: keep is from 0 to the length of a row."""
    (words,), keep = expect(types, 1), attributes["keep"]
    require(words.dtype == U64 and words.rank == 2, f"C1: {words} is not u64 in rows")
    assert isinstance(keep, int)
    fits = keep >= 0 and at_most(keep, words.shape[1])
    require(fits, f"C2: keep is {keep} for rows of {words.shape[1]}")
    return words, words


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    found = np.sort(arrays[0], axis=1)
    found[:, op.integer("keep") :] = 0
    return [found, np.zeros_like(found)]


def _widths(length: int) -> list[int]:
    """The lengths of the runs that each pass merges by twos."""
    widths = [RUN]
    while widths[-1] < length:
        widths.append(2 * widths[-1])
    return widths[:-1]


def _build(context: LoopContext, op: Op) -> None:
    rows, length = op.results[0].shape
    many = rows * length >= _PARALLEL_WORDS
    outer = "parallel" if many and rows > 1 else "for"
    inner = "parallel" if many and rows == 1 else "for"
    widths = _widths(length)
    with context.loop(rows, outer) as row:
        target = len(widths) % 2
        _count(context, op, row, target, inner)
        for width in widths:
            _merge(context, op, row, 1 - target, width, inner)
            target = 1 - target
        for result, start in ((0, op.integer("keep")), (1, 0)):
            with context.loop(length - start) as k:
                context.write(result, (row, add(k, const(start))), Const(0, U64))


def _count(context: LoopContext, op: Op, row: Expr, target: int, kind: str) -> None:
    """Sorts runs of RUN words: lane i counts the words that belong before word i."""
    (words,), length = op.operands, op.results[0].shape[1]
    with context.loop(-(-length // RUN), kind) as run:
        start = mul(run, RUN)
        size = context.let(Binary("min", const(RUN), sub(const(length), start)))
        rank = context.local((RUN,), I64)
        with context.loop(RUN, "vector") as lane:
            context.store(rank, (lane,), ZERO)
        with context.between(ZERO, size, RUN) as other:
            against = context.read(words, (row, add(start, other)))
            with context.loop(RUN, "vector") as lane, context.guard(Binary("lt", lane, size)):
                mine = context.read(words, (row, add(start, lane)))
                tie = Binary("and", Binary("eq", against, mine), Binary("lt", other, lane))
                before = Binary("or", Binary("lt", against, mine), tie)
                counted = Binary("add", context.load(rank, (lane,)), Convert(before, I64))
                context.store(rank, (lane,), counted)
        with context.loop(RUN, "vector") as lane, context.when(Binary("lt", lane, size)):
            mine = context.read(words, (row, add(start, lane)))
            place = context.load(rank, (lane,))
            context.write(target, (row, Binary("add", start, place)), mine)


def _merge(context: LoopContext, op: Op, row: Expr, target: int, width: int, kind: str) -> None:
    """Merges runs of `width` words by twos from the other result into result `target`."""
    length, keep = op.results[0].shape[1], op.integer("keep")
    with context.loop(-(-length // (2 * width)), kind) as pair:
        start = mul(pair, 2 * width)
        middle = context.let(Binary("min", add(start, const(width)), const(length)))
        end = context.let(Binary("min", add(start, const(2 * width)), const(length)))
        bounds = (start, middle, end)
        forward, backward = context.local((), I64), context.local((), I64)
        context.store(forward, (), start)
        if keep < length:  # words beyond those that are kept are left as they are
            stop = context.let(Binary("min", end, add(start, const(keep))))
            with context.between(start, stop, length) as k:
                _first(context, op, row, target, bounds, k, forward)
            return
        context.store(backward, (), Binary("sub", middle, const(1)))
        # With an odd number of words both ends come to the one in the middle.
        half = floordiv(Binary("sub", add(end, const(1)), start), 2)
        with context.between(ZERO, context.let(half), length) as k:
            _first(context, op, row, target, bounds, add(start, k), forward)
            _last(context, op, row, target, bounds, k, backward)


_Bounds: TypeAlias = tuple[Expr, Expr, Expr]


def _first(
    context: LoopContext, op: Op, row: Expr, target: int, bounds: _Bounds, k: Expr, at: Buffer
) -> None:
    """Puts the smaller of the first words that are left at `k`.

    `at` holds i, the first word left of the left run; k + middle - i is the right run's.
    """
    (_, middle, end), last = bounds, const(op.results[0].shape[1] - 1)
    i = context.load(at, ())
    j = context.let(Binary("sub", Binary("add", k, middle), i))
    left = context.read_result(1 - target, (row, Binary("min", i, last)))
    right = context.read_result(1 - target, (row, Binary("min", j, last)))
    before = Binary("or", Binary("ge", j, end), Binary("le", left, right))
    chosen = context.let(Binary("and", Binary("lt", i, middle), before))
    context.store(at, (), Binary("add", i, Convert(chosen, I64)))
    context.write(target, (row, k), Select(chosen, left, right))


def _last(
    context: LoopContext, op: Op, row: Expr, target: int, bounds: _Bounds, k: Expr, at: Buffer
) -> None:
    """Puts the greater of the last words that are left at `end - 1 - k`.

    `at` holds i, the last word left of the left run; the right run's is end - 2 - k + middle - i.
    """
    start, middle, end = bounds
    i = context.load(at, ())
    place = context.let(Binary("sub", Binary("sub", end, const(1)), k))
    j = context.let(Binary("sub", Binary("sub", add(place, middle), const(1)), i))
    left = context.read_result(1 - target, (row, Binary("max", i, ZERO)))
    right = context.read_result(1 - target, (row, Binary("max", j, ZERO)))
    behind = Binary("or", Binary("lt", j, middle), Binary("gt", left, right))
    chosen = context.let(Binary("and", Binary("ge", i, start), behind))
    context.store(at, (), Binary("sub", i, Convert(chosen, I64)))
    context.write(target, (row, place), Select(chosen, left, right))


def _cost(op: Op) -> Cost:
    """Each word is counted against those of its run, and merged once a pass."""
    passes = RUN + len(_widths(op.results[0].shape[1]))
    return Cost(_TRIP_FLOPS * passes * op.operands[0].type.elements, bytes_moved(op))


RECORDS = (
    OpRecord(
        "merge_sort", {"keep": "int"}, _types, _evaluate,
        NoGradient("words are packed bits; sort, which packs them, has a gradient"),
        Loops(_build), _cost,
    ),
)  # fmt: skip
