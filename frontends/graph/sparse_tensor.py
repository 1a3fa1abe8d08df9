"""SparseTensor: the elements of a tensor that are there, with their places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.ops_constant import placeholder, placeholder_with_default
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_gather import gather
from tensorkiln.frontends.graph.ops_matrix import matrix_transpose
from tensorkiln.frontends.graph.ops_scatter import scatter_nd
from tensorkiln.frontends.graph.ops_segment import unsorted_segment_sum
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.shapes import TensorShape, as_sizes
from tensorkiln.frontends.graph.statics import static_shape
from tensorkiln.frontends.graph.tensor import Tensor

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.dtypes import DType
    from tensorkiln.frontends.graph.graph import Graph
    from tensorkiln.frontends.graph.operation import Operation
    from tensorkiln.frontends.graph.session import BaseSession


class SparseTensorValue(NamedTuple):
    """What a session takes and gives for a SparseTensor: arrays."""

    indices: object
    values: object
    dense_shape: object


class SparseTensor:
    """`values[k]` at the index tuple `indices[k]` of a tensor of shape `dense_shape`."""

    def __init__(self, indices: object, values: object, dense_shape: object) -> None:
        with graph_of([indices, values, dense_shape]).name_scope("SparseTensor"):
            self.indices = convert_to_tensor(indices, dtypes.int64, "indices")
            self.values = convert_to_tensor(values, name="values")
            self.dense_shape = convert_to_tensor(dense_shape, dtypes.int64, "dense_shape")
        self.indices.shape.with_rank(2)
        self.values.shape.with_rank(1)
        self.dense_shape.shape.with_rank(1)

    @classmethod
    def from_value(cls, value: object) -> SparseTensor:
        """A SparseTensor of a SparseTensorValue; a SparseTensor as it is."""
        if isinstance(value, SparseTensor):
            return value
        if not isinstance(value, SparseTensorValue):
            raise TypeError(f"Neither a SparseTensor nor SparseTensorValue: {value}.")
        return cls(*value)

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self.values.dtype

    @property
    def op(self) -> Operation:
        """The operation that makes the values."""
        return self.values.op

    @property
    def graph(self) -> Graph:
        """The graph of the parts."""
        return self.values.graph

    @property
    def shape(self) -> TensorShape:
        """What is known of the dense shape."""
        return TensorShape(static_shape(self.dense_shape))

    def get_shape(self) -> TensorShape:
        """What is known of the dense shape."""
        return self.shape

    def eval(
        self, feed_dict: Mapping[object, object] | None = None, session: BaseSession | None = None
    ) -> SparseTensorValue:
        """The value in `session` or the default session."""
        parts = (self.indices, self.values, self.dense_shape)
        return SparseTensorValue(*(part.eval(feed_dict, session) for part in parts))

    def __repr__(self) -> str:
        return (
            f"SparseTensor(indices={self.indices}, values={self.values}, "
            f"dense_shape={self.dense_shape})"
        )


def convert_to_tensor_or_sparse_tensor(
    value: object, dtype: object = None, name: str | None = None
) -> Tensor | SparseTensor:
    """A SparseTensor for sparse values, a tensor for others."""
    if isinstance(value, SparseTensorValue | SparseTensor):
        return SparseTensor.from_value(value)
    return convert_to_tensor(value, dtype, name)


def sparse_placeholder(
    dtype: object, shape: object = None, name: str | None = None
) -> SparseTensor:
    """A SparseTensor that runs must feed, with a SparseTensorValue."""
    label = f"{name}/" if name else ""
    sizes = as_sizes(shape)
    rank = None if sizes is None else len(sizes)
    if sizes is None or None in sizes:
        dims = placeholder(dtypes.int64, [rank], f"{label}shape")
    else:
        dims = placeholder_with_default(convert_to_tensor(list(sizes), dtypes.int64), [rank])
    values = placeholder(dtype, [None], f"{label}values")
    return SparseTensor(placeholder(dtypes.int64, [None, rank], f"{label}indices"), values, dims)


def sparse_to_dense(
    sparse_indices: object, output_shape: object, sparse_values: object,
    default_value: object = 0, validate_indices: bool = True, name: str | None = None,
) -> Tensor:  # fmt: skip
    """A tensor of `output_shape` with values at places (numbers or index tuples) and
    `default_value` elsewhere; places must differ."""
    with name_scope(name, "SparseToDense", [sparse_indices, output_shape, sparse_values]) as scope:
        places = convert_to_tensor(sparse_indices, name="sparse_indices")
        values = convert_to_tensor(sparse_values, name="sparse_values")
        if places.sizes == ():
            places = make("Reshape", (places, [1, 1]))
        elif places.sizes is not None and len(places.sizes) == 1:
            places = make("ExpandDims", (places, 1))
        dims = cast(output_shape, places.dtype.base_dtype)
        count = make("Shape", (places,), out_type=dtypes.int32)[:1]
        spread = make("BroadcastTo", (values, count)) if values.sizes == () else values
        dtype = values.dtype.base_dtype
        filled = scatter_nd(places, spread, dims)
        if default_value in (0, False):
            return make("Identity", (filled,), scope)
        there = scatter_nd(places, make("Cast", (spread * 0 + 1,), DstT=dtypes.int32), dims) > 0
        default = make("Fill", (dims, convert_to_tensor(default_value, dtype)))
        return make("Select", (there, filled, default), scope)


def sparse_tensor_to_dense(
    sp_input: SparseTensor, default_value: object = None, validate_indices: bool = True,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The dense tensor."""
    sparse = SparseTensor.from_value(sp_input)
    default = 0 if default_value is None else default_value
    return sparse_to_dense(
        sparse.indices, sparse.dense_shape, sparse.values, default, validate_indices, name
    )


def sparse_tensor_dense_matmul(
    sp_a: SparseTensor, b: object, adjoint_a: bool = False, adjoint_b: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """A sparse matrix times a dense one; gradients flow to the sparse values and to `b`."""
    sparse = SparseTensor.from_value(sp_a)
    with name_scope(name, "SparseTensorDenseMatMul", [sparse.values, b]):
        dense = convert_to_tensor(b)
        right = matrix_transpose(dense) if adjoint_b else dense
        rows, columns = (sparse.indices[:, k] for k in ((1, 0) if adjoint_a else (0, 1)))
        terms = gather(right, columns) * make("ExpandDims", (sparse.values, 1))
        count = sparse.dense_shape[1 if adjoint_a else 0]
        return unsorted_segment_sum(terms, rows, count, "SparseTensorDenseMatMul")
