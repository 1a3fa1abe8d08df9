"""The op merge_sort: rows of 64-bit words in ascending order, by merging runs from the bottom up.

`sort` packs a key of 32 bits and a position into each word, so that equal keys keep their order.
The second result is the memory that runs are merged into by turns; it is zeros when all is done.

    runs of 16 words by rank:   rank[i] = number of words that belong before word i
    runs of 32, 64, ... words:  the smaller of the two first words that are left, again and again
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import I64, U64
from tensorkiln.compiler.ir.function import Array, Attributes, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Const, Convert, Expr, Select
from tensorkiln.compiler.kernel.index import ZERO, add, const, mul, sub
from tensorkiln.compiler.ops.checks import expect, require
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
    """C1: the words are u64 in rows."""
    (words,) = expect(types, 1)
    require(words.dtype == U64 and words.rank == 2, f"C1: {words} is not u64 in rows")
    return words, words


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [np.sort(arrays[0], axis=1), np.zeros_like(arrays[0])]


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
        with context.loop(length) as k:
            context.write(1, (row, k), Const(0, U64))


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
    """Merges runs of `width` words by twos from the other result into result `target`.

    After k words of which i - start came from the left, the right run is at k + middle - i.
    """
    source, length = 1 - target, op.results[0].shape[1]
    last = const(length - 1)
    with context.loop(-(-length // (2 * width)), kind) as pair:
        start = mul(pair, 2 * width)
        middle = context.let(Binary("min", add(start, const(width)), const(length)))
        end = context.let(Binary("min", add(start, const(2 * width)), const(length)))
        position = context.local((), I64)
        context.store(position, (), start)
        with context.between(start, end, length) as k:
            i = context.load(position, ())
            j = context.let(Binary("sub", Binary("add", k, middle), i))
            left = context.read_result(source, (row, Binary("min", i, last)))
            right = context.read_result(source, (row, Binary("min", j, last)))
            first = Binary("or", Binary("ge", j, end), Binary("le", left, right))
            chosen = context.let(Binary("and", Binary("lt", i, middle), first))
            context.store(position, (), Binary("add", i, Convert(chosen, I64)))
            context.write(target, (row, k), Select(chosen, left, right))


def _cost(op: Op) -> Cost:
    """Each word is counted against those of its run, and merged once a pass."""
    passes = RUN + len(_widths(op.results[0].shape[1]))
    return Cost(_TRIP_FLOPS * passes * op.operands[0].type.elements, bytes_moved(op))


RECORDS = (
    OpRecord(
        "merge_sort", {}, _types, _evaluate,
        NoGradient("words are packed bits; sort, which packs them, has a gradient"),
        Loops(_build), _cost,
    ),
)  # fmt: skip
