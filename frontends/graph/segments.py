"""Rows folded by the segments that they belong to, in tensor IR."""

from __future__ import annotations

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.reducers import identity
from tensorkiln.frontends.graph import dtypes

_REDUCERS = {
    "Sum": "add", "Mean": "add", "SqrtN": "add", "Prod": "multiply", "Max": "maximum",
    "Min": "minimum",
}  # fmt: skip


def folded(
    builder: Builder, kind: str, data: Value, ids: Value, count: int, empty: float | None
) -> Value:
    """Rows of `data` (dims behind those of `ids`) folded by segment; ids out of range are left out.

    Segments without rows get `empty`; None: what the fold starts from.
    """
    rest, many, reducer = data.shape[len(ids.shape) :], ids.type.elements, _REDUCERS[kind]
    lowest_finite = data.dtype.is_float and kind in ("Max", "Min")
    start = _finite_extreme(data, kind) if lowest_finite else identity(reducer, data.dtype)
    shape = (count, *rest)
    result = shorthand.full(builder, shape, start, data.dtype)
    if 0 in (*shape, many):
        return result if empty is None else shorthand.full(builder, shape, empty, data.dtype)
    flat = shorthand.reshape(builder, ids, (many,))
    rows = shorthand.reshape(builder, data, (many, *rest))
    result = _scattered(builder, result, flat, rows, reducer)
    if kind in ("Mean", "SqrtN"):
        return _divided(builder, kind, result, _counts(builder, flat, count))
    if empty is None or empty == start:
        return result
    number = _counts(builder, flat, count)
    none = shorthand.compare(builder, "EQ", number, shorthand.zeros_like(builder, number))
    spread = shorthand.broadcast_in_dim(builder, none, shape, (0,))
    filler = shorthand.full(builder, shape, empty, data.dtype)
    return shorthand.select(builder, spread, filler, result)


def _finite_extreme(data: Value, kind: str) -> float:
    limits = dtypes.as_dtype(data.dtype.numpy)
    return limits.min if kind == "Max" else limits.max


def _scattered(builder: Builder, x: Value, ids: Value, rows: Value, reducer: str) -> Value:
    return builder.one(
        "scatter",
        (x, ids, rows),
        update_window_dims=tuple(range(1, len(rows.shape))),
        inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0,),
        index_vector_dim=1,
        reducer=reducer,
    )


def _counts(builder: Builder, ids: Value, count: int) -> Value:
    """How many rows each segment has."""
    zeros = shorthand.full(builder, (count,), 0, ids.dtype)
    return _scattered(builder, zeros, ids, shorthand.ones_like(builder, ids), "add")


def _divided(builder: Builder, kind: str, total: Value, counts: Value) -> Value:
    at_least = shorthand.binary(builder, "maximum", counts, shorthand.ones_like(builder, counts))
    number = shorthand.convert(builder, at_least, total.dtype)
    if kind == "SqrtN":
        number = builder.one("sqrt", (number,))
    spread = shorthand.broadcast_in_dim(builder, number, total.shape, (0,))
    return builder.one("divide", (total, spread))
