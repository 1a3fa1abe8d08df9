"""Elements and slices read at indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.host import HostContext
from tensorkiln.frontends.graph.index_checks import check_indices, check_tuples, invalid
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import ShapeError, Sizes
from tensorkiln.frontends.graph.statics import static_integer
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.runtime.errors import UnsupportedError


def gather(
    params: object, indices: object, validate_indices: object = None, name: str | None = None,
    axis: object = None, batch_dims: int = 0,
) -> Tensor:  # fmt: skip
    """The slices of `params` along `axis` at `indices`.

    The first `batch_dims` dims of both go together; `axis` is the dim behind them unless given.
    """
    place = batch_dims if axis is None else axis
    return make("GatherV2", (params, indices, place), name, batch_dims=batch_dims)


def batch_gather(params: object, indices: object, name: str | None = None) -> Tensor:
    """`gather` in which all dims of `indices` but the last go with those of `params`."""
    with graph_of([params, indices]).name_scope(name or "BatchGather") as scope:
        places = convert_to_tensor(indices, name="indices")
        if places.sizes is None:
            raise ValueError("batch_gather does not allow indices with unknown shape.")
        return gather(params, places, name=scope, batch_dims=len(places.sizes) - 1)


def _batch_dims(op: Operation, rank: int) -> int:
    count = op.attributes.get("batch_dims", 0)
    assert isinstance(count, int)
    return count + rank if count < 0 else count


def _gather_infer(op: Operation) -> Sequence[Result]:
    params, indices, axis = op.inputs[0].sizes, op.inputs[1].sizes, static_integer(op.inputs[2])
    if params is None or indices is None or axis is None:
        return [(base(op.inputs[0]), None)]
    if not -len(params) <= axis < len(params):
        least = axis + 1 if axis >= 0 else -axis
        raise ShapeError(f"Shape must be at least rank {least} but is rank {len(params)}")
    place, batch = axis % len(params), _batch_dims(op, len(indices))
    if not 0 <= batch <= place:
        raise ShapeError(f"batch_dims ({batch}) must be less than or equal to axis ({place})")
    sizes: Sizes = (*params[:place], *indices[batch:], *params[place + 1 :])
    return [(base(op.inputs[0]), sizes)]


def _gather_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    x, indices = values[:2]
    axis, rank = lowering.integer(op, 2, values), len(x.shape)
    if not -rank <= axis < rank:
        raise invalid(op, f"Expected axis in the range [{-rank}, {rank}), but got {axis}")
    axis, batch = axis % rank, _batch_dims(op, len(indices.shape))
    if x.shape[:batch] != indices.shape[:batch]:
        raise invalid(
            op, f"params.shape[:batch_dims]: {list(x.shape[:batch])} should be equal to "
            f"indices.shape[:batch_dims]: {list(indices.shape[:batch])}",
        )  # fmt: skip
    check_indices(lowering, op, indices, x.shape[axis])
    return [gather_values(lowering, x, indices, axis, batch)]


def _gather_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    """Strings, which only the host has."""
    x, indices, axis = arrays
    batch = _batch_dims(op, indices.ndim)
    if batch:
        raise UnsupportedError(f"'{op.name}' ({op.location}): strings are gathered without batches")
    places, limit = indices.astype(np.int64), x.shape[int(axis)]
    bad = np.argwhere((places < 0) | (places >= limit))
    if len(bad):
        first = tuple(int(k) for k in bad[0])
        place = f"[{','.join(map(str, first))}]" if first else ""
        raise invalid(op, f"indices{place} = {places[first]} is not in [0, {limit})")
    return [np.asarray(np.take(x, places, int(axis)))]


def gather_values(lowering: Lowering, x: Value, indices: Value, axis: int, batch: int) -> Value:
    """Slices along `axis`, of which the first `batch` dims go with those of the indices."""
    shape = (*x.shape[:axis], *indices.shape[batch:], *x.shape[axis + 1 :])
    if 0 in shape:
        return shorthand.full(lowering.builder, shape, 0, x.dtype)
    if not batch:
        return shorthand.take(lowering.builder, x, indices, axis)
    many, rank = len(indices.shape), len(x.shape)
    sizes = [1 if k == axis or k < batch else size for k, size in enumerate(x.shape)]
    return lowering.builder.one(
        "gather",
        (x, indices),
        offset_dims=(*range(batch, axis), *range(axis + many - batch, rank + many - batch - 1)),
        collapsed_slice_dims=(axis,),
        start_index_map=(axis,),
        operand_batching_dims=tuple(range(batch)),
        start_indices_batching_dims=tuple(range(batch)),
        index_vector_dim=many,
        slice_sizes=tuple(sizes),
    )


def gather_nd(
    params: object, indices: object, name: str | None = None, batch_dims: int = 0
) -> Tensor:
    """The slices of `params` at the index tuples along the last dim of `indices`."""
    if not batch_dims:
        return make("GatherNd", (params, indices), name)
    with graph_of([params, indices]).name_scope(name or "BatchGatherND") as scope:
        tensor = convert_to_tensor(params, name="params")
        places = convert_to_tensor(indices, dtypes.int32, name="indices")
        return make("BatchGatherNd", (tensor, places), scope, batch_dims=batch_dims)


def _nd_infer(op: Operation) -> Sequence[Result]:
    params, indices = op.inputs[0].sizes, op.inputs[1].sizes
    batch = _batch_dims(op, 0)
    if params is None or indices is None or not indices or indices[-1] is None:
        return [(base(op.inputs[0]), None)]
    if indices[-1] > len(params) - batch:
        raise ShapeError(
            "indices.shape[-1] must be <= params.rank, but saw indices shape: "
            f"{list(indices)} and params shape: {list(params)}".replace("None", "?")
        )
    return [(base(op.inputs[0]), (*indices[:-1], *params[batch + indices[-1] :]))]


def _nd_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    x, indices = values
    batch, depth, many = _batch_dims(op, 0), indices.shape[-1], len(indices.shape) - 1
    if x.shape[:batch] != indices.shape[:batch]:
        raise invalid(
            op, f"batch dimensions of params {list(x.shape)} and indices {list(indices.shape)} "
            "must be equal",
        )  # fmt: skip
    rest = x.shape[batch + depth :]
    check_tuples(lowering, op, indices, x.shape[batch:], "param shape")
    shape = (*indices.shape[:-1], *rest)
    if 0 in shape:
        return [shorthand.full(lowering.builder, shape, 0, x.dtype)]
    picked = tuple(range(batch, batch + depth))
    found = lowering.builder.one(
        "gather",
        (x, indices),
        offset_dims=tuple(range(many, len(shape))),
        collapsed_slice_dims=picked,
        start_index_map=picked,
        operand_batching_dims=tuple(range(batch)),
        start_indices_batching_dims=tuple(range(batch)),
        index_vector_dim=many,
        slice_sizes=(*(1,) * (batch + depth), *rest),
    )
    return [found]


register(
    OpKind("GatherV2", "params:T indices:index axis:index", _gather_infer, _gather_lower,
           host=_gather_host),
    OpKind("GatherNd", "params:T indices:index", _nd_infer, _nd_lower),
    OpKind("BatchGatherNd", "params:T indices:index", _nd_infer, _nd_lower),
)  # fmt: skip
