"""Convolution, its transpose, and its integer forms; dims are batch, channels, spatial."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    reshape,
    transpose,
)  # fmt: skip
from tensorkiln.frontends.onnx.lowerings.geometry import (
    Pairs,
    explicit_padding,
    split_evenly,
    windows_of,
)  # fmt: skip
from tensorkiln.frontends.onnx.lowerings.matmul import centered
from tensorkiln.frontends.onnx.lowerings.quantization import requantized
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def _convolved(node: Node, x: Value, weight: Value) -> Value:
    if x.type.rank < 3 or weight.type.rank != x.type.rank:
        raise node.invalid(f"weights {weight.type} do not fit the input {x.type}")
    kernel = weight.shape[2:]
    if node.given("kernel_shape") and node.integers("kernel_shape") != kernel:
        raise node.invalid(
            f"kernel_shape is {list(node.integers('kernel_shape'))}, the weights are {weight.type}"
        )
    groups = node.integer("group")
    if groups < 1 or x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise node.invalid(f"weights {weight.type} in {groups} groups do not fit {x.type}")
    windows = windows_of(node, x.shape[2:], kernel)
    ones, order = (1,) * len(kernel), tuple(range(x.type.rank))
    return _convolution(
        node, x, weight, windows.strides, windows.padding, ones, windows.dilations, 0, order, groups
    )


def _convolution(
    node: Node,
    x: Value,
    weight: Value,
    strides: Sequence[int],
    padding: Pairs,
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
    reversal: int,
    rhs_spec: Sequence[int],
    groups: int,
) -> Value:
    order = tuple(range(x.type.rank))
    return node.builder.one(
        "convolution",
        (x, weight),
        strides=tuple(strides),
        padding=tuple(padding),
        lhs_dilation=tuple(lhs_dilation),
        rhs_dilation=tuple(rhs_dilation),
        reversal=(reversal,) * len(strides),
        lhs_spec=order,
        rhs_spec=tuple(rhs_spec),
        out_spec=order,
        feature_groups=groups,
        batch_groups=1,
    )


def _with_bias(node: Node, y: Value, index: int) -> Value:
    if not node.has(index):
        return y
    bias = node.value(index)
    if bias.shape != (y.shape[1],):
        raise node.invalid(f"its bias is {bias.type} for {y.shape[1]} channels")
    return binary(node.builder, "add", y, broadcast_in_dim(node.builder, bias, y.shape, (1,)))


def _conv(node: Node) -> Value:
    return _with_bias(node, _convolved(node, node.value(0), node.value(1)), 2)


def _conv_transpose(node: Node) -> Value:
    """The gradient of a convolution: the input dilated by the strides, the kernel reversed."""
    x, weight = node.value(0), node.value(1)
    if x.type.rank < 3 or weight.type.rank != x.type.rank or x.shape[1] != weight.shape[0]:
        raise node.invalid(f"weights {weight.type} do not fit the input {x.type}")
    groups = node.integer("group")
    if groups < 1 or weight.shape[0] % groups:
        raise node.invalid(f"weights {weight.type} do not divide into {groups} groups")
    kernel = weight.shape[2:]
    rank = len(kernel)
    strides = node.integers("strides", (1,) * rank)
    dilations = node.integers("dilations", (1,) * rank)
    extra = node.integers("output_padding", (0,) * rank)
    if not len(strides) == len(dilations) == len(extra) == rank:
        raise node.invalid(f"strides, dilations and output_padding must have {rank} entries each")
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    whole = [
        (n - 1) * s + span + more
        for n, s, span, more in zip(x.shape[2:], strides, spans, extra, strict=True)
    ]
    cropped = _cropped(node, whole, x.shape[2:], strides)
    padding = tuple(
        (span - 1 - low, span - 1 - high + more)
        for span, (low, high), more in zip(spans, cropped, extra, strict=True)
    )
    order = tuple(range(x.type.rank))
    rhs_spec = (1, 0, *order[2:])
    if groups > 1:
        weight, rhs_spec = _group_major(node, weight, groups), order
    y = _convolution(node, x, weight, (1,) * rank, padding, strides, dilations, 1, rhs_spec, groups)
    return _with_bias(node, y, 2)


def _cropped(
    node: Node, whole: Sequence[int], sizes: Sequence[int], strides: Sequence[int]
) -> Pairs:
    """What is cut off at both ends of each dim of the full transposed convolution."""
    mode = node.string("auto_pad", "NOTSET")
    if node.given("output_shape"):
        wanted = node.integers("output_shape")[-len(whole) :]
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        wanted = tuple(n * s for n, s in zip(sizes, strides, strict=True))
    elif mode == "VALID":
        return ((0, 0),) * len(whole)
    else:
        return explicit_padding(node, len(whole))
    return tuple(
        split_evenly(full - size, mode == "SAME_UPPER")
        for full, size in zip(whole, wanted, strict=True)
    )


def _group_major(node: Node, weight: Value, groups: int) -> Value:
    """[groups * inputs, outputs, ...] -> [groups * outputs, inputs, ...]."""
    builder = node.builder
    outputs, *kernel = weight.shape[1:]
    inputs = weight.shape[0] // groups
    split = reshape(builder, weight, (groups, inputs, outputs, *kernel))
    swapped = transpose(builder, split, (0, 2, 1, *range(3, 3 + len(kernel))))
    return reshape(builder, swapped, (groups * outputs, inputs, *kernel))


def _conv_integer(node: Node) -> Value:
    return _convolved(node, centered(node, 0, 2, I32, 1), centered(node, 1, 3, I32, 0))


def _qlinear_conv(node: Node) -> Value:
    builder = node.builder
    total = _convolved(node, centered(node, 0, 2, I32, 1), centered(node, 3, 5, I32, 0))
    total = _with_bias(node, total, 8)
    scale = reshape(builder, node.value(1), ())
    each = node.value(4)
    if each.type.elements > 1:
        each = reshape(builder, each, (each.type.elements, *(1,) * (total.type.rank - 2)))
    else:
        each = reshape(builder, each, ())
    return requantized(node, total, binary(builder, "multiply", scale, each), 6)


LOWERINGS = (
    Lowering("Conv", _conv),
    Lowering("ConvTranspose", _conv_transpose),
    Lowering("ConvInteger", _conv_integer, 10),
    Lowering("QLinearConv", _qlinear_conv, 10),
)
