"""What TensorFlow's graphs of training steps compute shapes with, and gradients of moved data.

Programs get these ops from files only: `tf.gradients` is one op here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.index_checks import invalid
from tensorkiln.frontends.graph.kinds import TABLE, OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_gradients_windows import pulled_back
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.statics import static_shape


def _reduced_infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[0]), (None,))] * 2


def _reduced_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """The axes along which each of two shapes is spread to the other: the sum over them takes a
    gradient back."""
    first, second = (list(lowering.integers(op, k, values)) for k in range(2))
    rank = max(len(first), len(second))
    first, second = ([1] * (rank - len(shape)) + shape for shape in (first, second))
    if any(m != n and 1 not in (m, n) for m, n in zip(first, second, strict=True)):
        raise invalid(op, f"Incompatible shapes: {first} vs. {second}")
    return [
        _constant(lowering.builder, [k for k in range(rank) if shape[k] == 1], op)
        for shape in (first, second)
    ]


def _constant(builder: Builder, numbers: Sequence[int], op: Operation) -> Value:
    array = np.array(numbers, op.outputs[0].dtype.numpy)
    return builder.one("constant", value=array)


def _offset_infer(op: Operation) -> Sequence[Result]:
    return [(base(t), t.sizes) for t in op.inputs[1:]]


def _offset_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """Where each of several tensors begins in their concatenation."""
    shapes = [lowering.integers(op, k, values) for k in range(1, len(values))]
    rank = len(shapes[0])
    axis = lowering.integer(op, 0, values) % max(rank, 1)
    begin, results = 0, []
    for shape in shapes:
        place = [begin if k == axis else 0 for k in range(rank)]
        results.append(_constant(lowering.builder, place, op))
        begin += shape[axis]
    return results


def _strided_infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[4]), static_shape(op.inputs[0]))]


def _strided_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """Zeros with the gradient where the slice was taken."""
    cotangent = values[4]
    whole = shorthand.full(lowering.builder, lowering.integers(op, 0, values), 0, cotangent.dtype)
    (part,) = TABLE["StridedSlice"].lower(lowering, op, [whole, *values[1:4]])
    return pulled_back(lowering, op, part, [whole], cotangent)


def _bias_infer(op: Operation) -> Sequence[Result]:
    sizes = op.inputs[0].sizes
    return [(base(op.inputs[0]), (None if sizes is None else sizes[_channel(op, len(sizes))],))]


def _channel(op: Operation, rank: int) -> int:
    return 1 if str(op.attributes.get("data_format", "NHWC")).startswith("NC") else rank - 1


def _bias_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    (cotangent,) = values
    rank = len(cotangent.shape)
    axes = [k for k in range(rank) if k != _channel(op, rank)]
    return [shorthand.reduce_sum(lowering.builder, cotangent, axes)]


def _mirror_infer(op: Operation) -> Sequence[Result]:
    sizes = op.inputs[0].sizes
    return [(base(op.inputs[0]), None if sizes is None else (None,) * len(sizes))]


def _mirror_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    cotangent, paddings = values
    numbers = lowering.integers(op, 1, values)
    shape = [
        n - low - high
        for n, low, high in zip(cotangent.shape, numbers[::2], numbers[1::2], strict=True)
    ]
    x = shorthand.full(lowering.builder, shape, 0, cotangent.dtype)
    (padded,) = TABLE["MirrorPad"].lower(lowering, op, [x, paddings])
    return pulled_back(lowering, op, padded, [x], cotangent)


def _stitch_infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[-1]), (None,))]


def _stitch_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """`DynamicStitch` of numbers whose places follow from shapes."""
    builder, count = lowering.builder, op.integer("N")
    places = [place for k in range(count) for place in lowering.integers(op, k, values)]
    flat = [shorthand.reshape(builder, v, (v.type.elements,)) for v in values[count:]]
    size = max(places, default=-1) + 1
    source = np.zeros(size, np.int32)
    source[places] = np.arange(len(places))
    whole = shorthand.concat(builder, flat, 0)
    return [shorthand.take(builder, whole, builder.one("constant", value=source))]


_INDEX = {"T": dtypes.INDEXES}
register(
    OpKind("BroadcastGradientArgs", "s0:T s1:T", _reduced_infer, _reduced_lower, _INDEX,
           differentiable=False),
    OpKind("ConcatOffset", "concat_dim:int32 shape:int32*", _offset_infer, _offset_lower,
           differentiable=False),
    OpKind("StridedSliceGrad", "shape:index begin:index end:index strides:index dy:T",
           _strided_infer, _strided_lower),
    OpKind("BiasAddGrad", "out_backprop:T", _bias_infer, _bias_lower),
    OpKind("MirrorPadGrad", "input:T paddings:index", _mirror_infer, _mirror_lower),
    OpKind("ShapeStitch", "indices:int32* data:T*", _stitch_infer, _stitch_lower, _INDEX,
           differentiable=False),
)  # fmt: skip
