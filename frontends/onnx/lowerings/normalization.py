"""Normalizations."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import F32, F64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import (
    axis_of,
    binary,
    broadcast_in_dim,
    broadcast_to,
    compare,
    convert,
    full,
    full_like,
    reduce,
    reduce_mean,
    reshape,
    scalar,
    select,
)  # fmt: skip
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def _batch_norm_operands(node: Node) -> tuple[Value, list[Value]]:
    """The data and scale, offset, mean, variance, all in the widest of their dtypes."""
    x, *parameters = node.values()
    channels = x.shape[1] if x.type.rank > 1 else 1
    for parameter in parameters:
        if parameter.shape != (channels,):
            raise node.invalid(f"a parameter is {parameter.type}; {x.type} has {channels} channels")
    dtype = max((v.dtype for v in (x, *parameters)), key=lambda d: d.bits)
    builder = node.builder
    return convert(builder, x, dtype), [convert(builder, p, dtype) for p in parameters]


def _inference(node: Node) -> Value:
    x, parameters = _batch_norm_operands(node)
    epsilon = node.number("epsilon", 1e-5)
    if x.type.rank < 2:
        raise node.unsupported(f"its input {x.type} has no channel dim")
    y = node.builder.one("batch_norm_inference", (x, *parameters), epsilon=epsilon, feature_index=1)
    return convert(node.builder, y, node.operand(0).dtype)


def _batch_norm_early(node: Node) -> Value:
    """Before opset 14: training is what asks for more than one output."""
    if any(node.wants(k) for k in range(1, 5)):
        raise node.unsupported("training with the outputs of before opset 14")
    if not node.integer("spatial", 1):
        raise node.unsupported("one scale for each element (spatial is 0)")
    return _inference(node)


def _batch_norm(node: Node) -> list[Value]:
    if not node.integer("training_mode"):
        return [_inference(node)]
    builder = node.builder
    x, (scale_, offset, mean, variance) = _batch_norm_operands(node)
    y, batch_mean, batch_variance = builder.op(
        "batch_norm_training",
        (x, scale_, offset),
        {"epsilon": node.number("epsilon"), "feature_index": 1},
    )
    kept = node.number("momentum")
    running = [
        binary(
            builder, "add", binary(builder, "multiply", old, scalar(builder, kept, old.dtype)),
            binary(builder, "multiply", new, scalar(builder, 1 - kept, new.dtype)),
        )
        for old, new in ((mean, batch_mean), (variance, batch_variance))
    ]  # fmt: skip
    dtypes = (node.operand(0).dtype, node.operand(3).dtype, node.operand(4).dtype)
    return [convert(builder, v, d) for v, d in zip((y, *running), dtypes, strict=True)]


def _moments(
    builder: Builder, x: Value, axes: Sequence[int], epsilon: float
) -> tuple[Value, Value]:
    """Mean and 1 / sqrt(variance + epsilon) over `axes`, whose dims stay as 1."""
    mean = reduce_mean(builder, x, axes, keep_dims=True)
    centered = binary(builder, "subtract", x, mean)
    square = builder.one("multiply", (centered, centered))
    variance = reduce_mean(builder, square, axes, keep_dims=True)
    shifted = binary(builder, "add", variance, scalar(builder, epsilon, x.dtype))
    return mean, builder.one("rsqrt", (shifted,))


def _instance_norm(node: Node) -> Value:
    builder, x = node.builder, node.value()
    axes = range(2, x.type.rank)
    mean, inverse = _moments(builder, x, axes, node.number("epsilon", 1e-5))
    scale_, bias = (broadcast_in_dim(builder, node.value(k), x.shape, (1,)) for k in (1, 2))
    normal = binary(builder, "multiply", binary(builder, "subtract", x, mean), inverse)
    return binary(builder, "add", binary(builder, "multiply", normal, scale_), bias)


def _layer_norm(node: Node) -> list[Value]:
    builder, x = node.builder, node.value()
    axis = axis_of(node.integer("axis"), x.type.rank)
    epsilon = node.number("epsilon")
    inner = x.shape[axis:]
    scale_ = broadcast_to(builder, node.value(1), inner)
    bias = (
        broadcast_to(builder, node.value(2), inner)
        if node.has(2)
        else full(builder, inner, 0, x.dtype)
    )
    results = [builder.one("layer_norm", (x, scale_, bias), axis=axis, epsilon=epsilon)]
    if node.wants(1) or node.wants(2):
        dtype = node.dtype("stash_type", F32)
        wide = convert(builder, x, dtype if x.dtype != F64 else F64)
        moments = _moments(builder, wide, range(axis, x.type.rank), epsilon)
        results += [convert(builder, v, dtype) for v in moments]
    return results


def _lrn(node: Node) -> Value:
    """x / (bias + alpha / size * sum of squares over `size` channels around)^beta."""
    builder, x, size = node.builder, node.value(), node.integer("size")
    if x.type.rank < 2 or size < 1:
        raise node.invalid(f"{x.type} cannot be normalized over {size} channels")
    channels, rest = x.shape[1], x.type.rank - 2
    # Beyond all channels there is nothing to add.
    low, high = min((size - 1) // 2, channels), min(size // 2, channels)
    ones = (1,) * x.type.rank
    total = builder.one(
        "reduce_window",
        (builder.one("multiply", (x, x)),),
        window=(1, low + high + 1, *ones[2:]),
        strides=ones,
        base_dilations=ones,
        window_dilations=ones,
        padding=((0, 0), (low, high), *((0, 0),) * rest),
        reducer="add",
    )
    share = binary(
        builder, "multiply", total, scalar(builder, node.number("alpha") / size, x.dtype)
    )
    base = binary(builder, "add", share, scalar(builder, node.number("bias"), x.dtype))
    power = binary(builder, "power", base, scalar(builder, node.number("beta"), x.dtype))
    return builder.one("divide", (x, power))


def _lp_norm(node: Node) -> Value:
    """x / ||x||_p along an axis; 0 where the norm is 0."""
    builder, x, p = node.builder, node.value(), node.integer("p")
    axis = axis_of(node.integer("axis"), x.type.rank)
    if p not in (1, 2):
        raise node.invalid(f"p is {p}, not 1 or 2")
    each = builder.one("abs", (x,)) if p == 1 else builder.one("multiply", (x, x))
    norm = reduce(builder, each, "add", (axis,), keep_dims=True)
    norm = norm if p == 1 else builder.one("sqrt", (norm,))
    zero = compare(builder, "EQ", norm, scalar(builder, 0, x.dtype))
    safe = select(builder, zero, full_like(builder, norm, 1), norm)
    return select(builder, zero, scalar(builder, 0, x.dtype), binary(builder, "divide", x, safe))


def _group_norm(node: Node) -> Value:
    """Normalized over the channels of a group and the spatial dims."""
    builder, x, groups = node.builder, node.value(), node.integer("num_groups")
    channels = x.shape[1]
    if groups < 1 or channels % groups:
        raise node.invalid(f"{channels} channels do not divide into {groups} groups")
    wide = convert(builder, x, node.dtype("stash_type", F32) if node.version >= 21 else x.dtype)
    inner = x.type.elements // (x.shape[0] * groups) if x.type.elements else 0
    rows = reshape(builder, wide, (x.shape[0] * groups, inner))
    mean, inverse = _moments(builder, rows, (1,), node.number("epsilon"))
    normal = binary(builder, "multiply", binary(builder, "subtract", rows, mean), inverse)
    normal = convert(builder, reshape(builder, normal, x.shape), x.dtype)
    scale_, bias = (_per_channel(node, node.value(k), channels) for k in (1, 2))
    factor, offset = (broadcast_in_dim(builder, v, x.shape, (1,)) for v in (scale_, bias))
    return binary(builder, "add", binary(builder, "multiply", normal, factor), offset)


def _per_channel(node: Node, parameter: Value, channels: int) -> Value:
    """Opset 18 has one number for each group, later ones have one for each channel."""
    size = parameter.type.elements
    if parameter.type.rank != 1 or not size or channels % size:
        raise node.invalid(f"a parameter is {parameter.type} for {channels} channels")
    if size == channels:
        return parameter
    each = broadcast_in_dim(node.builder, parameter, (size, channels // size), (0,))
    return reshape(node.builder, each, (channels,))


LOWERINGS = (
    Lowering("BatchNormalization", _batch_norm_early),
    Lowering("BatchNormalization", _batch_norm, 14),
    Lowering("InstanceNormalization", _instance_norm),
    Lowering("LayerNormalization", _layer_norm, 17),
    Lowering("GroupNormalization", _group_norm, 18),
    Lowering("LRN", _lrn),
    Lowering("LpNormalization", _lp_norm),
)
