"""Norms of tensors, and sums of several tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.formula import formulas
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import NUMBERS
from tensorkiln.frontends.graph.kinds import OpKind, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_reduce import reduce_all, reduce_max, reduce_sum
from tensorkiln.frontends.graph.ops_shape import reshape, squeeze
from tensorkiln.frontends.graph.rules import base, like_input
from tensorkiln.frontends.graph.shapes import compatible
from tensorkiln.frontends.graph.tensor import Tensor


def norm(
    tensor: object, ord: object = "euclidean", axis: object = None, keepdims: bool | None = None,
    name: str | None = None, keep_dims: bool | None = None,
) -> Tensor:  # fmt: skip
    """The norm over `axis`: an integer for vectors, two for matrices, None for all elements.

    `ord` is 'euclidean', 'fro', 1, 2, inf or any positive number; for matrices 'euclidean',
    'fro', 1 and inf.  ValueError for others.
    """
    keep = bool(keepdims) or bool(keep_dims)
    is_matrix = isinstance(axis, list | tuple) and len(axis) == 2
    if isinstance(axis, list | tuple) and len(axis) > 2:
        raise ValueError("'axis' must be None, an integer, or a tuple of 2 unique integers")
    if is_matrix and ord not in ("euclidean", "fro", 1, np.inf):
        raise ValueError(
            f"'ord' must be a supported matrix norm in ['euclidean', 'fro', 1, inf], got {ord}"
        )
    if not is_matrix and ord not in ("euclidean", 1, 2, np.inf) and not _positive(ord):
        raise ValueError(
            "'ord' must be a supported vector norm in ['euclidean', 1, 2, inf] or a positive "
            f"number, got {ord}"
        )
    with graph_of([tensor]).name_scope(name or "norm"):
        x = convert_to_tensor(tensor)
        places = list(axis) if isinstance(axis, list | tuple) else axis
        result = _folded(x, ord, places)
        return result if keep else squeeze(result, places)


def _positive(ord: object) -> bool:
    return isinstance(ord, int | float) and ord > 0


def _folded(x: Tensor, ord: object, axis: object) -> Tensor:
    if ord in ("euclidean", "fro", 2):
        return make("Sqrt", (reduce_sum(x * x, axis, True),))
    size = make("Abs", (x,))
    if isinstance(axis, list):
        columns, rows = axis if ord == 1 else axis[::-1]
        return reduce_max(reduce_sum(size, columns, True), rows, True)
    if ord == 1:
        return reduce_sum(size, axis, True)
    if ord == np.inf:
        return reduce_max(size, axis, True)
    power = convert_to_tensor(ord, base(x))
    return make("Pow", (reduce_sum(make("Pow", (size, power)), axis, True), 1.0 / power))


def accumulate_n(
    inputs: Sequence[object], shape: object = None, tensor_dtype: object = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The sum of tensors of one dtype and shape; ValueError where they differ."""
    message = "inputs must be a list of at least one Tensor with the same dtype and shape"
    if not isinstance(inputs, list | tuple) or not inputs:
        raise ValueError(message)
    tensors = [convert_to_tensor(item) for item in inputs]
    first = tensors[0]
    if any(base(t) is not base(first) or not compatible(t.sizes, first.sizes) for t in tensors):
        raise ValueError(message)
    if len(tensors) == 1 and name is None:
        return first
    if len(tensors) == 1:
        return make("Identity", (first,), name)
    return make("AccumulateNV2", (tensors,), name)


def _total(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    total = values[0]
    for value in values[1:]:
        total = lowering.builder.one("add", (total, value))
    return [total]


def cross(a: object, b: object, name: str | None = None) -> Tensor:
    """The cross products of vectors of 3 along the last dim."""
    return make("Cross", (a, b), name)


def _cross(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder = lowering.builder
    a, b = (
        formulas(builder, *(shorthand.slice_axis(builder, v, -1, k, k + 1) for k in range(3)))
        for v in values
    )
    parts = [a[i] * b[j] - a[j] * b[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return [shorthand.concat(builder, [part.value for part in parts], -1)]


def is_strictly_increasing(x: object, name: str | None = None) -> Tensor:
    """Whether each element, in row-major order, is larger than the one before."""
    return _ordered("is_strictly_increasing", "Less", x, name)


def is_non_decreasing(x: object, name: str | None = None) -> Tensor:
    """Whether each element, in row-major order, is at least as large as the one before."""
    return _ordered("is_non_decreasing", "LessEqual", x, name)


def _ordered(default: str, kind: str, x: object, name: str | None) -> Tensor:
    with graph_of([x]).name_scope(name or default):
        flat = reshape(convert_to_tensor(x), [-1])
        return reduce_all(make(kind, (flat[:-1], flat[1:])))


register(
    OpKind("AccumulateNV2", "inputs:T*", like_input, _total, {"T": NUMBERS}),
    OpKind("Cross", "a:T b:T", like_input, _cross, {"T": NUMBERS}),
)
