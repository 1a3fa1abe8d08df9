"""IndexedSlices: the gradient of a table of which only some rows were looked up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.convert import Convertible, convert_to_tensor
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rows import add_rows
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import TensorShape
from tensorkiln.frontends.graph.statics import static_shape
from tensorkiln.frontends.graph.tensor import Tensor

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.dtypes import DType
    from tensorkiln.frontends.graph.graph import Graph


class IndexedSlicesValue(NamedTuple):
    """What a session gives for IndexedSlices: arrays."""

    values: object
    indices: object
    dense_shape: object


class IndexedSlices(Convertible):
    """Rows `values[k]` at places `indices[k]` of a tensor that is zero elsewhere.

    Rows with the same index add up.  Where a tensor is wanted it is made dense.
    """

    def __init__(self, values: Tensor, indices: Tensor, dense_shape: Tensor | None = None) -> None:
        self.values = values
        self.indices = indices
        self.dense_shape = dense_shape
        self._dense: Tensor | None = None

    @property
    def name(self) -> str:
        """The name of the values."""
        return self.values.name

    @property
    def op(self) -> Operation:
        """The operation that makes the values."""
        return self.values.op

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self.values.dtype

    @property
    def graph(self) -> Graph:
        """The graph of the values."""
        return self.values.graph

    @property
    def device(self) -> str:
        """The device string of the values."""
        return self.values.device

    @property
    def shape(self) -> TensorShape:
        """What is known of the shape of the dense tensor."""
        return TensorShape(None if self.dense_shape is None else static_shape(self.dense_shape))

    def get_shape(self) -> TensorShape:
        """What is known of the shape of the dense tensor."""
        return self.shape

    def _as_tensor(self, as_ref: bool = False) -> Tensor:
        if self._dense is None:
            if self.dense_shape is None:
                raise ValueError(
                    f"Tensor conversion requested for IndexedSlices without dense_shape: {self}"
                )
            self._dense = make(
                "DenseRows", (self.values, self.indices, self.dense_shape), "UnsortedSegmentSum"
            )
        return self._dense

    def __neg__(self) -> IndexedSlices:
        return IndexedSlices(-self.values, self.indices, self.dense_shape)

    def __str__(self) -> str:
        shape = "" if self.dense_shape is None else f", dense_shape={self.dense_shape}"
        return f"IndexedSlices(indices={self.indices}, values={self.values}{shape})"


def convert_to_tensor_or_indexed_slices(
    value: object, dtype: object = None, name: str | None = None
) -> Tensor | IndexedSlices:
    """`value` as it is if it is IndexedSlices, else as a tensor."""
    if isinstance(value, IndexedSlices):
        return value
    return convert_to_tensor(value, dtype, name)


def values_of(value: object) -> Tensor:
    """The tensor that holds the numbers: the rows of IndexedSlices, else the tensor."""
    return value.values if isinstance(value, IndexedSlices) else convert_to_tensor(value)


def with_values(value: object, new: Tensor) -> Tensor | IndexedSlices:
    """`new` in place of the numbers of `value`."""
    if isinstance(value, IndexedSlices):
        return IndexedSlices(new, value.indices, value.dense_shape)
    return new


def _infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[0]), static_shape(op.inputs[2]))]


def _lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    rows, indices, _ = values
    shape = lowering.integers(op, 2, values)
    builder = lowering.builder
    count = int(np.prod(indices.shape, dtype=np.int64))
    rows = shorthand.reshape(builder, rows, (count, *shape[1:]))
    flat = shorthand.reshape(builder, indices, (count,))
    zeros = shorthand.full(builder, shape, 0, rows.dtype)
    return [add_rows(builder, zeros, flat, rows)]


register(OpKind("DenseRows", "data:T indices:index shape:index", _infer, _lower))
