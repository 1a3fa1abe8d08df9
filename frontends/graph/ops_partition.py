"""Tensors taken apart by the part that each slice belongs to, and put together again.

The host computes places, hidden inputs of the ops; reading data at them is compiled, and so has a
gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.index_checks import invalid
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_gather import gather_values
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import ShapeError, Sizes, compatible, merge, show
from tensorkiln.frontends.graph.statics import static_array
from tensorkiln.frontends.graph.tensor import Tensor


def dynamic_partition(
    data: object, partitions: object, num_partitions: int, name: str | None = None
) -> list[Tensor]:
    """The slices of `data` (dims behind those of `partitions`) by the part they belong to."""
    with graph_of([data, partitions]).name_scope(name or "DynamicPartition") as scope:
        x = convert_to_tensor(data, name="data")
        parts = convert_to_tensor(partitions, dtypes.int32, name="partitions")
        options = {"num_partitions": num_partitions}
        places = apply_op("PartitionPlaces", (parts,), "places", options).outputs
        return list(apply_op("DynamicPartition", (x, parts, list(places)), scope, options).outputs)


def _places_infer(op: Operation) -> Sequence[Result]:
    return [(dtypes.int64, (None,))] * op.integer("num_partitions")


def _places_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    parts, count = arrays[0].astype(np.int64), op.integer("num_partitions")
    bad = np.argwhere((parts < 0) | (parts >= count))
    if len(bad):
        first = tuple(int(k) for k in bad[0])
        place = f"[{','.join(map(str, first))}]" if first else ""
        raise invalid(op, f"partitions{place} = {parts[first]} is not in [0, {count})")
    flat = parts.reshape(-1)
    return [np.flatnonzero(flat == k).astype(np.int64) for k in range(count)]


def _partition_infer(op: Operation) -> Sequence[Result]:
    data, parts = op.inputs[:2]
    sizes: Sizes = None
    if data.sizes is not None and parts.sizes is not None:
        lead = len(parts.sizes)
        if not compatible(data.sizes[:lead], parts.sizes):
            raise ShapeError(
                f"Shapes {show(data.sizes[:lead])} and {show(parts.sizes)} must be equal"
            )
        sizes = (None, *data.sizes[lead:])
    return [(base(data), sizes)] * op.integer("num_partitions")


def _partition_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    data, parts, *places = values
    if data.shape[: len(parts.shape)] != parts.shape:
        raise invalid(
            op, f"data.shape must start with partitions.shape, got data.shape = {list(data.shape)}, "
            f"partitions.shape = {list(parts.shape)}",
        )  # fmt: skip
    rows = shorthand.reshape(
        lowering.builder, data, (parts.type.elements, *data.shape[len(parts.shape) :])
    )
    return [gather_values(lowering, rows, at, 0, 0) for at in places]


def dynamic_stitch(
    indices: Sequence[object], data: Sequence[object], name: str | None = None
) -> Tensor:
    """One tensor whose slice `indices[m][k]` is `data[m][k]`; the last of equal indices wins."""
    return _stitch("DynamicStitch", indices, data, name)


def parallel_stitch(
    indices: Sequence[object], data: Sequence[object], name: str | None = None
) -> Tensor:
    """`dynamic_stitch` for indices that are all different."""
    return _stitch("ParallelDynamicStitch", indices, data, name)


def _stitch(
    kind: str, indices: Sequence[object], data: Sequence[object], name: str | None
) -> Tensor:
    with graph_of([list(indices), list(data)]).name_scope(name or kind) as scope:
        places = [
            convert_to_tensor(item, dtypes.int32, f"indices_{k}") for k, item in enumerate(indices)
        ]
        sources = make("StitchSources", (places,), "sources")
        return make(kind, (places, list(data), sources), scope, N=len(places))


def _sources_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    """For each slice of the result the number of the slice of all data that it is, -1 for none."""
    flat = np.concatenate([array.reshape(-1) for array in arrays])
    if flat.size and flat.min() < 0:
        raise invalid(op, f"indices must be at least 0, got {flat.min()}")
    found = np.full(int(flat.max()) + 1 if flat.size else 0, -1, np.int64)
    found[flat] = np.arange(flat.size)
    return [found]


def _stitch_infer(op: Operation) -> Sequence[Result]:
    count = op.integer("N")
    places, data = op.inputs[:count], op.inputs[count : 2 * count]
    rest: Sizes = None
    for at, part in zip(places, data, strict=True):
        if at.sizes is None or part.sizes is None:
            continue
        lead = len(at.sizes)
        if not compatible(part.sizes[:lead], at.sizes):
            raise ShapeError(f"Shapes {show(part.sizes[:lead])} and {show(at.sizes)} must be equal")
        if not compatible(rest, part.sizes[lead:]):
            raise ShapeError(f"Shapes {show(rest)} and {show(part.sizes[lead:])} must be equal")
        rest = merge(rest, part.sizes[lead:])
    if rest is None:
        return [(base(data[0]), None)]
    known = [static_array(at) for at in places]
    arrays = [array for array in known if array is not None]
    size = None
    if len(arrays) == len(known):
        size = max((int(array.max()) + 1 for array in arrays if array.size), default=0)
    return [(base(data[0]), (size, *rest))]


def _stitch_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, count = lowering.builder, op.integer("N")
    places, data, sources = values[:count], values[count : 2 * count], values[-1]
    rest = data[0].shape[len(places[0].shape) :]
    rows = []
    for at, part in zip(places, data, strict=True):
        if part.shape != (*at.shape, *rest):
            raise invalid(
                op, f"Need data[0].shape[{len(places[0].shape)}:] = data[k].shape[indices[k].ndims:"
                f"], got data of shape {list(part.shape)} for indices of shape {list(at.shape)}",
            )  # fmt: skip
        rows.append(shorthand.reshape(builder, part, (at.type.elements, *rest)))
    whole = shorthand.concat(builder, rows, 0)
    found = gather_values(lowering, whole, sources, 0, 0)
    if 0 in found.shape:
        return [found]
    # Slices that nothing is put in are zero.
    given = shorthand.compare(builder, "GE", sources, shorthand.zeros_like(builder, sources))
    spread = shorthand.broadcast_in_dim(builder, given, found.shape, (0,))
    return [shorthand.select(builder, spread, found, shorthand.zeros_like(builder, found))]


register(
    OpKind("PartitionPlaces", "partitions:int32", _places_infer, host_only, differentiable=False,
           host=_places_host),
    OpKind("DynamicPartition", "data:T partitions:int32 places:int64*", _partition_infer,
           _partition_lower),
    OpKind("StitchSources", "indices:int32*", lambda op: [(dtypes.int64, (None,))], host_only,
           differentiable=False, host=_sources_host),
    *(
        OpKind(kind, "indices:int32* data:T* sources:int64", _stitch_infer, _stitch_lower)
        for kind in ("DynamicStitch", "ParallelDynamicStitch")
    ),
)  # fmt: skip
