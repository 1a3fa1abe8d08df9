"""Numbers as unsigned words that are ordered as the numbers are.

The bits of floats, read as sign and magnitude, are ordered already: with the sign bit flipped, and
all bits flipped where it was set, they are ordered as unsigned numbers (IEEE 754-2019, 5.10).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import F32, F64, I32, I64, U32, U64, DType, dtype_of
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.shorthand import (
    binary,
    compare,
    convert,
    full_like,
    scalar,
    select,
    zeros_like,
)

WORD = 32
_WIDER: dict[int, tuple[DType, DType, DType]] = {32: (F32, I32, U32), 64: (F64, I64, U64)}


def _width(dtype: DType) -> int:
    return 64 if dtype.bits == 64 else 32


def key_array(x: Array, descending: bool, total: bool) -> Array:
    """The keys of an array, u32 or u64: keys are ordered as the elements are to be sorted.

    Without `total`, zeros of both signs are equal and a NaN of any kind is the greatest.
    """
    dtype = dtype_of(x.dtype)
    width = _width(dtype)
    wide_float, wide_int, word = (d.numpy for d in _WIDER[width])
    top = word.type(1 << (width - 1))
    if dtype.is_float:
        wide = x.astype(wide_float)
        if not total:
            wide = np.where(wide == 0, wide_float.type(0), wide)
            wide = np.where(np.isnan(wide), wide_float.type(np.nan), wide)
        bits = np.ascontiguousarray(wide).view(word)
        keys = np.where(bits & top, ~bits, bits | top)
    elif dtype.is_signed:
        keys = x.astype(wide_int).view(word) ^ top
    else:
        keys = x.astype(word)
    return np.asarray(~keys if descending else keys)


def key_words(builder: Builder, x: Value, descending: bool, total: bool) -> Sequence[Value]:
    """The keys of `key_array` as one u32 tensor, or as two of 64 bits' upper and lower halves."""
    width = _width(x.dtype)
    wide_float, wide_int, word = _WIDER[width]
    top = scalar(builder, 1 << (width - 1), word)
    if x.dtype.is_float:
        wide = convert(builder, x, wide_float)
        if not total:
            zeros = zeros_like(builder, wide)
            wide = select(builder, compare(builder, "EQ", wide, zeros), zeros, wide)
            number = compare(builder, "EQ", wide, wide)
            wide = select(builder, number, wide, full_like(builder, wide, float("nan")))
        bits = builder.one("bitcast_convert", (wide,), dtype=word)
        negative = compare(builder, "GE", bits, top)
        flipped, moved = builder.one("not", (bits,)), binary(builder, "or", bits, top)
        keys = select(builder, negative, flipped, moved)
    elif x.dtype.is_signed:
        bits = builder.one("bitcast_convert", (convert(builder, x, wide_int),), dtype=word)
        keys = binary(builder, "xor", bits, top)
    else:
        keys = convert(builder, x, word)
    if descending:
        keys = builder.one("not", (keys,))
    if width == WORD:
        return (keys,)
    upper = binary(builder, "shift_right_logical", keys, scalar(builder, WORD, U64))
    return convert(builder, upper, U32), convert(builder, keys, U32)
