"""Counts: of classes against predictions, of values in bins, of elements that are not zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import TABLE, OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import ones_like
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_reduce import reduce_max, reduce_mean, reduce_sum
from tensorkiln.frontends.graph.ops_scatter import scatter_nd
from tensorkiln.frontends.graph.ops_segment import unsorted_segment_sum
from tensorkiln.frontends.graph.ops_shape import reshape, squeeze
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.statics import static_integer
from tensorkiln.frontends.graph.tensor import Tensor


def confusion_matrix(
    labels: object, predictions: object, num_classes: object = None,
    dtype: object = dtypes.int32, name: str | None = None, weights: object = None,
) -> Tensor:  # fmt: skip
    """How often class i (row) was predicted as class j (column)."""
    with graph_of([labels, predictions, num_classes, weights]).name_scope(
        name or "confusion_matrix"
    ):
        actual, guessed = (
            cast(_vector(convert_to_tensor(v, name=n)), dtypes.int64, name=n)
            for v, n in ((labels, "labels"), (predictions, "predictions"))
        )
        if num_classes is None:
            count = make("Maximum", (reduce_max(guessed), reduce_max(actual))) + 1
        else:
            count = cast(num_classes, dtypes.int64, name="num_classes")
        kind = dtypes.as_dtype(dtype)
        values = ones_like(guessed, kind) if weights is None else cast(weights, kind)
        places = make("Pack", ([actual, guessed],), "stack", axis=1)
        return scatter_nd(places, values, make("Pack", ([count, count],), "stack_1", axis=0))


def _vector(tensor: Tensor) -> Tensor:
    return squeeze(tensor, [-1]) if tensor.shape.ndims == 2 else tensor


def histogram_fixed_width_bins(
    values: object, value_range: object, nbins: object = 100, dtype: object = dtypes.int32,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The bin of each value, of `nbins` equal ones over the range; outer values go to the ends."""
    with graph_of([values, value_range, nbins]).name_scope(name or "histogram_fixed_width_bins"):
        tensor = convert_to_tensor(values, name="values")
        flat = reshape(tensor, [-1])
        ends = convert_to_tensor(value_range, base(tensor), "value_range")
        count = convert_to_tensor(nbins, dtypes.int32, "nbins")
        part = (flat - ends[0]) / (ends[1] - ends[0])
        scaled = cast(make("Floor", (cast(count, base(tensor)) * part,)), dtypes.int32)
        limited = make("Maximum", (make("Minimum", (scaled, count - 1)), 0))
        return cast(reshape(limited, make("Shape", (tensor,), out_type=dtypes.int32)), dtype)


def histogram_fixed_width(
    values: object, value_range: object, nbins: object = 100, dtype: object = dtypes.int32,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """How many values fall into each of `nbins` equal bins over the range."""
    with graph_of([values, value_range, nbins]).name_scope(
        name or "histogram_fixed_width"
    ) as scope:
        places = reshape(histogram_fixed_width_bins(values, value_range, nbins), [-1])
        return unsorted_segment_sum(ones_like(places, dtypes.as_dtype(dtype)), places, nbins, scope)


def bincount(
    arr: object, weights: object = None, minlength: object = None, maxlength: object = None,
    dtype: object = dtypes.int32, name: str | None = None,
) -> Tensor:  # fmt: skip
    """How often (or with what weight) each number from 0 up to the largest occurs."""
    numbers = convert_to_tensor(arr, dtypes.int32, "arr")
    kind = dtypes.as_dtype(dtype)
    with graph_of([numbers, weights, minlength, maxlength]).name_scope(name or "bincount"):
        low = convert_to_tensor(-1 if minlength is None else minlength, dtypes.int32)
        high = convert_to_tensor(-1 if maxlength is None else maxlength, dtypes.int32)
        given = ones_like(numbers, kind) if weights is None else convert_to_tensor(weights)
        return make("Bincount", (numbers, given, low, high))


def _bincount_infer(op: Operation) -> Sequence[Result]:
    low, high = (static_integer(tensor) for tensor in op.inputs[2:])
    return [(base(op.inputs[1]), (low if low is not None and low == high >= 0 else None,))]  # type: ignore[operator]


def _bincount(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    numbers, weights = arrays[0].reshape(-1).astype(np.int64), arrays[1].reshape(-1)
    low, high = (int(array) for array in arrays[2:])
    if numbers.size and int(numbers.min()) < 0:
        raise InvalidArgumentError(op.name, op, "Input arr must be non-negative!")
    size = max(int(numbers.max()) + 1 if numbers.size else 0, low)
    size = min(size, high) if high >= 0 else size
    counts = np.zeros(size, weights.dtype)
    kept = numbers < size
    np.add.at(counts, numbers[kept], weights[kept])
    return [counts]


def count_nonzero(
    input_tensor: object = None, axis: object = None, keepdims: bool | None = None,
    dtype: object = dtypes.int64, name: str | None = None, reduction_indices: object = None,
    keep_dims: bool | None = None, input: object = None,
) -> Tensor:  # fmt: skip
    """How many elements along `axis` are not zero."""
    value = input if input_tensor is None else input_tensor
    places = reduction_indices if axis is None else axis
    with graph_of([value]).name_scope(name or "count_nonzero"):
        tensor = convert_to_tensor(value, name="input")
        zero = False if tensor.dtype.is_bool else 0
        differs = make("NotEqual", (tensor, convert_to_tensor(zero, base(tensor))))
        total = reduce_sum(cast(differs, dtypes.int64), places, bool(keepdims) or bool(keep_dims))
        return cast(total, dtype)


def zero_fraction(value: object, name: str | None = None) -> Tensor:
    """The share of elements that are zero."""
    with graph_of([value]).name_scope(name or "zero_fraction"):
        tensor = convert_to_tensor(value, name="value")
        size = make("Size", (tensor,), out_type=dtypes.int64)
        zeros = size - count_nonzero(tensor)
        share = cast(zeros, dtypes.float32) / cast(size, dtypes.float32)
        return make("Identity", (share,), "fraction")


def reduce_variance(
    input_tensor: object, axis: object = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The (biased) variance over `axis`."""
    with graph_of([input_tensor]).name_scope(name or "reduce_variance"):
        tensor = convert_to_tensor(input_tensor)
        rest = tensor - reduce_mean(tensor, axis, True)
        return reduce_mean(make("Square", (rest,)), axis, keepdims)


def reduce_std(
    input_tensor: object, axis: object = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The standard deviation over `axis`."""
    with graph_of([input_tensor]).name_scope(name or "reduce_std"):
        return make("Sqrt", (reduce_variance(input_tensor, axis, keepdims),))


def reduce_euclidean_norm(
    input_tensor: object, axis: object = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The L2 norm over `axis`; its gradient at zero is NaN, as TensorFlow's."""
    tensor = convert_to_tensor(input_tensor)
    places = list(range(len(tensor.sizes or ()))) if axis is None else axis
    return make("EuclideanNorm", (tensor, places), name, keep_dims=bool(keepdims))


def _norm_infer(op: Operation) -> Sequence[Result]:
    return TABLE["Sum"].infer(op)


def _norm_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, x = lowering.builder, values[0]
    axes = sorted({axis % max(len(x.shape), 1) for axis in lowering.integers(op, 1, values)})
    total = shorthand.reduce_sum(
        builder, builder.one("multiply", (x, x)), axes, op.flag("keep_dims")
    )
    return [builder.one("sqrt", (total,))]


register(
    OpKind("Bincount", "arr:int32 weights:T minlength:int32 maxlength:int32", _bincount_infer,
           host_only, host=_bincount, differentiable=False),
    OpKind("EuclideanNorm", "input:T reduction_indices:index", _norm_infer, _norm_lower,
           {"T": dtypes.FLOATS}),
)  # fmt: skip
