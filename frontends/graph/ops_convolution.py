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
    check_padding,
    output_size,
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
    return _convolve("Conv2D", value, filters, ones, padding, dilations, "NHWC", name)


def conv1d(
    value: object, filters: object, stride: int, padding: object,
    use_cudnn_on_gpu: object = None, data_format: str | None = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """1-D convolution of [batch, width, in] with a filter [width, in, out]."""
    layout = "NCW" if data_format in ("NCHW", "NCW") else "NWC"
    strides = (1, 1, stride) if layout == "NCW" else (1, stride, 1)
    return _convolve(
        "Conv1D", value, filters, strides, padding, (1, 1, 1), layout, name or "conv1d"
    )


def convolution(
    input: object, filter: object, padding: object, strides: object = None,
    dilation_rate: object = None, name: str | None = None, data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Convolution of 1, 2 or 3 spatial dims, as many as the input has."""
    tensor = convert_to_tensor(input)
    if tensor.sizes is None:
        raise ValueError("convolution needs an input of known rank")
    rank = len(tensor.sizes)
    kind, layout = {3: ("Conv1D", "NWC"), 4: ("Conv2D", "NHWC"), 5: ("Conv3D", "NDHWC")}[rank]
    layout = data_format or layout
    return _convolve(
        kind, tensor, filter, _spread(strides, layout, rank), padding,
        _spread(dilation_rate, layout, rank), layout, name or "convolution",
    )  # fmt: skip


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
    steps, holes = (tuple(int(n) for n in np.asarray(item)) for item in (strides, dilations))
    attributes = {
        "strides": spatial(steps, data_format, "strides"),
        "dilations": spatial(holes, data_format, "dilations"),
        "padding": check_padding(padding), "data_format": data_format,
    }  # fmt: skip
    return apply_op(kind, (value, kernel), name, attributes).outputs[0]


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
        sizes[axis] = output_size(x[axis], window, stride, op.text("padding"), dilation)
    sizes[features] = kernel[-1]
    if depthwise and kernel[-2] is not None and kernel[-1] is not None:
        sizes[features] = kernel[-2] * kernel[-1]
    return [(base(op.inputs[0]), tuple(sizes))]


def _lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x, kernel) = lowering.builder, values
    rank, layout = len(x.shape), op.text("data_format")
    features, axes = channel_axis(layout, rank), spatial_axes(layout, rank)
    groups = x.shape[features] // kernel.shape[-2]
    if op.type == "DepthwiseConv2dNative":
        # [h, w, in, m] -> [h, w, 1, in * m], one group for each input channel
        groups = kernel.shape[-2]
        shape = (*kernel.shape[:-2], 1, kernel.shape[-2] * kernel.shape[-1])
        kernel = shorthand.reshape(builder, kernel, shape)
    strides, dilations = op.integers("strides"), op.integers("dilations")
    padding = tuple(
        padding_pair(x.shape[axis], kernel.shape[k], strides[k], op.text("padding"), dilations[k])
        for k, axis in enumerate(axes)
    )
    ones, image = (1,) * len(axes), (0, features, *axes)
    result = builder.one(
        "convolution", (x, kernel), strides=strides, padding=padding, lhs_dilation=ones,
        rhs_dilation=dilations, reversal=(0,) * len(axes), lhs_spec=image,
        rhs_spec=(rank - 1, rank - 2, *range(rank - 2)), out_spec=image, feature_groups=groups,
        batch_groups=1,
    )  # fmt: skip
    return [result]


def conv2d_transpose(
    value: object, filter: object, output_shape: object, strides: object,
    padding: object = "SAME", data_format: str = "NHWC", name: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of a convolution with respect to its input, as an op: filter [h, w, out, in]."""
    shape = tuple(int(n) for n in np.asarray(output_shape))
    with graph_of([value, filter]).name_scope(name or "conv2d_transpose") as scope:
        return make(
            "Conv2DBackpropInput", (filter, value), scope, output_shape=shape,
            strides=spatial(tuple(np.asarray(strides).tolist()), data_format, "strides"),
            padding=check_padding(padding), data_format=data_format,
        )  # fmt: skip


def _transposed_infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[1]), op.integers("output_shape"))]


def _transposed_lower(
    lowering: Lowering, op: Operation, values: Sequence[Value]
) -> Sequence[Value]:
    builder, (kernel, value) = lowering.builder, values
    layout, rank, shape = op.text("data_format"), 4, op.outputs[0].sizes
    assert shape is not None
    axes, strides = spatial_axes(layout, rank), op.integers("strides")
    padding = []
    for k, axis in enumerate(axes):
        window, length = kernel.shape[k], shape[axis]
        assert length is not None
        low, _ = padding_pair(length, window, strides[k], op.text("padding"))
        spread = (value.shape[axis] - 1) * strides[k] + 1
        before = window - 1 - low
        padding.append((before, length + window - 1 - spread - before))
    image = (0, channel_axis(layout, rank), *axes)
    result = builder.one(
        "convolution", (value, kernel), strides=(1, 1), padding=tuple(padding),
        lhs_dilation=strides, rhs_dilation=(1, 1), reversal=(1, 1), lhs_spec=image,
        rhs_spec=(2, 3, 0, 1), out_spec=image, feature_groups=1, batch_groups=1,
    )  # fmt: skip
    return [result]


register(
    *(
        OpKind(name, "input:T filter:T", _infer, _lower, {"T": FLOATS})
        for name in ("Conv1D", "Conv2D", "Conv3D", "DepthwiseConv2dNative")
    ),
    OpKind(
        "Conv2DBackpropInput", "filter:T out_backprop:T", _transposed_infer, _transposed_lower,
        {"T": FLOATS},
    ),
)  # fmt: skip
