"""Rows of embedding tables, in one part or several."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.clipping import clip_by_norm
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_partition import dynamic_partition, dynamic_stitch
from tensorkiln.frontends.graph.ops_shape import reshape, shape
from tensorkiln.frontends.graph.partitioned_variable import PartitionedVariable
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.tensor import Tensor


def embedding_lookup(
    params: object, ids: object, partition_strategy: str = "mod", name: str | None = None,
    validate_indices: bool = True, max_norm: object = None,
) -> Tensor:  # fmt: skip
    """The rows of an embedding table at `ids`, scaled down to `max_norm`.

    A list of tables holds the rows by turns (`mod`) or in contiguous parts (`div`).
    """
    tables = tables_of(params)
    if not tables:
        raise ValueError("Need at least one param")
    if partition_strategy not in ("mod", "div"):
        raise ValueError(f"Unrecognized partition strategy: {partition_strategy}")
    with graph_of([*tables, ids]).name_scope(name or "embedding_lookup") as scope:
        places = convert_to_tensor(ids, name="ids")
        if len(tables) == 1:
            table = convert_to_tensor(tables[0], name="params")
            rows = make("GatherV2", (table, places, 0), scope)
            return make("Identity", (_limited(rows, places, max_norm),))
        return _parted(tables, places, partition_strategy, max_norm)


def tables_of(params: object) -> list[object]:
    """The tables of an embedding: those of a list, the parts of a variable in parts."""
    return list(params) if isinstance(params, list | tuple | PartitionedVariable) else [params]


def _limited(rows: Tensor, ids: Tensor, max_norm: object) -> Tensor:
    if max_norm is None:
        return rows
    first = len(ids.sizes or ())
    axes = list(range(first, len(rows.sizes or ())))
    return convert_to_tensor(clip_by_norm(rows, max_norm, axes or None))


def _parted(tables: Sequence[object], ids: Tensor, strategy: str, max_norm: object) -> Tensor:
    parts = [convert_to_tensor(table, name=f"params_{k}") for k, table in enumerate(tables)]
    flat, count = reshape(ids, [-1]), len(parts)
    numbers = make("Range", (0, make("Size", (flat,), out_type=dtypes.int32), 1))
    if strategy == "mod":
        owner, row = flat % count, flat // count
    else:
        sizes = [make("GatherV2", (shape(part, out_type=base(flat)), 0, 0)) for part in parts]
        total = make("AddN", (sizes,))
        each, extra = total // count, total % count
        owner = make("Maximum", (flat // (each + 1), (flat - extra) // each))
        inside = make("Less", (owner, extra))
        row = make("Select", (inside, flat % (each + 1), (flat - extra) % each))
    owner = cast(owner, dtypes.int32)
    rows = dynamic_partition(row, owner, count)
    places = dynamic_partition(numbers, owner, count)
    found = [make("GatherV2", (part, wanted, 0)) for part, wanted in zip(parts, rows, strict=True)]
    merged = dynamic_stitch(places, found)
    tail = (parts[0].sizes or ())[1:]
    result = reshape(merged, make("ConcatV2", ([shape(ids), list(tail)], 0)))
    if ids.sizes is not None:
        result.set_shape((*ids.sizes, *tail))
    return _limited(result, ids, max_norm)
