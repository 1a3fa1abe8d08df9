"""Gradients of convolutions as ops of their own, and transposed convolutions, which are the same.

Each is lowered by building the convolution of zeros and differentiating it; the convolution itself
is dead code then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tensorkiln.compiler.differentiate import differentiate
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import FLOATS
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_convolution import convolved, window_attributes
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.statics import static_shape
from tensorkiln.frontends.graph.tensor import Tensor


def conv2d_transpose(
    value: object = None, filter: object = None, output_shape: object = None,
    strides: object = None, padding: object = "SAME", data_format: str = "NHWC",
    name: str | None = None, input: object = None, filters: object = None,
    dilations: object = None,
) -> Tensor:  # fmt: skip
    """The gradient of a convolution with respect to its input, as an op: filter [h, w, out, in]."""
    image, kernel = value if input is None else input, filter if filters is None else filters
    return _transposed(
        "Conv2DBackpropInput", "conv2d_transpose", image, kernel, output_shape, strides, padding,
        dilations, data_format, name,
    )  # fmt: skip


def conv3d_transpose(
    value: object = None, filter: object = None, output_shape: object = None,
    strides: object = None, padding: object = "SAME", data_format: str = "NDHWC",
    name: str | None = None, input: object = None, filters: object = None,
    dilations: object = None,
) -> Tensor:  # fmt: skip
    """`conv2d_transpose` for volumes: filter [d, h, w, out, in]."""
    image, kernel = value if input is None else input, filter if filters is None else filters
    return _transposed(
        "Conv3DBackpropInputV2", "conv3d_transpose", image, kernel, output_shape, strides, padding,
        dilations, data_format, name,
    )  # fmt: skip


def _transposed(
    kind: str, label: str, value: object, kernel: object, shape: object, strides: object,
    padding: object, dilations: object, data_format: str, name: str | None,
) -> Tensor:  # fmt: skip
    with graph_of([value, kernel, shape]).name_scope(name or label) as scope:
        sizes = convert_to_tensor(shape, name="output_shape", preferred_dtype=dtypes.int32)
        attributes = window_attributes(strides, padding, dilations, data_format)
        image = convert_to_tensor(value, name="value")
        window = convert_to_tensor(kernel, name="filter")
        _check_channels(image, window, data_format)
        return apply_op(kind, (sizes, window, image), scope, attributes).outputs[0]


def _check_channels(image: Tensor, window: Tensor, data_format: str) -> None:
    if image.sizes is None or window.sizes is None:
        return
    axis = 1 if data_format.startswith("NC") else -1
    given, wanted = image.sizes[axis], window.sizes[-1]
    if given is not None and wanted is not None and given != wanted:
        raise ValueError(
            f"input channels does not match filter's input channels, {given} != {wanted}"
        )


def conv1d_transpose(
    input: object, filters: object, output_shape: object, strides: object,
    padding: object = "SAME", data_format: str = "NWC", dilations: object = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """`conv2d_transpose` for rows: filter [width, out, in]."""
    with graph_of([input, filters]).name_scope(name or "conv1d_transpose"):
        layout = "NCHW" if data_format in ("NCW", "NCHW") else "NHWC"
        axis = 2 if layout == "NCHW" else 1
        image = make("ExpandDims", (input, axis))
        window = make("ExpandDims", (filters, 0))
        shape = convert_to_tensor(output_shape, preferred_dtype=dtypes.int32)
        whole = make("ConcatV2", ([shape[:axis], [1], shape[axis:]], 0))
        step, hole = (int(np.max(np.asarray(1 if v is None else v))) for v in (strides, dilations))
        places = [3, 2] if layout == "NCHW" else [2, 1]
        full = [[n if k == places[0] else 1 for k in range(4)] for n in (step, hole)]
        attributes = window_attributes(full[0], padding, full[1], layout)
        result = apply_op("Conv2DBackpropInput", (whole, window, image), None, attributes)
        return make("Squeeze", (result.outputs[0],), squeeze_dims=(axis,))


def atrous_conv2d_transpose(
    value: object, filters: object, output_shape: object, rate: int, padding: object,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of `atrous_conv2d` with respect to its input, as an op."""
    return _transposed(
        "Conv2DBackpropInput", "atrous_conv2d_transpose", value, filters, output_shape,
        (1, 1, 1, 1), padding, (1, rate, rate, 1), "NHWC", name,
    )  # fmt: skip


def conv_transpose(
    input: object, filters: object, output_shape: object, strides: object,
    padding: object = "SAME", data_format: str | None = None, dilations: object = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The transposed convolution of 1, 2 or 3 spatial dims, as many as the input has."""
    rank = convert_to_tensor(input).shape.ndims
    options: dict[str, Any] = {
        "padding": padding,
        "dilations": dilations,
        "name": name or "conv_transpose",
    }
    match rank:
        case 3:
            layout = data_format or "NWC"
            return conv1d_transpose(
                input, filters, output_shape, strides, data_format=layout, **options
            )
        case 4:
            layout = data_format or "NHWC"
            return conv2d_transpose(
                input, filters, output_shape, strides, data_format=layout, **options
            )
        case 5:
            layout = data_format or "NDHWC"
            return conv3d_transpose(
                input, filters, output_shape, strides, data_format=layout, **options
            )
        case _:
            raise ValueError(f"output_shape must have 3, 4 or 5 dims, the input has {rank}")


def conv2d_backprop_input(
    input_sizes: object, filter: object = None, out_backprop: object = None,
    strides: object = None, padding: object = None, use_cudnn_on_gpu: bool = True,
    data_format: str = "NHWC", dilations: object = (1, 1, 1, 1), name: str | None = None,
    filters: object = None,
) -> Tensor:  # fmt: skip
    """The gradient of `conv2d` with respect to its input."""
    kernel = filters if filter is None else filter
    attributes = window_attributes(strides, padding, dilations, data_format)
    return _gradient("Conv2DBackpropInput", (input_sizes, kernel, out_backprop), name, attributes)


def conv2d_backprop_filter(
    input: object, filter_sizes: object, out_backprop: object, strides: object = None,
    padding: object = None, use_cudnn_on_gpu: bool = True, data_format: str = "NHWC",
    dilations: object = (1, 1, 1, 1), name: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of `conv2d` with respect to its filter."""
    attributes = window_attributes(strides, padding, dilations, data_format)
    return _gradient("Conv2DBackpropFilter", (input, filter_sizes, out_backprop), name, attributes)


def conv3d_backprop_filter(
    input: object, filter_sizes: object, out_backprop: object, strides: object, padding: object,
    data_format: str = "NDHWC", dilations: object = (1, 1, 1, 1, 1), name: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of `conv3d` with respect to its filter."""
    attributes = window_attributes(strides, padding, dilations, data_format)
    inputs = (input, filter_sizes, out_backprop)
    return _gradient("Conv3DBackpropFilterV2", inputs, name, attributes)


def depthwise_conv2d_native_backprop_input(
    input_sizes: object, filter: object, out_backprop: object, strides: object, padding: object,
    data_format: str = "NHWC", dilations: object = (1, 1, 1, 1), name: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of `depthwise_conv2d` with respect to its input."""
    attributes = window_attributes(strides, padding, dilations, data_format)
    inputs = (input_sizes, filter, out_backprop)
    return _gradient("DepthwiseConv2dNativeBackpropInput", inputs, name, attributes)


def depthwise_conv2d_native_backprop_filter(
    input: object, filter_sizes: object, out_backprop: object, strides: object, padding: object,
    data_format: str = "NHWC", dilations: object = (1, 1, 1, 1), name: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of `depthwise_conv2d` with respect to its filter."""
    attributes = window_attributes(strides, padding, dilations, data_format)
    inputs = (input, filter_sizes, out_backprop)
    return _gradient("DepthwiseConv2dNativeBackpropFilter", inputs, name, attributes)


def _gradient(
    kind: str, inputs: Sequence[object], name: str | None, attributes: Mapping[str, object]
) -> Tensor:
    return apply_op(kind, inputs, name, attributes).outputs[0]


def _input_infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[2]), static_shape(op.inputs[0]))]


def _input_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    _, kernel, cotangent = values
    shape = lowering.integers(op, 0, values)
    image = shorthand.full(lowering.builder, shape, 0, kernel.dtype)
    return [_pulled_back(lowering, op, convolved(lowering, op, image, kernel), image, cotangent)]


def _filter_infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[0]), static_shape(op.inputs[1]))]


def _filter_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    image, _, cotangent = values
    shape = lowering.integers(op, 1, values)
    kernel = shorthand.full(lowering.builder, shape, 0, image.dtype)
    return [_pulled_back(lowering, op, convolved(lowering, op, image, kernel), kernel, cotangent)]


def _pulled_back(
    lowering: Lowering, op: Operation, result: Value, of: Value, cotangent: Value
) -> Value:
    if result.shape != cotangent.shape:
        raise InvalidArgumentError(
            op.name, op,
            f"{op.type}: the gradient has shape {list(cotangent.shape)}, but a "
            f"convolution of the given sizes has {list(result.shape)}\n"
            f"\t {op.node_text}",
        )  # fmt: skip
    (found,) = differentiate(lowering.builder, [result], [of], [cotangent])
    return shorthand.zeros_like(lowering.builder, of) if found is None else found


register(
    *(
        OpKind(
            name, "input_sizes:index filter:T out_backprop:T", _input_infer, _input_lower,
            {"T": FLOATS},
        )
        for name in (
            "Conv2DBackpropInput", "Conv3DBackpropInputV2", "DepthwiseConv2dNativeBackpropInput",
        )
    ),
    *(
        OpKind(
            name, "input:T filter_sizes:index out_backprop:T", _filter_infer, _filter_lower,
            {"T": FLOATS},
        )
        for name in (
            "Conv2DBackpropFilter", "Conv3DBackpropFilterV2", "DepthwiseConv2dNativeBackpropFilter",
        )
    ),
)  # fmt: skip
