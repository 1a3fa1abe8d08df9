"""Random numbers from Philox bits, the very numbers that TensorFlow draws for the same seeds.

Each function appends ops that draw one tensor from a state (compiler/ops/rng.py) and leaves the
state as it is; `next_state` gives the state for the next run of the same op, as TensorFlow's
kernels reserve it.  Sources: TensorFlow's public documentation of its random ops, and Box, Muller:
A Note on the Generation of Random Normal Deviates (1958).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dims import Dim, is_static
from tensorkiln.compiler.ir.dtypes import BF16, F16, F32, F64, I32, U16, U32, U64, DType
from tensorkiln.compiler.ir.function import Array, Attribute, Value
from tensorkiln.compiler.ops import glibc_f32, glibc_f64, shorthand
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.rng import WORDS
from tensorkiln.runtime.errors import UnsupportedError

_RESERVED = 256  # blocks that TensorFlow sets aside for each number drawn
_LEAST = 1e-7  # instead of a uniform 0, whose logarithm is infinite
_CUTOFF = 2.0  # standard deviations at which the truncated normal ends

# Stored bits of the significand, and the bits of 1.0.
_ONES: dict[DType, tuple[DType, int, int]] = {
    F16: (U16, 0x3FF, 0x3C00),
    BF16: (U16, 0x7F, 0x3F80),
    F32: (U32, 0x7FFFFF, 0x3F800000),
    F64: (U64, 0xFFFFFFFFFFFFF, 0x3FF0000000000000),
}


def initial_state(seed: int, seed2: int) -> Array:
    """The state u64[3] of a random op with TensorFlow's `seed` and `seed2` attributes."""
    mask = (1 << 64) - 1
    return np.array([seed & mask, 0, seed2 & mask], np.uint64)


def next_state(builder: Builder, state: Value, elements: int) -> Value:
    """The state after an op has drawn `elements` numbers (the counter's low half never wraps)."""
    step = np.array([0, _RESERVED * elements, 0], np.uint64)
    return builder.one("add", (state, builder.constant(step)))


def bits(builder: Builder, state: Value, shape: Sequence[Dim], row_blocks: int = 0) -> Value:
    """Random u32 words."""
    attributes: dict[str, Attribute] = {"shape": tuple(shape), "row_blocks": row_blocks}
    return builder.op("rng_bit_generator", (state,), attributes)[1]


def uniform(builder: Builder, state: Value, shape: Sequence[Dim], dtype: DType = F32) -> Value:
    """Floats in [0, 1), evenly spaced by the dtype's epsilon."""
    wide = (*shape, 2) if dtype == F64 else tuple(shape)
    return _unit(builder, bits(builder, state, wide), dtype)


def uniform_integers(
    builder: Builder, state: Value, shape: Sequence[Dim], low: Value, high: Value
) -> Value:
    """Integers (i32 or i64) in [low, high), which are scalars; bits modulo the range."""
    dtype = low.dtype
    if dtype == I32:
        words = bits(builder, state, shape)
    else:
        words = _pairs(builder, bits(builder, state, (*shape, 2)), swapped=True)
    span, start = (
        builder.one("bitcast_convert", (v,), dtype=words.dtype)
        for v in (builder.one("subtract", (high, low)), low)
    )
    remainder = shorthand.binary(builder, "remainder", words, span)
    shifted = shorthand.binary(builder, "add", remainder, start)
    return builder.one("bitcast_convert", (shifted,), dtype=dtype)


def normal(builder: Builder, state: Value, shape: Sequence[Dim], dtype: DType = F32) -> Value:
    """Floats with mean 0 and standard deviation 1; the shape must be static."""
    count = _count(shape)
    drawn = _box_muller(builder, bits(builder, state, (-(-count // 2), *_source(dtype))), dtype)
    return _shaped(builder, drawn, shape, dtype)


def truncated_normal(
    builder: Builder, state: Value, shape: Sequence[Dim], dtype: DType = F32
) -> Value:
    """Normal floats, drawn again where beyond two standard deviations; the shape must be static.

    TensorFlow draws one block's worth of numbers at a time, from blocks reserved for them, until
    enough are accepted.  Here so many candidates are drawn that a group lacks one with a
    probability below 1e-13; such a number would be 0.
    """
    group, candidates = (2, 12) if dtype == F64 else (4, 16)
    groups = -(-_count(shape) // group)
    row_blocks = group * _RESERVED // WORDS
    words = bits(builder, state, (groups, candidates // 2, *_source(dtype)), row_blocks)
    drawn = Formula(builder, _box_muller(builder, words, dtype))
    drawn = _reshape(drawn, (groups, 1, candidates))
    accepted = drawn.apply("abs").compare("LT", _CUTOFF)
    # The rank of a candidate is the number of accepted ones before it; output j is the accepted
    # candidate of rank j, picked out of the row by a sum of which all other terms are 0.
    earlier = np.tri(candidates, k=-1, dtype=np.int32)
    before = accepted.convert(I32) * Formula(builder, builder.constant(earlier))
    rank = _reshape(before.sum((2,)), (groups, 1, candidates))
    wanted = Formula(builder, builder.constant(np.arange(group, dtype=np.int32).reshape(group, 1)))
    chosen = rank.compare("EQ", wanted)
    spread = shorthand.broadcast_to(builder, accepted.value, chosen.value.type.shape)
    chosen = Formula(builder, builder.one("and", (chosen.value, spread)))
    return _shaped(builder, chosen.keep(drawn).sum((2,)).value, shape, dtype)


def _source(dtype: DType) -> tuple[int, ...]:
    """The shape of the words from which one pair of normal numbers is made."""
    return (2, 2) if dtype == F64 else (2,)


def _unit(builder: Builder, words: Value, dtype: DType) -> Value:
    """Words as floats in [0, 1): random bits as the significand of a number in [1, 2), less 1."""
    kind, mask, one = _ONES[dtype]
    if dtype == F64:
        words = _pairs(builder, words)
    pattern = shorthand.convert(builder, words, kind)
    masked = shorthand.binary(builder, "and", pattern, shorthand.scalar(builder, mask, kind))
    filled = shorthand.binary(builder, "or", masked, shorthand.scalar(builder, one, kind))
    number = builder.one("bitcast_convert", (filled,), dtype=dtype)
    return (Formula(builder, number) - 1.0).value


def _pairs(builder: Builder, words: Value, swapped: bool = False) -> Value:
    """u64 from the pairs of u32 in the last dim, the first the high half (`swapped`: the low)."""
    first, second = (
        shorthand.convert(builder, _member(builder, words, -1, k), U64) for k in range(2)
    )
    high, low = (second, first) if swapped else (first, second)
    half = shorthand.scalar(builder, 32, U64)
    return builder.one("or", (shorthand.binary(builder, "shift_left", high, half), low))


def _member(builder: Builder, x: Value, axis: int, number: int) -> Value:
    """The slice at index `number` of `axis`, without that dim."""
    part = shorthand.slice_axis(builder, x, axis, number, number + 1)
    return shorthand.squeeze(builder, part, (axis,))


def _box_muller(builder: Builder, words: Value, dtype: DType) -> Value:
    """Pairs of normal numbers, in a new last dim, from pairs of words (of pairs for f64).

    r = sqrt(-2 log u), numbers r sin(2 pi v) and r cos(2 pi v) for uniform u and v.
    """
    kind = F64 if dtype == F64 else F32
    axis = -2 if dtype == F64 else -1
    u, v = (
        Formula(builder, _unit(builder, _member(builder, words, axis, k), kind)) for k in range(2)
    )
    u = u.maximum(_LEAST)
    # The angle is rounded once: the product is taken in f64.
    angle = (v.convert(F64) * (2 * math.pi)).convert(kind)
    functions = glibc_f64 if dtype == F64 else glibc_f32
    radius = (functions.log(u) * -2.0).apply("sqrt")
    numbers = [(number * radius).value for number in functions.sine_and_cosine(angle)]
    return shorthand.stack(builder, numbers, -1)


def _reshape(x: Formula, shape: Sequence[int]) -> Formula:
    return Formula(x.builder, shorthand.reshape(x.builder, x.value, shape))


def _count(shape: Sequence[Dim]) -> int:
    if not is_static(shape):
        raise UnsupportedError(f"normal numbers of the symbolic shape {tuple(map(str, shape))}")
    return math.prod(d for d in shape if isinstance(d, int))


def _shaped(builder: Builder, drawn: Value, shape: Sequence[Dim], dtype: DType) -> Value:
    """The first numbers of `drawn` in row-major order, in `shape` and `dtype`."""
    flat = shorthand.reshape(builder, drawn, (drawn.type.elements,))
    first = shorthand.slice_axis(builder, flat, 0, 0, _count(shape))
    return shorthand.convert(builder, shorthand.reshape(builder, first, shape), dtype)
