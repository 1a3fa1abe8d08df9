"""Convolutions of images, sequences and volumes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import FLOATS
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base, with_rank
from tensorkiln.frontends.graph.shapes import ShapeError
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.windows import (
    channel_axis,
    output_size,
    padding_along,
    padding_attributes,
    padding_pair,
    spatial,
    spatial_axes,
)  # fmt: skip


def conv2d(
    input: object, filter: object = None, strides: object = None, padding: object = None,
    use_cudnn_on_gpu: bool = True, data_format: str = "NHWC", dilations: object = (1, 1, 1, 1),
    name: str | None = None, filters: object = None,
) -> Tensor:  # fmt: skip
    """2-D convolution (cross-correlation) with a filter [height, width, in, out]."""
    kernel = filters if filter is None else filter
    return _convolve("Conv2D", input, kernel, strides, padding, dilations, data_format, name)


def conv3d(
    input: object, filter: object = None, strides: object = None, padding: object = None,
    data_format: str = "NDHWC", dilations: object = (1, 1, 1, 1, 1), name: str | None = None,
) -> Tensor:  # fmt: skip
    """3-D convolution with a filter [depth, height, width, in, out]."""
    return _convolve("Conv3D", input, filter, strides, padding, dilations, data_format, name)


def depthwise_conv2d(
    input: object, filter: object, strides: object, padding: object,
    rate: object = None, name: str | None = None, data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Each channel convolved with its own filters [height, width, in, multiplier]; output
    channel in * multiplier + m."""
    layout = data_format or "NHWC"
    dilations = _spread(rate, layout, 4)
    with graph_of([input, filter]).name_scope(name or "depthwise") as scope:
        return _convolve(
            "DepthwiseConv2dNative", input, filter, strides, padding, dilations, layout, scope
        )


def separable_conv2d(
    input: object, depthwise_filter: object, pointwise_filter: object, strides: object,
    padding: object, rate: object = None, name: str | None = None, data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """A depthwise convolution, then a 1 x 1 convolution."""
    with graph_of([input, depthwise_filter]).name_scope(name or "separable_conv2d") as scope:
        middle = depthwise_conv2d(
            input, depthwise_filter, strides, padding, rate, "depthwise", data_format
        )
        ones = (1, 1, 1, 1)
        return conv2d(
            middle, pointwise_filter, ones, "VALID", data_format=data_format or "NHWC", name=scope
        )


def atrous_conv2d(
    value: object, filters: object, rate: int, padding: object, name: str | None = None
) -> Tensor:
    """2-D convolution with holes of `rate` - 1 between the filter's taps."""
    ones, dilations = (1, 1, 1, 1), (1, rate, rate, 1)
    label = name or "convolution"
    return _convolve("Conv2D", value, filters, ones, padding, dilations, "NHWC", label)


def depthwise_conv2d_native(
    input: object, filter: object, strides: object, padding: object, data_format: str = "NHWC",
    dilations: object = (1, 1, 1, 1), name: str | None = None,
) -> Tensor:  # fmt: skip
    """`depthwise_conv2d` with its dilations given for each dim."""
    kind = "DepthwiseConv2dNative"
    return _convolve(kind, input, filter, strides, padding, dilations, data_format, name)


def conv1d(
    value: object = None, filters: object = None, stride: object = None, padding: object = None,
    use_cudnn_on_gpu: object = None, data_format: str | None = None, name: str | None = None,
    input: object = None, dilations: object = None,
) -> Tensor:  # fmt: skip
    """1-D convolution of [batch, width, in] (or NCW) with a filter [width, in, out]."""
    layout = "NCHW" if data_format in ("NCHW", "NCW") else "NHWC"
    if data_format not in (None, "NWC", "NCW", "NHWC", "NCHW"):
        raise ValueError("data_format must be 'NWC' or 'NCW'.")
    row = value if input is None else input
    steps, holes = (
        [1] + [int(n) for n in np.broadcast_to(np.asarray(1 if v is None else v).reshape(-1), (k,))]
        for v, k in ((_middle(stride), 1), (_middle(dilations), 1))
    )
    return _row(row, filters, steps, padding, holes, layout, name or "conv1d")


def _middle(values: object) -> object:
    """The entry of the width among entries for all dims, or the only one."""
    numbers = None if values is None else np.asarray(values).reshape(-1)
    if numbers is None or numbers.size == 1:
        return values
    return max(int(n) for n in numbers)


def _row(
    value: object, kernel: object, strides: Sequence[int], padding: object,
    dilations: Sequence[int], layout: str, name: str,
) -> Tensor:  # fmt: skip
    """A 1-D convolution as a 2-D one of height 1."""
    with graph_of([value, kernel]).name_scope(name):
        axis = 2 if layout == "NCHW" else 1
        image = make("ExpandDims", (value, axis))
        window = make("ExpandDims", (kernel, 0))
        full = _spread(strides, layout, 4), _spread(dilations, layout, 4)
        result = _convolve("Conv2D", image, window, full[0], padding, full[1], layout, None)
        return make("Squeeze", (result,), squeeze_dims=(axis,))


def convolution(
    input: object, filter: object, padding: object, strides: object = None,
    dilation_rate: object = None, name: str | None = None, data_format: str | None = None,
    filters: object = None, dilations: object = None,
) -> Tensor:  # fmt: skip
    """Convolution of 1, 2 or 3 spatial dims, as many as the input has."""
    tensor = convert_to_tensor(input)
    kernel = filters if filter is None else filter
    rate = dilation_rate if dilations is None else dilations
    if tensor.sizes is None:
        raise ValueError("convolution needs an input of known rank")
    rank = len(tensor.sizes)
    if rank not in (3, 4, 5):
        raise ValueError(f"`input` must have 3, 4 or 5 dimensions, got shape {tensor.shape}")
    kind, layout = {3: ("", "NWC"), 4: ("Conv2D", "NHWC"), 5: ("Conv3D", "NDHWC")}[rank]
    layout = data_format or layout
    label = name or "convolution"
    steps, holes = _spread(strides, layout, rank), _spread(rate, layout, rank)
    if max(steps) > 1 and max(holes) > 1:
        raise ValueError("strides > 1 not supported in conjunction with dilation_rate > 1")
    if rank == 3:
        place = spatial_axes(layout, 3)[0]
        wide = "NCHW" if layout.startswith("NC") else "NHWC"
        return _row(tensor, kernel, (1, steps[place]), padding, (1, holes[place]), wide, label)
    return _convolve(kind, tensor, kernel, steps, padding, holes, layout, label)


def _spread(values: object, layout: str, rank: int) -> tuple[int, ...]:
    """Entries for the spatial dims (None: 1; one number: the same for all) as one for each dim."""
    result = [1] * rank
    axes = spatial_axes(layout, rank)
    numbers = np.broadcast_to(np.asarray(1 if values is None else values), (len(axes),))
    for axis, number in zip(axes, numbers.tolist(), strict=True):
        result[axis] = int(number)
    return tuple(result)


def _convolve(
    kind: str, value: object, kernel: object, strides: object, padding: object, dilations: object,
    data_format: str, name: str | None,
) -> Tensor:  # fmt: skip
    attributes = window_attributes(strides, padding, dilations, data_format)
    return apply_op(kind, (value, kernel), name, attributes).outputs[0]


def window_attributes(
    strides: object, padding: object, dilations: object, data_format: str
) -> dict[str, object]:
    """The attributes of a convolution; strides and dilations are given for each dim."""
    rank = len(data_format)
    steps, holes = (
        tuple(int(n) for n in np.asarray(1 if item is None else item).reshape(-1))
        for item in (strides, dilations)
    )
    steps, holes = (v if len(v) == rank else _spread(v, data_format, rank) for v in (steps, holes))
    return {
        "strides": spatial(steps, data_format, "strides"),
        "dilations": spatial(holes, data_format, "dilations"),
        "data_format": data_format, **padding_attributes(padding, data_format),
    }  # fmt: skip


def _infer(op: Operation) -> Sequence[Result]:
    rank = len(op.integers("strides")) + 2
    x, kernel = (with_rank(tensor.sizes, rank) for tensor in op.inputs)
    layout = op.text("data_format")
    features = channel_axis(layout, rank)
    depthwise = op.type == "DepthwiseConv2dNative"
    given, wanted = x[features], kernel[-2]
    wrong = (
        given is not None
        and wanted is not None
        and (given % wanted or (depthwise and given != wanted))
    )
    # Fewer channels in the filter than in the input make a grouped convolution.
    if wrong:
        raise ShapeError(f"Dimensions must be equal, but are {given} and {wanted}")
    sizes: list[int | None] = list(x)
    windows = zip(
        spatial_axes(layout, rank), kernel[:-2], op.integers("strides"), op.integers("dilations"),
        strict=True,
    )  # fmt: skip
    for axis, window, stride, dilation in windows:
        sizes[axis] = output_size(x[axis], window, stride, padding_along(op, axis), dilation)
    sizes[features] = kernel[-1]
    if depthwise and kernel[-2] is not None and kernel[-1] is not None:
        sizes[features] = kernel[-2] * kernel[-1]
    return [(base(op.inputs[0]), tuple(sizes))]


def _lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    return [convolved(lowering, op, values[0], values[1])]


def convolved(lowering: Lowering, op: Operation, x: Value, kernel: Value) -> Value:
    """The convolution of an image with a kernel by the attributes of `op`."""
    builder = lowering.builder
    rank, layout = len(x.shape), op.text("data_format")
    features, axes = channel_axis(layout, rank), spatial_axes(layout, rank)
    groups = x.shape[features] // kernel.shape[-2]
    if op.type.startswith("DepthwiseConv2dNative"):
        # [h, w, in, m] -> [h, w, 1, in * m], one group for each input channel
        groups = kernel.shape[-2]
        shape = (*kernel.shape[:-2], 1, kernel.shape[-2] * kernel.shape[-1])
        kernel = shorthand.reshape(builder, kernel, shape)
    strides, dilations = op.integers("strides"), op.integers("dilations")
    padding = tuple(
        padding_pair(
            x.shape[axis], kernel.shape[k], strides[k], padding_along(op, axis), dilations[k]
        )
        for k, axis in enumerate(axes)
    )
    ones, image = (1,) * len(axes), (0, features, *axes)
    return builder.one(
        "convolution", (x, kernel), strides=strides, padding=padding, lhs_dilation=ones,
        rhs_dilation=dilations, reversal=(0,) * len(axes), lhs_spec=image,
        rhs_spec=(rank - 1, rank - 2, *range(rank - 2)), out_spec=image, feature_groups=groups,
        batch_groups=1,
    )  # fmt: skip


register(
    *(
        OpKind(name, "input:T filter:T", _infer, _lower, {"T": FLOATS})
        for name in ("Conv2D", "Conv3D", "DepthwiseConv2dNative")
    ),
)  # fmt: skip
