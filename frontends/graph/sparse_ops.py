"""Functions of SparseTensors that give SparseTensors: order, parts, shapes, union."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.indexed_slices import IndexedSlices
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_gather import gather
from tensorkiln.frontends.graph.ops_matmul import matmul
from tensorkiln.frontends.graph.ops_scatter import scatter_nd
from tensorkiln.frontends.graph.ops_where import setdiff1d, where_true
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.sparse_places import places
from tensorkiln.frontends.graph.sparse_tensor import SparseTensor
from tensorkiln.frontends.graph.statics import static_shape
from tensorkiln.frontends.graph.tensor import Tensor


def as_sparse(value: object) -> SparseTensor:
    """A SparseTensor, or a SparseTensorValue as one; TypeError else."""
    if isinstance(value, Tensor):
        raise TypeError(f"Input must be a SparseTensor, not {value}")
    return SparseTensor.from_value(value)


def rank_of(sparse: SparseTensor) -> int:
    """The number of dims; ValueError where nobody knows it."""
    for sizes, place in ((sparse.dense_shape.sizes, 0), (sparse.indices.sizes, 1)):
        if sizes is not None and sizes[place] is not None:
            return int(sizes[place] or 0)
    raise ValueError(f"the rank of {sparse} must be known")


def sparse_reorder(sp_input: object, name: str | None = None) -> SparseTensor:
    """The same tensor with its elements in row-major order."""
    sparse = as_sparse(sp_input)
    with name_scope(name, "SparseReorder"):
        indices, order = places("SparseReorderPlaces", sparse.indices, sparse.dense_shape)
        return SparseTensor(indices, gather(sparse.values, order), sparse.dense_shape)


def sparse_concat(
    axis: int | None = None, sp_inputs: Sequence[object] = (), name: str | None = None,
    expand_nonconcat_dim: bool = False, concat_dim: int | None = None,
    expand_nonconcat_dims: bool | None = None,
) -> SparseTensor:  # fmt: skip
    """SparseTensors one behind the other along `axis`.

    With `expand_nonconcat_dims` other dims may differ, and become the largest.
    """
    place = concat_dim if axis is None else axis
    parts = [as_sparse(part) for part in sp_inputs]
    if place is None or not parts:
        raise ValueError("sparse_concat: give an axis and at least one SparseTensor")
    with name_scope(name, "SparseConcat"):
        expand = bool(expand_nonconcat_dim or expand_nonconcat_dims)
        indices, order, shape = places(
            "SparseConcatPlaces", [p.indices for p in parts], [p.dense_shape for p in parts],
            axis=int(place), expand=expand,
        )  # fmt: skip
        values = make("ConcatV2", ([p.values for p in parts], 0))
        return SparseTensor(indices, gather(values, order), shape)


def sparse_split(
    keyword_required: object = None, sp_input: object = None, num_split: int | None = None,
    axis: int | None = None, name: str | None = None, split_dim: int | None = None,
) -> list[SparseTensor]:  # fmt: skip
    """`num_split` parts along `axis`, the first ones longer by one where it does not divide."""
    place = split_dim if axis is None else axis
    if sp_input is None or num_split is None or place is None:
        raise ValueError("sparse_split: sp_input, num_split and axis are required, by keyword")
    sparse = as_sparse(sp_input)
    with name_scope(name, "SparseSplit"):
        found = places(
            "SparseSplitPlaces", sparse.indices, sparse.dense_shape, axis=int(place),
            num_split=int(num_split),
        )  # fmt: skip
        return [
            SparseTensor(found[k], gather(sparse.values, found[k + 1]), found[k + 2])
            for k in range(0, len(found), 3)
        ]


def sparse_slice(
    sp_input: object, start: object, size: object, name: str | None = None
) -> SparseTensor:
    """The box of `size` from `start` on, cut where the tensor ends."""
    sparse = as_sparse(sp_input)
    with name_scope(name, "SparseSlice"):
        corner, extent = (cast(convert_to_tensor(t), dtypes.int64) for t in (start, size))
        indices, order, shape = places(
            "SparseSlicePlaces", sparse.indices, sparse.dense_shape, corner, extent
        )
        return SparseTensor(indices, gather(sparse.values, order), shape)


def sparse_reshape(sp_input: object, shape: object, name: str | None = None) -> SparseTensor:
    """The same elements, in row-major order, in another shape; one size may be -1."""
    sparse = as_sparse(sp_input)
    with name_scope(name, "SparseReshape"):
        wanted = cast(convert_to_tensor(shape, preferred_dtype=dtypes.int64), dtypes.int64)
        indices, found = places("SparseReshape", sparse.indices, sparse.dense_shape, wanted)
        return SparseTensor(indices, sparse.values, found)


def sparse_transpose(
    sp_input: object, perm: Sequence[int] | None = None, name: str | None = None
) -> SparseTensor:
    """The tensor with its dims in the order `perm` (reversed unless given)."""
    sparse = as_sparse(sp_input)
    with name_scope(name, "SparseTranspose"):
        order = list(range(rank_of(sparse)))[::-1] if perm is None else list(perm)
        shape = gather(sparse.dense_shape, order)
        turned = SparseTensor(gather(sparse.indices, order, axis=1), sparse.values, shape)
        known = static_shape(sparse.dense_shape)
        if known is not None and None not in known:
            constant = convert_to_tensor([known[k] for k in order], dtypes.int64)
            turned = SparseTensor(turned.indices, turned.values, constant)
        return sparse_reorder(turned)


def sparse_retain(sp_input: object, to_retain: object) -> SparseTensor:
    """The elements at whose places the bool vector `to_retain` is true."""
    sparse = as_sparse(sp_input)
    keep = convert_to_tensor(to_retain, dtypes.boolean)
    if keep.shape.ndims not in (None, 1):
        raise ValueError(f"to_retain must be a vector, not {keep.shape}")
    kept = make("Reshape", (where_true(keep), [-1]))
    return SparseTensor(
        gather(sparse.indices, kept), gather(sparse.values, kept),
        make("Identity", (sparse.dense_shape,)),
    )  # fmt: skip


def sparse_reset_shape(sp_input: object, new_shape: object = None) -> SparseTensor:
    """The tensor with the least shape that holds it, or a larger one."""
    sparse = as_sparse(sp_input)
    if new_shape is None:
        (shape,) = places("SparseLeastShape", sparse.indices, sparse.dense_shape)
    else:
        wanted = cast(convert_to_tensor(new_shape), dtypes.int64)
        (shape,) = places("SparseCheckedShape", sparse.indices, sparse.dense_shape, wanted)
    return SparseTensor(sparse.indices, sparse.values, shape)


def sparse_fill_empty_rows(
    sp_input: object, default_value: object, name: str | None = None
) -> tuple[SparseTensor, Tensor]:
    """The tensor with `default_value` at column 0 of each empty row, and which rows were empty."""
    sparse = as_sparse(sp_input)
    with name_scope(name, "SparseFillEmptyRows"):
        default = convert_to_tensor(default_value, base(sparse.values))
        indices, order, empty, _ = places(
            "SparseFillEmptyRowsPlaces", sparse.indices, sparse.dense_shape
        )
        with_default = make("ConcatV2", ([sparse.values, make("Reshape", (default, [1]))], 0))
        filled = SparseTensor(indices, gather(with_default, order), sparse.dense_shape)
        return filled, empty


def _aligned(a: SparseTensor, b: SparseTensor) -> tuple[Tensor, Tensor, Tensor]:
    """The index tuples of either, and the values of each there, zero where it has none."""
    indices, left, right = places("SparseUnionPlaces", a.indices, b.indices)

    def at(sparse: SparseTensor, order: Tensor) -> Tensor:
        zero = make("Reshape", (convert_to_tensor(0, base(sparse.values)), [1]))
        return gather(make("ConcatV2", ([sparse.values, zero], 0)), order)

    return indices, at(a, left), at(b, right)


def sparse_add(a: object, b: object, threshold: object = None, thresh: object = None) -> object:
    """The sum of two tensors of which at least one is sparse: sparse if both are.

    Elements of a sparse sum below `threshold` in size are left out.
    """
    if isinstance(a, Tensor):
        a, b = b, a
    left = as_sparse(a)
    if isinstance(b, Tensor):
        return scatter_nd(left.indices, left.values, left.dense_shape) + b
    right = as_sparse(b)
    limit = thresh if threshold is None else threshold
    with name_scope(None, "SparseAdd"):
        indices, x, y = _aligned(left, right)
        total = SparseTensor(indices, x + y, left.dense_shape)
        if limit is None or (isinstance(limit, int | float) and limit == 0):
            return total
        size = make("Abs", (total.values,))
        return sparse_retain(total, make("GreaterEqual", (size, limit)))


def sparse_maximum(sp_a: object, sp_b: object, name: str | None = None) -> SparseTensor:
    """The greater of both, absent elements being zero."""
    return _elementwise("Maximum", sp_a, sp_b, name)


def sparse_minimum(sp_a: object, sp_b: object, name: str | None = None) -> SparseTensor:
    """The smaller of both, absent elements being zero."""
    return _elementwise("Minimum", sp_a, sp_b, name)


def _elementwise(kind: str, sp_a: object, sp_b: object, name: str | None) -> SparseTensor:
    a, b = as_sparse(sp_a), as_sparse(sp_b)
    with name_scope(name, f"SparseSparse{kind}"):
        indices, x, y = _aligned(a, b)
        return SparseTensor(indices, make(kind, (x, y)), a.dense_shape)


def sparse_mask(a: IndexedSlices, mask_indices: object, name: str | None = None) -> IndexedSlices:
    """The rows of IndexedSlices whose indices are not in `mask_indices`."""
    with name_scope(name, "sparse_mask"):
        indices, kept = setdiff1d(a.indices, mask_indices)
        return IndexedSlices(gather(a.values, kept), indices, a.dense_shape)


def sparse_matmul(
    a: object, b: object, transpose_a: bool = False, transpose_b: bool = False,
    a_is_sparse: bool = False, b_is_sparse: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The product of dense matrices that may have many zeros, in float32."""
    left, right = (cast(convert_to_tensor(t), dtypes.float32) for t in (a, b))
    return matmul(left, right, transpose_a, transpose_b, name=name or "SparseMatMul")
