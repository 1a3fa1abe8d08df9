"""Rows of embedding tables, combined for each row of a SparseTensor of ids."""

from __future__ import annotations

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.embedding import embedding_lookup, tables_of
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_segment import segment_sum
from tensorkiln.frontends.graph.ops_shape import expand_dims
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.sparse_tensor import SparseTensor
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
