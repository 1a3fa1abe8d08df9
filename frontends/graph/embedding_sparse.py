"""Rows of embedding tables, combined for each row of a SparseTensor of ids."""

from __future__ import annotations

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.embedding import embedding_lookup, tables_of
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_segment import segment_sum
from tensorkiln.frontends.graph.ops_select import where_v2
from tensorkiln.frontends.graph.ops_shape import expand_dims
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.sparse_ops import (
    sparse_fill_empty_rows,
    sparse_reshape,
    sparse_retain,
)
from tensorkiln.frontends.graph.sparse_tensor import SparseTensor
from tensorkiln.frontends.graph.statics import static_shape
from tensorkiln.frontends.graph.tensor import Tensor


def embedding_lookup_sparse(
    params: object, sp_ids: SparseTensor, sp_weights: SparseTensor | None,
    partition_strategy: str = "mod", name: str | None = None, combiner: str | None = None,
    max_norm: object = None,
) -> Tensor:  # fmt: skip
    """For each row of `sp_ids` the weighted sum of the table's rows at its ids.

    `combiner` is sum, mean (divided by the weights' sum; the default) or sqrtn (by the root of the
    sum of their squares).  Every row must have an id.
    """
    how = combiner or "mean"
    if how not in ("mean", "sqrtn", "sum"):
        raise ValueError("combiner must be one of 'mean', 'sqrtn' or 'sum'")
    if not isinstance(sp_ids, SparseTensor):
        raise TypeError(f"sp_ids must be SparseTensor, got {type(sp_ids)}")
    if sp_weights is not None and not isinstance(sp_weights, SparseTensor):
        raise TypeError(f"sp_weights must be either None or SparseTensor, got {type(sp_weights)}")
    tables = tables_of(params)
    with graph_of([*tables, sp_ids.values]).name_scope(name or "embedding_lookup_sparse") as scope:
        owner = cast(sp_ids.indices[:, 0], dtypes.int32)
        rows = embedding_lookup(tables, sp_ids.values, partition_strategy, max_norm=max_norm)
        if sp_weights is None:
            weights = make("OnesLike", (sp_ids.values,), dtype=base(rows))
        else:
            weights = cast(sp_weights.values, base(rows))
        total = segment_sum(rows * expand_dims(weights, 1), owner)
        if how == "sum":
            return make("Identity", (total,), scope)
        share = weights if how == "mean" else weights * weights
        divisor = segment_sum(share, owner)
        if how == "sqrtn":
            divisor = make("Sqrt", (divisor,))
        return make("RealDiv", (total, expand_dims(divisor, 1)), scope)


def safe_embedding_lookup_sparse(
    embedding_weights: object, sparse_ids: SparseTensor, sparse_weights: SparseTensor | None = None,
    combiner: str = "mean", default_id: int | None = None, name: str | None = None,
    partition_strategy: str = "div", max_norm: object = None,
) -> Tensor:  # fmt: skip
    """As embedding_lookup_sparse for ids of any rank; bad ones are left out.

    Ids below 0 are left out, and for the mean and sqrtn those with weights not above 0.  A row
    without ids has the vector of `default_id`, zeros if that is None.
    """
    tables = tables_of(embedding_weights)
    if not tables:
        raise ValueError("Missing embedding_weights.")
    with name_scope(name, "embedding_lookup", [sparse_ids.values]) as scope:
        lead = sparse_ids.dense_shape[:-1]
        flat = make("Pack", ([make("Prod", (lead, [0]), keep_dims=False),
                              sparse_ids.dense_shape[-1]],), axis=0)  # fmt: skip
        ids = sparse_reshape(sparse_ids, flat)
        weights = None
        good = make("GreaterEqual", (ids.values, 0))
        if sparse_weights is not None:
            weights = SparseTensor(ids.indices, sparse_weights.values, ids.dense_shape)
            if combiner != "sum":
                good = make("LogicalAnd", (good, make("Greater", (weights.values, 0))))
            weights = sparse_retain(weights, good)
        ids = sparse_retain(ids, good)
        ids, empty = sparse_fill_empty_rows(ids, default_id or 0)
        if weights is not None:
            weights, _ = sparse_fill_empty_rows(weights, 1.0)
        rows = embedding_lookup_sparse(
            tables, ids, weights, partition_strategy, combiner=combiner, max_norm=max_norm
        )
        if default_id is None:
            zeros = make("ZerosLike", (rows,), dtype=base(rows))
            rows = where_v2(expand_dims(empty, 1), zeros, rows)
        tail = list((rows.sizes or (None,))[1:])
        shape = make("ConcatV2", ([cast(lead, dtypes.int32), tail], 0))
        found = make("Reshape", (rows, shape), scope)
        known = static_shape(sparse_ids.dense_shape)
        if known is not None:
            found.set_shape([*known[:-1], *tail])
        return found
