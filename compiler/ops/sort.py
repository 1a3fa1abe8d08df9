"""The op sort: several tensors sorted together along one dim, stably.

Name and meaning are StableHLO's; the comparator is given by attributes instead of a region.  The
first `len(descending)` operands are keys, the first key deciding first; a 1 in `descending` turns
the order of its key round.  Floats are ordered as numbers, zeros of both signs are equal, and any
NaN is the greatest; with `total_order` they are ordered as IEEE 754's totalOrder does it.

One pass sorts words of 32 bits of key and the position by merge_sort; keys of more bits take a
pass for each 32, the least significant first (a radix sort: each pass keeps the order of equals).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import I32, U32, U64
from tensorkiln.compiler.ir.function import Array, Attribute, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.along import put_along, take_along
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import ints, require
from tensorkiln.compiler.ops.record import Composite, Cost, OpRecord, Types, bytes_moved
from tensorkiln.compiler.ops.shorthand import (
    axis_of,
    binary,
    convert,
    iota,
    reshape,
    scalar,
    slice_axis,
    transpose,
)
from tensorkiln.compiler.ops.sort_keys import WORD, key_array, key_words

Cotangents = Sequence[Value | None]
_LONGEST = 1 << 31  # positions are i32


def sort(
    builder: Builder,
    operands: Sequence[Value],
    axis: int = -1,
    descending: Sequence[bool] = (False,),
    total_order: bool = False,
) -> tuple[Value, ...]:
    """The operands sorted along `axis` by the first of them, one for each entry of `descending`."""
    attributes: dict[str, Attribute] = {
        "dimension": axis_of(axis, operands[0].type.rank),
        "descending": tuple(int(d) for d in descending),
        "total_order": total_order,
    }
    return builder.op("sort", operands, attributes)


def argsort(
    builder: Builder, x: Value, axis: int = -1, descending: bool = False, keep: int | None = None
) -> Value:
    """The positions (i32) along `axis` of the elements in order; equal elements keep theirs.

    With `keep` only the first so many are found.
    """
    return order_of(builder, (x,), axis_of(axis, x.type.rank), (descending,), False, keep)


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: there are operands, all of one shape.  C2: dimension is a dim of theirs.  C3: descending
    has an entry of 0 or 1 for each key, at least one and no more than there are operands; complex
    numbers have no order and are no keys.  C4: positions along the dim fit in i32."""
    require(bool(types), "C1: there are no operands")
    shape, axis = types[0].shape, attributes["dimension"]
    same = all(t.shape == shape for t in types)
    require(same, f"C1: shapes differ: {', '.join(map(str, types))}")
    fits = isinstance(axis, int) and 0 <= axis < len(shape)
    require(fits, f"C2: {types[0]} has no dimension {axis}")
    assert isinstance(axis, int)
    keys = ints(attributes, "descending")
    fits = 0 < len(keys) <= len(types) and set(keys) <= {0, 1}
    require(fits, f"C3: descending is {keys} for {len(types)} operands")
    is_ordered = not any(t.dtype.is_complex for t in types[: len(keys)])
    require(is_ordered, f"C3: keys {', '.join(map(str, types[: len(keys)]))} have no order")
    size = shape[axis]
    require(not isinstance(size, int) or size < _LONGEST, f"C4: {size} elements are too many")
    return tuple(types)


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    axis = op.integer("dimension")
    keys = [
        key_array(array, bool(turned), op.flag("total_order"))
        for array, turned in zip(arrays, op.ints("descending"), strict=False)
    ]
    order = np.lexsort(keys[::-1], axis=axis)
    return [np.take_along_axis(array, order, axis) for array in arrays]


def order_of(
    builder: Builder,
    keys: Sequence[Value],
    axis: int,
    descending: Sequence[bool],
    total: bool,
    keep: int | None = None,
) -> Value:
    """The positions (i32) along `axis` that sort the keys; the first `keep` of them."""
    rank = keys[0].type.rank
    last = [k for k in range(rank) if k != axis] + [axis]
    words: list[Value] = []
    for key, turned in zip(keys, descending, strict=True):
        words += key_words(builder, transpose(builder, key, last), turned, total)
    shape = words[0].shape
    rows = (math.prod(shape[:-1]), shape[-1])
    kept = shape[-1] if keep is None else keep
    order: Value | None = None
    for number, word in reversed(list(enumerate(words))):
        flat = reshape(builder, word, rows)
        order = _pass(builder, flat, order, rows[1] if number else kept)
    assert order is not None
    back = [last.index(k) for k in range(rank)]
    return transpose(builder, reshape(builder, order, (*shape[:-1], kept)), back)


def _pass(builder: Builder, word: Value, order: Value | None, keep: int) -> Value:
    """`order` sorted stably by `word`, both in rows; the first `keep` of each row."""
    if order is not None:
        word = take_along(builder, word, order, 1)
    upper = binary(builder, "shift_left", convert(builder, word, U64), scalar(builder, WORD, U64))
    places = iota(builder, word.shape, 1, U64)
    packed = builder.one("or", (upper, places))
    found, _ = builder.op("merge_sort", (packed,), {"keep": keep})
    lower = convert(builder, convert(builder, slice_axis(builder, found, 1, 0, keep), U32), I32)
    return lower if order is None else take_along(builder, order, lower, 1)


def _order(builder: Builder, op: Op) -> Value:
    turned = [bool(d) for d in op.ints("descending")]
    keys = op.operands[: len(turned)]
    return order_of(builder, keys, op.integer("dimension"), turned, op.flag("total_order"))


def _body(builder: Builder, op: Op) -> Sequence[Value]:
    order = _order(builder, op)
    return [take_along(builder, x, order, op.integer("dimension")) for x in op.operands]


def _gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """Each cotangent goes back to where its element came from."""
    axis = op.integer("dimension")
    order = _order(builder, op)
    return [
        put_along(builder, g.shape, order, g, axis) if g is not None and x.dtype.is_float else None
        for x, g in zip(op.operands, cotangents, strict=True)
    ]


def _cost(op: Op) -> Cost:
    """n log2(n) comparisons of each row for each 32 bits of key."""
    keys = op.operands[: len(op.ints("descending"))]
    length = op.results[0].shape[op.integer("dimension")]
    passes = sum(max(k.dtype.bits, WORD) // WORD for k in keys)
    depth = max(1, math.ceil(math.log2(max(length, 1))))
    return Cost(op.results[0].type.elements * depth * passes, bytes_moved(op))


RECORDS = (
    OpRecord(
        "sort",
        {"dimension": "int", "descending": "ints", "total_order": "bool"},
        _types,
        _evaluate,
        _gradient,
        Composite(_body),
        _cost,
    ),
)
