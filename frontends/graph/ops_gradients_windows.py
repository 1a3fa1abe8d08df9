"""Gradients of pools and normalisations as ops of their own, as TensorFlow's graphs have them.

The forward op is computed once more (the compiler finds that it is there already) and
differentiated.  Programs get these ops from files only: `tf.gradients` is one op here.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.differentiate import differentiate
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph.dtypes import FLOATS
from tensorkiln.frontends.graph.index_checks import invalid
from tensorkiln.frontends.graph.kinds import TABLE, Lower, OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base, like_input
from tensorkiln.frontends.graph.statics import static_shape


def pulled_back(
    lowering: Lowering, op: Operation, result: Value, inputs: Sequence[Value], cotangent: Value
) -> list[Value]:
    """The gradients of `result` for the inputs, where it weighs as much as `cotangent` says."""
    if result.shape != cotangent.shape:
        raise invalid(
            op, f"{op.type}: the gradient has shape {list(cotangent.shape)}, but the result that it "
            f"belongs to has {list(result.shape)}",
        )  # fmt: skip
    found = differentiate(lowering.builder, [result], inputs, [cotangent])
    return [
        shorthand.zeros_like(lowering.builder, x) if g is None else g
        for x, g in zip(inputs, found, strict=True)
    ]


def _forward(kind: str, image: int, cotangent: int) -> Lower:
    """The gradient of op `kind`, which has the same attributes, for its only input."""

    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        x = values[image]
        (result, *_) = TABLE[kind].lower(lowering, op, [x])
        return pulled_back(lowering, op, result, [x], values[cotangent])

    return lower


def _average_infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[1]), static_shape(op.inputs[0]))]


def _average_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    shape, cotangent = lowering.integers(op, 0, values), values[1]
    x = shorthand.full(lowering.builder, shape, 0, cotangent.dtype)
    (result,) = TABLE[op.type.removesuffix("Grad")].lower(lowering, op, [x])
    return pulled_back(lowering, op, result, [x], cotangent)


def _image_infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[1]), op.inputs[1].sizes)]


def _norm_infer(op: Operation) -> Sequence[Result]:
    """The gradients for x, scale and offset, then two that nobody reads."""
    x, scale = op.inputs[1], op.inputs[2]
    like = (base(scale), scale.sizes)
    return [(base(x), x.sizes), like, like, (base(scale), (0,)), (base(scale), (0,))]


def _norm_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder = lowering.builder
    cotangent, x, scale, mean, variance = values[:5]
    offset = shorthand.zeros_like(builder, scale)
    (y, *_) = TABLE["FusedBatchNorm"].lower(lowering, op, [x, scale, offset, mean, variance])
    found = pulled_back(lowering, op, y, [x, scale, offset], cotangent)
    empty = shorthand.full(builder, (0,), 0, scale.dtype)
    return [*found, empty, lowering.identity(empty)]


_FLOAT = {"T": FLOATS}
_POOLED = "orig_input:T orig_output:T grad:T"
_NORM = "y_backprop:T x:T scale:T reserve_space_1:T reserve_space_2:T"
_NORM_MIXED = "y_backprop:T x:T scale:float32 reserve_space_1:float32 reserve_space_2:float32"
register(
    OpKind("MaxPoolGrad", _POOLED, like_input, _forward("MaxPool", 0, 2), _FLOAT),
    OpKind("MaxPool3DGrad", _POOLED, like_input, _forward("MaxPool3D", 0, 2), _FLOAT),
    OpKind("AvgPoolGrad", "orig_input_shape:int32 grad:T", _average_infer, _average_lower, _FLOAT),
    OpKind(
        "AvgPool3DGrad", "orig_input_shape:int32 grad:T", _average_infer, _average_lower, _FLOAT
    ),
    OpKind("LRNGrad", "input_grads:T input_image:T output_image:T", _image_infer,
           _forward("LRN", 1, 0), _FLOAT),
    OpKind("FusedBatchNormGrad", _NORM, _norm_infer, _norm_lower, _FLOAT),
    OpKind("FusedBatchNormGradV2", _NORM_MIXED, _norm_infer, _norm_lower, _FLOAT),
    OpKind("FusedBatchNormGradV3", f"{_NORM_MIXED} reserve_space_3:float32", _norm_infer,
           _norm_lower, _FLOAT),
)  # fmt: skip
