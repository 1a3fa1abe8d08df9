"""Open sizes through random bits: the same numbers as for the sizes of the call alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.dtypes import I32, U64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.rng import WORDS
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    compare,
    concat,
    convert,
    iota,
    reshape,
    scalar,
    slice_axis,
    take,
)
from tensorkiln.compiler.sizes.bounder import Bounder, Open, Rule
from tensorkiln.compiler.sizes.factors import closed, is_open, normal
from tensorkiln.compiler.sizes.numbering import all_elements, elements_in_use
from tensorkiln.compiler.sizes.samples import Sampled


def _bits(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    """Words are numbered through the array of the call's own sizes."""
    (state,) = operands
    op, builder = sampled.op, bounder.builder
    shape = op.results[1].shape
    dims = tuple(sampled.dim(axis, 1) for axis in range(len(shape)))
    row_blocks = op.integer("row_blocks")
    if not sampled.same("row_blocks"):
        raise sampled.unsupported("the blocks of its rows depend on the sizes")
    _, words = builder.append(op, [state.value])
    if row_blocks or not any(map(is_open, dims[1:])):
        if row_blocks:
            rows, blocks = elements_in_use(bounder, dims[0]), scalar(builder, row_blocks, I32)
            step = binary(builder, "multiply", rows, blocks)
        else:
            step = _blocks(bounder, elements_in_use(bounder, all_elements(dims)))
        return [_after(bounder, state.value, step), Open(words, dims)]
    size = math.prod(shape)
    if size >= 1 << 31:
        raise sampled.unsupported(f"{size} random words are too many to be numbered")
    number: Value | None = None
    for axis, dim in enumerate(dims):
        place = broadcast_in_dim(builder, iota(builder, (shape[axis],), 0, I32), shape, (axis,))
        if len(normal(dim)) > 1:
            raise sampled.unsupported(f"dim {axis} is a product of open sizes")
        if number is None:
            number = place
            continue
        extent = bounder.extent(normal(dim)[0].extent)
        spread = broadcast_in_dim(builder, extent, shape, ())
        number = binary(builder, "add", binary(builder, "multiply", number, spread), place)
    assert number is not None
    taken = take(builder, reshape(builder, words, (size,)), number)
    return [_after(bounder, state.value, _blocks(bounder, elements_in_use(bounder, all_elements(dims)))),
            Open(taken, dims)]  # fmt: skip


def _blocks(bounder: Bounder, words: Value) -> Value:
    builder = bounder.builder
    more = binary(builder, "add", words, scalar(builder, WORDS - 1, I32))
    return binary(builder, "divide", more, scalar(builder, WORDS, I32))


def _after(bounder: Bounder, state: Value, blocks: Value) -> Open:
    """The state after so many blocks: key, and the 128 bits of the counter in two halves."""
    builder = bounder.builder
    key, low, high = (slice_axis(builder, state, 0, k, k + 1) for k in range(3))
    step = broadcast_in_dim(builder, convert(builder, blocks, U64), (1,), ())
    end = binary(builder, "add", low, step)
    carry = convert(builder, compare(builder, "LT", end, low), U64)
    value = concat(builder, [key, end, binary(builder, "add", high, carry)], 0)
    return Open(value, (closed(3),))


RANDOM_RULES: Mapping[str, Rule] = {"rng_bit_generator": _bits}
