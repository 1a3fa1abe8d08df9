"""rng_bit_generator: random bits by Philox 4x32-10 from a state that the caller keeps.

The state is u64[3]: the key and the low and high half of the counter of the next block.  Block n
gives four words, which fill the result in row-major order.  With `row_blocks` > 0 each row (index
of the first dim) has that many blocks of its own and starts at the first of them.  Results are
the state after the last block and the words, as StableHLO orders them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dims import Affine
from tensorkiln.compiler.ir.dtypes import U32, U64
from tensorkiln.compiler.ir.function import Array, Attributes, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Const, Convert, Expr
from tensorkiln.compiler.ops.philox import halves, philox, philox_words
from tensorkiln.compiler.ops.record import (
    Cost,
    LoopContext,
    Loops,
    NoGradient,
    OpRecord,
    Types,
    bytes_moved,
)
from tensorkiln.compiler.ops.rules import check_count
from tensorkiln.runtime.errors import TypeRuleError

WORDS = 4  # of one block
STATE = TensorType((3,), U64)
_PARALLEL_BLOCKS = 4096  # fewer are not worth waking threads for
_FLOPS_PER_WORD = 20


def _rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    check_count(types, 1)
    if types[0] != STATE:
        raise TypeRuleError(f"C2: the state is {types[0]}, not {STATE}")
    shape, row_blocks = attributes["shape"], attributes["row_blocks"]
    assert isinstance(shape, tuple)
    assert isinstance(row_blocks, int)
    dims = tuple(d for d in shape if isinstance(d, int | Affine))
    if row_blocks < 0 or (row_blocks and not dims):
        raise TypeRuleError(f"C3: row_blocks is {row_blocks} for shape {shape}")
    row = [d for d in dims[1:] if isinstance(d, int)]
    if row_blocks and (len(row) < len(dims) - 1 or math.prod(row) > WORDS * row_blocks):
        raise TypeRuleError(f"C4: a row of shape {shape} takes more than {row_blocks} blocks")
    return (STATE, TensorType(dims, U32))


def _layout(op: Op) -> tuple[int, int, int]:
    """Rows, words of a row and blocks from one row to the next; all words are one row mostly."""
    shape = op.results[1].shape
    row_blocks = op.integer("row_blocks")
    if row_blocks:
        return shape[0], math.prod(shape[1:]), row_blocks
    words = math.prod(shape)
    return 1, words, -(-words // WORDS)


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    key, low, high = arrays[0].astype(np.uint64)
    rows, words, stride = _layout(op)
    first = np.arange(rows, dtype=np.uint64)[:, None] * np.uint64(stride)
    blocks = first + np.arange(-(-words // WORDS), dtype=np.uint64)
    lows = low + blocks
    found = philox(key, lows, high + (lows < low).astype(np.uint64))
    bits = found.reshape(rows, -1)[:, :words].reshape(op.results[1].shape)
    end = low + np.uint64(rows * stride)
    return [np.array([key, end, high + np.uint64(end < low)], np.uint64), bits]


def _counter(low: Expr, high: Expr, block: Expr) -> tuple[Expr, Expr]:
    """The halves of the 128-bit sum of the counter and a u64 number of blocks."""
    total = Binary("add", low, block)
    return total, Binary("add", high, Convert(Binary("lt", total, low), U64))


def _build(context: LoopContext, op: Op) -> None:
    (state,) = op.operands
    key, low, high = (context.read(state, (ix.const(k),)) for k in range(3))
    keys = [context.let(half) for half in halves(key)]
    rows, words, stride = _layout(op)

    def block(row: Expr, number: Expr, count: int) -> None:
        # The `count` first words of block `number` of the row.
        serial = Convert(ix.add(ix.mul(row, stride), number), U64)
        counter = [context.let(half) for half in _counter(low, high, context.let(serial))]
        halved = [context.let(half) for part in counter for half in halves(part)]
        made = philox_words(context, keys, halved)
        for k in range(count):
            word = ix.add(ix.mul(row, words), ix.add(ix.mul(number, WORDS), ix.const(k)))
            context.write(1, ix.unflatten(word, op.results[1].shape), made[k])

    whole, rest = divmod(words, WORDS)
    kind = "parallel" if rows * words >= WORDS * _PARALLEL_BLOCKS else "for"
    with context.loop(rows, kind if rows > 1 else "for") as row:
        with context.loop(whole, kind if rows == 1 else "for") as number:
            block(row, number, WORDS)
        if rest:
            block(row, ix.const(whole), rest)
    end = _counter(low, high, Const(rows * stride, U64))
    for k, part in enumerate((key, *end)):
        context.write(0, (ix.const(k),), part)


def _cost(op: Op) -> Cost:
    return Cost(_FLOPS_PER_WORD * op.results[1].type.elements, bytes_moved(op))


RECORDS = (
    OpRecord(
        "rng_bit_generator",
        {"shape": "dims", "row_blocks": "int"},
        _rule,
        _evaluate,
        NoGradient("random bits do not depend on floats"),
        Loops(_build),
        _cost,
    ),
)
