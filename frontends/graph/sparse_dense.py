"""Functions of SparseTensors that reduce them, or make dense tensors of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_gather import gather
from tensorkiln.frontends.graph.ops_scatter import scatter_nd
from tensorkiln.frontends.graph.ops_segment import unsorted_segment_max, unsorted_segment_sum
from tensorkiln.frontends.graph.ops_shape import expand_dims
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.sparse_ops import as_sparse, rank_of, sparse_reorder
from tensorkiln.frontends.graph.sparse_places import places
from tensorkiln.frontends.graph.sparse_tensor import SparseTensor
from tensorkiln.frontends.graph.statics import static_array, static_integer, static_shape
from tensorkiln.frontends.graph.tensor import Tensor


def sparse_reduce_sum(
    sp_input: object, axis: object = None, keepdims: object = None, reduction_axes: object = None,
    keep_dims: object = None,
) -> Tensor:  # fmt: skip
    """The sum over `axis` (all dims unless given), dense."""
    found = _reduced(sp_input, axis, reduction_axes, keepdims or keep_dims, unsorted_segment_sum)
    return _dense(found)


def sparse_reduce_sum_sparse(
    sp_input: object, axis: object = None, keepdims: object = None, reduction_axes: object = None,
    keep_dims: object = None,
) -> SparseTensor:  # fmt: skip
    """The sum over `axis` (all dims unless given), sparse."""
    return _reduced(sp_input, axis, reduction_axes, keepdims or keep_dims, unsorted_segment_sum)


def sparse_reduce_max(
    sp_input: object, axis: object = None, keepdims: object = None, reduction_axes: object = None,
    keep_dims: object = None,
) -> Tensor:  # fmt: skip
    """The largest of the elements that are there over `axis`, dense; 0 where there is none."""
    found = _reduced(sp_input, axis, reduction_axes, keepdims or keep_dims, unsorted_segment_max)
    return _dense(found)


def sparse_reduce_max_sparse(
    sp_input: object, axis: object = None, keepdims: object = None, reduction_axes: object = None,
    keep_dims: object = None,
) -> SparseTensor:  # fmt: skip
    """The largest of the elements that are there over `axis`, sparse."""
    return _reduced(sp_input, axis, reduction_axes, keepdims or keep_dims, unsorted_segment_max)


def _reduced(
    sp_input: object, axis: object, older: object, keep_dims: object, fold: object
) -> SparseTensor:
    sparse = as_sparse(sp_input)
    wanted = older if axis is None else axis
    axes: tuple[int, ...] | None = None
    if wanted is not None:
        known = static_array(convert_to_tensor(wanted, preferred_dtype=dtypes.int32))
        if known is None:
            raise ValueError("the axes of a sparse reduction must be known")
        axes = tuple(int(axis) for axis in np.asarray(known).reshape(-1).tolist())
    with name_scope(None, "SparseReduce"):
        return _folded(sparse, axes, bool(keep_dims), fold)


def _folded(
    sparse: SparseTensor, axes: tuple[int, ...] | None, keep_dims: bool, fold: object
) -> SparseTensor:
    assert callable(fold)
    inputs = (sparse.indices, sparse.dense_shape)
    groups, numbers, shape = places("SparseGroups", *inputs, axes=axes, keep_dims=keep_dims)
    rank = rank_of(sparse)
    folded = set(range(rank)) if axes is None else {axis % rank for axis in axes}
    known = static_shape(sparse.dense_shape)
    left = known if known is not None else (None,) * rank
    sizes = [
        1 if axis in folded else size
        for axis, size in enumerate(left)
        if keep_dims or axis not in folded
    ]
    groups.set_shape([None, len(sizes)])
    shape.set_shape([len(sizes)])
    dims = convert_to_tensor(sizes, dtypes.int64) if None not in sizes else shape
    count = make("Shape", (groups,), out_type=dtypes.int32)[0]
    return SparseTensor(groups, fold(sparse.values, numbers, count), dims)


def _dense(sparse: SparseTensor) -> Tensor:
    found = scatter_nd(sparse.indices, sparse.values, sparse.dense_shape)
    known = static_shape(sparse.dense_shape)
    if known is not None:
        found.set_shape(known)
    return found


def sparse_softmax(sp_input: object, name: str | None = None) -> SparseTensor:
    """The softmax over the elements that are there of each row of the last dim."""
    sparse = as_sparse(sp_input)
    with name_scope(name, "SparseSoftmax"):
        inputs = (sparse.indices, sparse.dense_shape)
        groups, rows, _ = places("SparseGroups", *inputs, axes=(-1,), keep_dims=False)
        count = make("Shape", (groups,), out_type=dtypes.int32)[0]
        largest = make("StopGradient", (unsorted_segment_max(sparse.values, rows, count),))
        powers = make("Exp", (sparse.values - gather(largest, rows),))
        share = powers / gather(unsorted_segment_sum(powers, rows, count), rows)
        return SparseTensor(sparse.indices, share, sparse.dense_shape)


def sparse_merge(
    sp_ids: object, sp_values: object, vocab_size: object, name: str | None = None,
    already_sorted: bool = False,
) -> SparseTensor:  # fmt: skip
    """`sp_values` with the values of `sp_ids` as last index (several lists: last indices)."""
    lists = list(sp_ids) if isinstance(sp_ids, list | tuple) and not hasattr(
        sp_ids, "dense_shape") else [sp_ids]  # fmt: skip
    sizes = list(vocab_size) if isinstance(vocab_size, list | tuple) else [vocab_size]
    if len(lists) != len(sizes):
        raise ValueError("sp_ids and vocab_size have to have equal lengths.")
    values = as_sparse(sp_values)
    with name_scope(name, "SparseMerge"):
        parts = [as_sparse(ids) for ids in lists]
        columns = [expand_dims(cast(part.values, dtypes.int64), 1) for part in parts]
        indices = make("ConcatV2", ([parts[0].indices[:, :-1], *columns], 1))
        tail = [make("Reshape", (cast(convert_to_tensor(n), dtypes.int64), [1])) for n in sizes]
        shape = make("ConcatV2", ([parts[0].dense_shape[:-1], *tail], 0))
        known = static_shape(parts[0].dense_shape)
        numbers = [static_integer(convert_to_tensor(n)) for n in sizes]
        if known is not None and None not in (*known, *numbers):
            shape = convert_to_tensor([*known[:-1], *numbers], dtypes.int64)
        merged = SparseTensor(indices, values.values, shape)
        return merged if already_sorted else sparse_reorder(merged)


def sparse_to_indicator(sp_input: object, vocab_size: int, name: str | None = None) -> Tensor:
    """Which of the classes 0 ... vocab_size - 1 each row of the last dim has, dense."""
    sparse = as_sparse(sp_input)
    with name_scope(name, "SparseToIndicator"):
        ones = SparseTensor(
            sparse.indices, make("OnesLike", (sparse.values,), dtype=dtypes.int32),
            sparse.dense_shape,
        )  # fmt: skip
        merged = sparse_merge(sparse, ones, vocab_size, already_sorted=True)
        return _dense(merged) > 0


def edit_distance(
    hypothesis: object, truth: object, normalize: bool = True, name: str = "edit_distance"
) -> Tensor:
    """The least number of insertions, deletions and changes from each sequence of the last dim
    of `hypothesis` to that of `truth`; divided by the length of the true one if `normalize`."""
    found, wanted = as_sparse(hypothesis), as_sparse(truth)
    inputs = (found.indices, found.values, found.dense_shape,
              wanted.indices, wanted.values, wanted.dense_shape)  # fmt: skip
    return make("EditDistance", inputs, name, normalize=normalize)


def _distance_infer(op: Operation) -> Sequence[Result]:
    shapes = [static_shape(op.inputs[k]) for k in (2, 5)]
    if shapes[0] is None or shapes[1] is None:
        return [(dtypes.float32, None)]
    pairs = zip(shapes[0][:-1], shapes[1][:-1], strict=True)
    sizes = tuple(None if a is None or b is None else max(a, b) for a, b in pairs)
    return [(dtypes.float32, sizes)]


def _distances(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    shape = np.maximum(arrays[2], arrays[5])[:-1]
    sides: list[dict[tuple[int, ...], list[object]]] = [{}, {}]
    for side, (indices, values) in zip(sides, (arrays[0:2], arrays[3:5]), strict=True):
        for place, value in zip(indices.tolist(), values.tolist(), strict=True):
            side.setdefault(tuple(place[:-1]), []).append(value)
    result = np.zeros(tuple(shape), np.float32)
    for place in sides[0].keys() | sides[1].keys():
        found, wanted = (side.get(place, []) for side in sides)
        steps = float(_levenshtein(found, wanted))
        if op.flag("normalize"):
            steps = steps / len(wanted) if wanted else np.inf
        result[place] = steps
    return [result]


def _levenshtein(a: Sequence[object], b: Sequence[object]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


register(
    OpKind("EditDistance", "hypothesis_indices:int64 hypothesis_values:T hypothesis_shape:int64 "
           "truth_indices:int64 truth_values:T truth_shape:int64", _distance_infer, host_only,
           host=_distances, differentiable=False),
)  # fmt: skip
