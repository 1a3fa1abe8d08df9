"""Rows of a tensor changed at places that only a run knows."""

from __future__ import annotations

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.builder import Builder


def add_rows(builder: Builder, x: Value, indices: Value, rows: Value) -> Value:
    """`x` with `rows[k]` added to its row `indices[k]`; equal indices add up."""
    return _scattered(builder, x, indices, rows, "add")


def put_rows(builder: Builder, x: Value, indices: Value, rows: Value) -> Value:
    """`x` with its row `indices[k]` replaced by `rows[k]`; the last of equal indices wins."""
    return _scattered(builder, x, indices, rows, "set")


def _scattered(builder: Builder, x: Value, indices: Value, rows: Value, reducer: str) -> Value:
    return builder.one(
        "scatter",
        (x, indices, rows),
        update_window_dims=tuple(range(1, rows.type.rank)),
        inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0,),
        index_vector_dim=1,
        reducer=reducer,
    )
