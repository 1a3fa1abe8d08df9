"""Moments, batch normalisation, dropout, biases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.convert import Convertible, convert_to_tensor
from tensorkiln.frontends.graph.dtypes import FLOATS, NUMBERS
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_elementwise import squared_difference
from tensorkiln.frontends.graph.ops_matmul import matmul
from tensorkiln.frontends.graph.ops_random import random_uniform
from tensorkiln.frontends.graph.ops_reduce import reduce_mean
from tensorkiln.frontends.graph.ops_shape import shape, squeeze
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import ShapeError, show
from tensorkiln.frontends.graph.statics import static_array
from tensorkiln.frontends.graph.tensor import Tensor


def bias_add(
    value: object, bias: object, data_format: str | None = None, name: str | None = None
) -> Tensor:
    """`value` plus a vector along its last dim (dim 1 with data_format NCHW)."""
    with graph_of([value, bias]).name_scope(name or "BiasAdd") as scope:
        tensor = convert_to_tensor(value, name="input")
        vector = convert_to_tensor(bias, base(tensor), "bias")
        return make("BiasAdd", (tensor, vector), scope, data_format=data_format or "NHWC")


def _channel(op: Operation, rank: int) -> int:
    return 1 if op.text("data_format").startswith("NC") else rank - 1


def _bias_infer(op: Operation) -> Sequence[Result]:
    value, bias = op.inputs
    if bias.sizes is not None and len(bias.sizes) != 1:
        raise ShapeError(f"Shape must be rank 1 but is rank {len(bias.sizes)}")
    if value.sizes is not None and len(value.sizes) < 2:
        raise ShapeError(f"Shape must be at least rank 2 but is rank {len(value.sizes)}")
    if value.sizes is not None and bias.sizes is not None:
        channels = value.sizes[_channel(op, len(value.sizes))]
        if channels is not None and bias.sizes[0] not in (None, channels):
            raise ShapeError(f"Dimensions must be equal, but are {channels} and {bias.sizes[0]}")
    return [(base(value), value.sizes)]


def _bias_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x, bias) = lowering.builder, values
    axis = _channel(op, len(x.shape))
    spread = shorthand.broadcast_in_dim(builder, bias, x.shape, (axis,))
    return [builder.one("add", (x, spread))]


def xw_plus_b(x: object, weights: object, biases: object, name: str | None = None) -> Tensor:
    """matmul(x, weights) + biases."""
    with graph_of([x, weights, biases]).name_scope(name or "xw_plus_b") as scope:
        return bias_add(matmul(x, weights), biases, name=scope)


def relu_layer(x: object, weights: object, biases: object, name: str | None = None) -> Tensor:
    """relu(matmul(x, weights) + biases)."""
    with graph_of([x, weights, biases]).name_scope(name or "relu_layer") as scope:
        return make("Relu", (bias_add(matmul(x, weights), biases),), scope)


def dropout(
    x: object, keep_prob: object = None, noise_shape: object = None, seed: int | None = None,
    name: str | None = None, rate: object = None,
) -> Tensor:  # fmt: skip
    """Elements kept with probability `keep_prob` and divided by it, zero elsewhere.

    ValueError if the probability is known and not in (0, 1]; `rate` is 1 - keep_prob.
    """
    if keep_prob is None:
        if rate is None:
            raise ValueError("dropout needs keep_prob or rate")
        keep_prob = 1 - rate  # type: ignore[operator]
    with graph_of([x, keep_prob]).name_scope(name or "dropout"):
        tensor = convert_to_tensor(x, name="x")
        if not tensor.dtype.is_floating:
            raise ValueError(
                "x has to be a floating point tensor since it's going to be scaled. Got a "
                f"{tensor.dtype} tensor instead."
            )
        known = not isinstance(keep_prob, Convertible)
        if known and not 0 < float(keep_prob) <= 1:  # type: ignore[arg-type]
            raise ValueError(
                "keep_prob must be a scalar tensor or a float in the range (0, 1], got "
                f"{float(keep_prob):g}"  # type: ignore[arg-type]
            )
        if known and float(keep_prob) == 1:  # type: ignore[arg-type]
            return tensor
        kept = convert_to_tensor(keep_prob, base(tensor), "keep_prob")
        if static_array(kept) is not None and float(np.asarray(static_array(kept))) == 1:
            return tensor
        noise = shape(tensor) if noise_shape is None else noise_shape
        drawn = random_uniform(noise, seed=seed, dtype=base(tensor))
        scale = 1.0 / kept
        mask = make("GreaterEqual", (drawn, 1.0 - kept))
        result = tensor * scale * make("Cast", (mask,), "Cast", DstT=base(tensor))
        result.set_shape(tensor.shape)
        return result


def moments(
    x: object, axes: object, shift: object = None, name: str | None = None,
    keep_dims: bool | None = None, keepdims: bool | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The mean and the (biased) variance over `axes`."""
    with graph_of([x]).name_scope(name or "moments"):
        tensor = convert_to_tensor(x)
        places = np.atleast_1d(np.asarray(axes)).tolist()
        average = reduce_mean(tensor, places, True, name="mean")
        steady = make("StopGradient", (average,))
        variance = reduce_mean(squared_difference(tensor, steady), places, True, name="variance")
        if keep_dims or keepdims:
            return average, variance
        return squeeze(average, places), squeeze(variance, places)


def batch_normalization(
    x: object, mean: object, variance: object, offset: object, scale: object,
    variance_epsilon: object, name: str | None = None,
) -> Tensor:  # fmt: skip
    """(x - mean) / sqrt(variance + epsilon) * scale + offset; scale and offset may be None."""
    with graph_of([x, mean, variance]).name_scope(name or "batchnorm"):
        spread = convert_to_tensor(variance)
        factor = make("Rsqrt", (spread + variance_epsilon,))
        if scale is not None:
            factor = factor * scale
        scaled = convert_to_tensor(x) * factor
        if offset is None:
            return scaled + -convert_to_tensor(mean) * factor
        return scaled + (convert_to_tensor(offset) - convert_to_tensor(mean) * factor)


def fused_batch_norm(
    x: object, scale: object, offset: object, mean: object = None, variance: object = None,
    epsilon: float = 0.001, data_format: str = "NHWC", is_training: bool = True,
    name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Batch normalisation over all but the channels; y, and mean and variance for averages.

    In training these are the batch's mean and its unbiased variance, else those given.
    """
    with graph_of([x, scale, offset]).name_scope(name or "FusedBatchNormV3") as scope:
        tensor = convert_to_tensor(x, name="x")
        empty = np.zeros(0, np.float32)
        given = [empty if part is None else part for part in (mean, variance)]
        attributes = {
            "epsilon": float(epsilon), "data_format": data_format, "is_training": is_training,
        }  # fmt: skip
        outputs = apply_op(
            "FusedBatchNorm", (tensor, scale, offset, *given), scope, attributes
        ).outputs
    return outputs[0], outputs[1], outputs[2]


def _fused_infer(op: Operation) -> Sequence[Result]:
    x, scale = op.inputs[:2]
    if x.sizes is not None and len(x.sizes) != 4:
        raise ShapeError(f"Shape must be rank 4 but is rank {len(x.sizes)}: {show(x.sizes)}")
    return [(base(x), x.sizes), (base(scale), scale.sizes), (base(scale), scale.sizes)]


def _fused_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x, scale, offset, mean, variance) = lowering.builder, values
    epsilon = op.attributes["epsilon"]
    assert isinstance(epsilon, float)
    axis = _channel(op, len(x.shape))
    attributes = {"epsilon": epsilon, "feature_index": axis}
    # As in TensorFlow a gradient flows through y alone, and to x, scale and offset alone.
    if not op.flag("is_training"):
        mean, variance = (builder.one("stop_gradient", (v,)) for v in (mean, variance))
        y = builder.one("batch_norm_inference", (x, scale, offset, mean, variance), **attributes)
        return [y, mean, variance]
    y, average, biased = builder.op("batch_norm_training", (x, scale, offset), attributes)
    count = x.type.elements // x.shape[axis]
    unbiased = Formula(builder, biased) * (count / max(count - 1, 1))
    return [y, *(builder.one("stop_gradient", (v,)) for v in (average, unbiased.value))]


def l2_normalize(
    x: object, axis: object = None, epsilon: float = 1e-12, name: str | None = None,
    dim: object = None,
) -> Tensor:  # fmt: skip
    """x / sqrt(max(sum(x * x), epsilon)) along `axis`."""
    with graph_of([x]).name_scope(name or "l2_normalize") as scope:
        tensor = convert_to_tensor(x, name="x")
        places = axis if dim is None else dim
        if places is None:
            places = list(range(len(tensor.sizes or ())))
        total = make("Sum", (make("Square", (tensor,)), places), keep_dims=True)
        factor = make("Rsqrt", (make("Maximum", (total, epsilon)),))
        return make("Mul", (tensor, factor), scope)


register(
    OpKind("BiasAdd", "value:T bias:T", _bias_infer, _bias_lower, {"T": NUMBERS}),
    OpKind("FusedBatchNorm", "x:T scale:T offset:T mean:T variance:T", _fused_infer,
           _fused_lower, {"T": (dtypes.float32, dtypes.float16, *FLOATS)}),
)  # fmt: skip
