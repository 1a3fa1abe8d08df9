"""Short forms for ops that front ends, gradients and composites write often.

All of them append to a `Builder`; axes may be negative, shapes may hold symbolic dims.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dims import Dim, is_static
from tensorkiln.compiler.ir.dtypes import I32, I64, DType
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.runtime.errors import TypeRuleError


def axis_of(axis: int, rank: int) -> int:
    """A possibly negative axis as one in [0, rank); TypeRuleError if there is no such axis."""
    if not -rank <= axis < rank:
        raise TypeRuleError(f"axis {axis} does not exist in a tensor of rank {rank}")
    return axis % rank


def axes_of(axes: Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Possibly negative axes sorted in [0, rank); None means all of them."""
    if axes is None:
        return tuple(range(rank))
    return tuple(sorted(axis_of(axis, rank) for axis in axes))


def scalar(builder: Builder, value: bool | int | float, dtype: DType) -> Value:
    """A constant of shape ()."""
    return builder.constant(value, dtype)


def full(builder: Builder, shape: Sequence[Dim], value: bool | int | float, dtype: DType) -> Value:
    """A tensor whose elements are all `value`."""
    return broadcast_in_dim(builder, scalar(builder, value, dtype), shape, ())


def full_like(builder: Builder, x: Value, value: bool | int | float) -> Value:
    """`value` in the shape and dtype of `x`."""
    return full(builder, x.type.shape, value, x.dtype)


def zeros_like(builder: Builder, x: Value) -> Value:
    """Zeros in the shape and dtype of `x`."""
    return full_like(builder, x, 0)


def ones_like(builder: Builder, x: Value) -> Value:
    """Ones in the shape and dtype of `x`."""
    return full_like(builder, x, 1)


def convert(builder: Builder, x: Value, dtype: DType) -> Value:
    """`x` in another dtype; `x` itself if it has that dtype."""
    return x if x.dtype == dtype else builder.one("convert", (x,), dtype=dtype)


def broadcast_in_dim(
    builder: Builder, x: Value, shape: Sequence[Dim], dimensions: Sequence[int]
) -> Value:
    """`x` repeated to `shape`; dim k of `x` becomes dim `dimensions[k]`."""
    if tuple(shape) == x.type.shape and tuple(dimensions) == tuple(range(x.type.rank)):
        return x
    return builder.one("broadcast_in_dim", (x,), shape=tuple(shape), dimensions=tuple(dimensions))


def broadcast_to(builder: Builder, x: Value, shape: Sequence[Dim]) -> Value:
    """`x` repeated to `shape` by numpy's rule (dims aligned at the right)."""
    lead = len(shape) - x.type.rank
    return broadcast_in_dim(builder, x, shape, range(lead, len(shape)))


def broadcast_shapes(*shapes: Sequence[Dim]) -> tuple[Dim, ...]:
    """The shape that numpy's broadcasting gives; TypeRuleError if the shapes do not fit."""
    rank = max(map(len, shapes), default=0)
    result: list[Dim] = [1] * rank
    for shape in shapes:
        for axis, dim in enumerate(shape, rank - len(shape)):
            if result[axis] == 1:
                result[axis] = dim
            elif dim not in (1, result[axis]):
                texts = " and ".join(f"[{', '.join(map(str, s))}]" for s in shapes)
                raise TypeRuleError(f"shapes {texts} do not broadcast together")
    return tuple(result)


def broadcast_together(builder: Builder, *values: Value) -> tuple[Value, ...]:
    """The values repeated to their common shape."""
    shape = broadcast_shapes(*(value.type.shape for value in values))
    return tuple(broadcast_to(builder, value, shape) for value in values)


def binary(builder: Builder, name: str, a: Value, b: Value) -> Value:
    """The elementwise op `name` of two tensors with numpy's broadcasting."""
    return builder.one(name, broadcast_together(builder, a, b))


def compare(builder: Builder, direction: str, a: Value, b: Value) -> Value:
    """EQ NE LT LE GT or GE of two tensors with numpy's broadcasting."""
    return builder.one("compare", broadcast_together(builder, a, b), direction=direction)


def select(builder: Builder, condition: Value, on_true: Value, on_false: Value) -> Value:
    """`on_true` where `condition` holds, else `on_false`, with numpy's broadcasting."""
    return builder.one("select", broadcast_together(builder, condition, on_true, on_false))


def reshape(builder: Builder, x: Value, shape: Sequence[Dim]) -> Value:
    """`x` with the same elements in row-major order in another shape."""
    if tuple(shape) == x.type.shape:
        return x
    return builder.one("reshape", (x,), shape=tuple(shape))


def expand_dims(builder: Builder, x: Value, axes: Sequence[int]) -> Value:
    """`x` with dims of size 1 at `axes` of the result."""
    places = axes_of(axes, x.type.rank + len(axes))
    old = iter(x.type.shape)
    shape = [1 if k in places else next(old) for k in range(x.type.rank + len(axes))]
    return reshape(builder, x, shape)


def squeeze(builder: Builder, x: Value, axes: Sequence[int] | None = None) -> Value:
    """`x` without the dims at `axes`, each of size 1 (None: all dims of size 1)."""
    shape = x.type.shape
    if axes is None:
        axes = [k for k, dim in enumerate(shape) if dim == 1]
    dropped = axes_of(axes, len(shape))
    return reshape(builder, x, [dim for k, dim in enumerate(shape) if k not in dropped])


def transpose(builder: Builder, x: Value, permutation: Sequence[int] | None = None) -> Value:
    """Dim k of the result is dim `permutation[k]` of `x` (None: dims reversed)."""
    rank = x.type.rank
    if permutation is None:
        permutation = range(rank)[::-1]
    order = tuple(axis_of(axis, rank) for axis in permutation)
    return x if order == tuple(range(rank)) else builder.one("transpose", (x,), permutation=order)


def reverse(builder: Builder, x: Value, axes: Sequence[int]) -> Value:
    """`x` read backwards along `axes`."""
    dims = axes_of(axes, x.type.rank)
    return builder.one("reverse", (x,), dimensions=dims) if dims else x


def iota(builder: Builder, shape: Sequence[Dim], axis: int, dtype: DType) -> Value:
    """Each element is its own index along `axis`."""
    return builder.one("iota", shape=tuple(shape), dtype=dtype, dimension=axis_of(axis, len(shape)))


def slice_(
    builder: Builder,
    x: Value,
    start: Sequence[int],
    limit: Sequence[Dim],
    strides: Sequence[int] | None = None,
) -> Value:
    """Elements start, start + stride, ... below limit, for each dim."""
    steps = (1,) * x.type.rank if strides is None else tuple(strides)
    whole = not any(start) and tuple(limit) == x.type.shape and all(s == 1 for s in steps)
    if whole:
        return x
    return builder.one("slice", (x,), start=tuple(start), limit=tuple(limit), strides=steps)


def slice_axis(
    builder: Builder, x: Value, axis: int, start: int, limit: Dim, stride: int = 1
) -> Value:
    """A slice along one axis, the other dims whole."""
    rank = x.type.rank
    axis = axis_of(axis, rank)
    starts, steps, limits = [0] * rank, [1] * rank, list(x.type.shape)
    starts[axis], limits[axis], steps[axis] = start, limit, stride
    return slice_(builder, x, starts, limits, steps)


def concat(builder: Builder, values: Sequence[Value], axis: int) -> Value:
    """The values one after the other along `axis`."""
    if len(values) == 1:
        return values[0]
    dimension = axis_of(axis, values[0].type.rank)
    return builder.one("concatenate", tuple(values), dimension=dimension)


def stack(builder: Builder, values: Sequence[Value], axis: int = 0) -> Value:
    """Values of one shape along a new dim at `axis` of the result."""
    return concat(builder, [expand_dims(builder, value, (axis,)) for value in values], axis)


def pad(
    builder: Builder,
    x: Value,
    low: Sequence[int],
    high: Sequence[int],
    interior: Sequence[int] | None = None,
    value: Value | bool | int | float = 0,
) -> Value:
    """`x` with `value` before, after and between its elements; negative low and high crop."""
    inner = (0,) * x.type.rank if interior is None else tuple(interior)
    if not (any(low) or any(high) or any(inner)):
        return x
    filler = value if isinstance(value, Value) else scalar(builder, value, x.dtype)
    return builder.one("pad", (x, filler), low=tuple(low), high=tuple(high), interior=inner)


def unpad(
    builder: Builder,
    x: Value,
    low: Sequence[int],
    high: Sequence[int],
    interior: Sequence[int] | None = None,
) -> Value:
    """Undoes `pad` with the same numbers; cells that a negative low or high cropped are zero."""
    whole = pad(builder, x, [-n for n in low], [-n for n in high])
    steps = None if interior is None else [n + 1 for n in interior]
    return slice_(builder, whole, (0,) * x.type.rank, whole.type.shape, steps)


def reduce(
    builder: Builder,
    x: Value,
    reducer: str,
    axes: Sequence[int] | None = None,
    keep_dims: bool = False,
) -> Value:
    """`x` folded over `axes` (None: all); reducers add multiply maximum minimum and or."""
    dims = axes_of(axes, x.type.rank)
    result = builder.one("reduce", (x,), dimensions=dims, reducer=reducer) if dims else x
    return expand_dims(builder, result, dims) if keep_dims and dims else result


def reduce_sum(
    builder: Builder, x: Value, axes: Sequence[int] | None = None, keep_dims: bool = False
) -> Value:
    """The sum over `axes` (None: all)."""
    return reduce(builder, x, "add", axes, keep_dims)


def reduce_max(
    builder: Builder, x: Value, axes: Sequence[int] | None = None, keep_dims: bool = False
) -> Value:
    """The maximum over `axes` (None: all); NaN if one element is NaN."""
    return reduce(builder, x, "maximum", axes, keep_dims)


def reduce_mean(
    builder: Builder, x: Value, axes: Sequence[int] | None = None, keep_dims: bool = False
) -> Value:
    """The mean over `axes` (None: all), of a float dtype; NaN over no elements."""
    dims = axes_of(axes, x.type.rank)
    sizes = tuple(x.type.shape[axis] for axis in dims)
    total = reduce(builder, x, "add", dims, keep_dims)
    return binary(builder, "divide", total, count(builder, sizes, x.dtype))


def count(builder: Builder, shape: Sequence[Dim], dtype: DType) -> Value:
    """The number of elements of `shape` as a scalar; summed up at run time if it is symbolic."""
    if is_static(shape):
        return scalar(builder, math.prod(d for d in shape if isinstance(d, int)), dtype)
    return reduce_sum(builder, full(builder, shape, 1, dtype))


def arg_reduce(
    builder: Builder, x: Value, kind: str, axis: int, dtype: DType = I64
) -> tuple[Value, Value]:
    """The extreme (kind max or min) along `axis` and the index of its first occurrence."""
    values, indices = builder.op(
        "arg_reduce",
        (x,),
        {"kind": kind, "dimension": axis_of(axis, x.type.rank), "dtype": dtype},
    )
    return values, indices


def matmul(builder: Builder, a: Value, b: Value) -> Value:
    """numpy's matmul: batched over leading dims, which broadcast; vectors at either side."""
    if not a.type.rank or not b.type.rank:
        raise TypeRuleError("matmul needs operands of rank 1 or more")
    if a.type.rank == 1 or b.type.rank <= 2:  # one matrix (or vector) on the right, or none batched
        if a.type.rank == 1 and b.type.rank > 2:
            rows = matmul(builder, expand_dims(builder, a, (0,)), b)
            return squeeze(builder, rows, (-2,))
        return dot_general(builder, a, b, (), (), (a.type.rank - 1,), (max(b.type.rank - 2, 0),))
    batch = broadcast_shapes(a.type.shape[:-2], b.type.shape[:-2])
    a = broadcast_to(builder, a, (*batch, *a.type.shape[-2:]))
    b = broadcast_to(builder, b, (*batch, *b.type.shape[-2:]))
    dims = tuple(range(len(batch)))
    return dot_general(builder, a, b, dims, dims, (len(batch) + 1,), (len(batch),))


def dot_general(
    builder: Builder,
    lhs: Value,
    rhs: Value,
    lhs_batch: Sequence[int],
    rhs_batch: Sequence[int],
    lhs_contracting: Sequence[int],
    rhs_contracting: Sequence[int],
) -> Value:
    """Products summed over contracting dims; the result's dims are batch, lhs free, rhs free."""
    return builder.one(
        "dot_general",
        (lhs, rhs),
        lhs_batch=tuple(lhs_batch),
        rhs_batch=tuple(rhs_batch),
        lhs_contracting=tuple(lhs_contracting),
        rhs_contracting=tuple(rhs_contracting),
    )


def take(builder: Builder, x: Value, indices: Value, axis: int = 0) -> Value:
    """numpy's take: slices of `x` along `axis` at integer `indices`, clamped to the valid range.

    The result's shape is x.shape[:axis] + indices.shape + x.shape[axis+1:].
    """
    rank = x.type.rank
    axis = axis_of(axis, rank)
    many = indices.type.rank
    offsets = (*range(axis), *range(axis + many, rank + many - 1))
    sizes = [1 if k == axis else dim for k, dim in enumerate(x.type.shape)]
    return builder.one(
        "gather",
        (x, indices),
        offset_dims=offsets,
        collapsed_slice_dims=(axis,),
        start_index_map=(axis,),
        index_vector_dim=many,
        slice_sizes=tuple(sizes),
    )


def dynamic_slice(
    builder: Builder, x: Value, starts: Sequence[Value], sizes: Sequence[Dim]
) -> Value:
    """The box of `sizes` at scalar integer `starts`, which are clamped so that it fits."""
    return builder.one("dynamic_slice", (x, *starts), sizes=tuple(sizes))


def dynamic_update_slice(
    builder: Builder, x: Value, update: Value, starts: Sequence[Value]
) -> Value:
    """`x` with the box at scalar integer `starts` (clamped so that it fits) replaced."""
    return builder.one("dynamic_update_slice", (x, update, *starts))


def index_dtype(size: int) -> DType:
    """The smaller of i32 and i64 that can count to `size`."""
    return I32 if size <= np.iinfo(np.int32).max else I64
