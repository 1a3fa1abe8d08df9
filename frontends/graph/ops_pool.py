"""Pooling: the largest or the mean element of each window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.arg_reduce_window import arg_reduce_window
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import FLOATS
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base, with_rank
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.windows import (
    output_size,
    padding_along,
    padding_attributes,
    padding_pair,
    spatial,
    spatial_axes,
)  # fmt: skip


class PooledWithArgmax(NamedTuple):
    """What `max_pool_with_argmax` gives."""

    output: Tensor
    argmax: Tensor


def max_pool(
    value: object, ksize: object, strides: object, padding: object, data_format: str = "NHWC",
    name: str | None = None, input: object = None,
) -> Tensor:  # fmt: skip
    """The largest element of each window; padding is ignored."""
    image = value if input is None else input
    return _pool("MaxPool", image, ksize, strides, padding, data_format, name)


def avg_pool(
    value: object, ksize: object, strides: object, padding: object, data_format: str = "NHWC",
    name: str | None = None, input: object = None,
) -> Tensor:  # fmt: skip
    """The mean of the cells of each window that exist."""
    image = value if input is None else input
    return _pool("AvgPool", image, ksize, strides, padding, data_format, name)


def max_pool3d(
    input: object, ksize: object, strides: object, padding: object,
    data_format: str = "NDHWC", name: str | None = None,
) -> Tensor:  # fmt: skip
    """The largest element of each window of a volume."""
    return _pool("MaxPool3D", input, ksize, strides, padding, data_format, name)


def avg_pool3d(
    input: object, ksize: object, strides: object, padding: object,
    data_format: str = "NDHWC", name: str | None = None,
) -> Tensor:  # fmt: skip
    """The mean of the cells of each window of a volume."""
    return _pool("AvgPool3D", input, ksize, strides, padding, data_format, name)


def max_pool1d(
    input: object, ksize: object, strides: object, padding: object, data_format: str = "NWC",
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The largest element of each window of rows [batch, width, channels]."""
    return _row("MaxPool", "MaxPool1d", input, ksize, strides, padding, data_format, name)


def avg_pool1d(
    input: object, ksize: object, strides: object, padding: object, data_format: str = "NWC",
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The mean of the cells of each window of rows [batch, width, channels]."""
    return _row("AvgPool", "AvgPool1D", input, ksize, strides, padding, data_format, name)


def _row(
    kind: str, label: str, value: object, ksize: object, strides: object, padding: object,
    data_format: str, name: str | None,
) -> Tensor:  # fmt: skip
    with graph_of([value]).name_scope(name or label):
        layout = "NCHW" if data_format.startswith("NC") else "NHWC"
        axis, place = (2, 3) if layout == "NCHW" else (1, 2)
        image = make("ExpandDims", (value, axis))
        window, steps = (
            [
                max(int(n) for n in np.atleast_1d(np.asarray(v))) if k == place else 1
                for k in range(4)
            ]
            for v in (ksize, strides)
        )
        result = _pool(kind, image, window, steps, padding, layout, None)
        return make("Squeeze", (result,), squeeze_dims=(axis,))


def pool(
    input: object, window_shape: object, pooling_type: str, padding: object,
    dilation_rate: object = None, strides: object = None, name: str | None = None,
    data_format: str | None = None, dilations: object = None,
) -> Tensor:  # fmt: skip
    """Pooling of 1, 2 or 3 spatial dims: `pooling_type` is AVG or MAX."""
    if pooling_type not in ("AVG", "MAX"):
        raise ValueError(f"pooling_type must be AVG or MAX, got {pooling_type!r}")
    tensor = convert_to_tensor(input, name="input")
    rank = tensor.shape.ndims
    if rank not in (3, 4, 5):
        raise ValueError(f"input must have 1, 2 or 3 spatial dims, got shape {tensor.shape}")
    layout = data_format or {3: "NWC", 4: "NHWC", 5: "NDHWC"}[rank]
    rates = dilation_rate if dilations is None else dilations
    window, steps, holes = (
        _full(values, layout, rank) for values in (window_shape, strides, rates)
    )
    if max(steps) > 1 and max(holes) > 1:
        raise ValueError("strides > 1 not supported in conjunction with dilation_rate > 1")
    label = name or f"{pooling_type.lower()}_pool"
    stem = "MaxPool" if pooling_type == "MAX" else "AvgPool"
    if rank == 3:
        return _row(stem, label, tensor, window, steps, padding, layout, label)
    kind = stem if rank == 4 else f"{stem}3D"
    return _pool(kind, tensor, window, steps, padding, layout, label, holes)


def _full(values: object, layout: str, rank: int) -> list[int]:
    """Entries for the spatial dims as entries for all dims."""
    axes = spatial_axes(layout, rank)
    numbers = np.broadcast_to(np.asarray(1 if values is None else values), (len(axes),))
    found = [1] * rank
    for axis, number in zip(axes, numbers.tolist(), strict=True):
        found[axis] = int(number)
    return found


def max_pool_with_argmax(
    input: object, ksize: object, strides: object, padding: object, data_format: str = "NHWC",
    Targmax: object = None, name: str | None = None, output_dtype: object = None,
    include_batch_in_index: bool = False,
) -> PooledWithArgmax:  # fmt: skip
    """The largest element of each window, and its place in the flattened image (in the whole
    batch if `include_batch_in_index`)."""
    wanted = Targmax if output_dtype is None else output_dtype
    attributes = _attributes(ksize, strides, padding, data_format) | {
        "Targmax": dtypes.as_dtype(dtypes.int64 if wanted is None else wanted),
        "include_batch_in_index": include_batch_in_index,
    }
    return PooledWithArgmax(*apply_op("MaxPoolWithArgmax", (input,), name, attributes).outputs)


def _argmax_infer(op: Operation) -> Sequence[Result]:
    dtype = op.attributes["Targmax"]
    assert isinstance(dtype, dtypes.DType)
    ((kind, sizes),) = _infer(op)
    return [(kind, sizes), (dtype, sizes)]


def _argmax_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x,) = lowering.builder, values
    window, strides, dilations, padding = _geometry(op, x)
    largest, places = arg_reduce_window(builder, x, "max", window, strides, dilations, padding)
    places = shorthand.convert(builder, places, op.outputs[1].dtype.ir)
    if not op.flag("include_batch_in_index"):
        size = shorthand.scalar(builder, x.type.elements // max(x.shape[0], 1), places.dtype)
        places = shorthand.binary(builder, "remainder", places, size)
    return [largest, places]


def _attributes(
    ksize: object, strides: object, padding: object, data_format: str
) -> dict[str, object]:
    sizes, steps = (_full_list(item, len(data_format)) for item in (ksize, strides))
    return {
        "ksize": spatial(sizes, data_format, "ksize"),
        "strides": spatial(steps, data_format, "strides"),
        "data_format": data_format, **padding_attributes(padding, data_format),
    }  # fmt: skip


def _full_list(values: object, rank: int) -> tuple[int, ...]:
    """Entries for all dims; one number or one for each spatial dim is spread."""
    numbers = tuple(int(n) for n in np.asarray(values).reshape(-1))
    if len(numbers) == rank:
        return numbers
    return (1, *(numbers * (rank - 2) if len(numbers) == 1 else numbers), 1)


def _pool(
    kind: str, value: object, ksize: object, strides: object, padding: object, data_format: str,
    name: str | None, dilations: Sequence[int] = (),
) -> Tensor:  # fmt: skip
    attributes = _attributes(ksize, strides, padding, data_format)
    if any(rate > 1 for rate in dilations):
        attributes["dilations"] = spatial(dilations, data_format, "dilations")
    return apply_op(kind, (value,), name, attributes).outputs[0]


def _dilations(op: Operation) -> tuple[int, ...]:
    if "dilations" in op.attributes:
        return op.integers("dilations")
    return (1,) * len(op.integers("ksize"))


def _infer(op: Operation) -> Sequence[Result]:
    rank = len(op.integers("ksize")) + 2
    sizes = list(with_rank(op.inputs[0].sizes, rank))
    for axis, window, stride, dilation in zip(
        spatial_axes(op.text("data_format"), rank), op.integers("ksize"), op.integers("strides"),
        _dilations(op), strict=True,
    ):  # fmt: skip
        sizes[axis] = output_size(sizes[axis], window, stride, padding_along(op, axis), dilation)
    return [(base(op.inputs[0]), tuple(sizes))]


def _lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    (x,) = values
    if op.type.startswith("Max"):
        return [_windows(lowering, op, x, "maximum")]
    total = _windows(lowering, op, x, "add")
    # The number of real cells differs only along the spatial dims.
    axes = spatial_axes(op.text("data_format"), len(x.shape))
    shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    count = _windows(lowering, op, shorthand.full(lowering.builder, shape, 1, x.dtype), "add")
    return [shorthand.binary(lowering.builder, "divide", total, count)]


def _geometry(
    op: Operation, x: Value
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Window, strides, dilations and padding, an entry for each dim."""
    rank = len(x.shape)
    window, strides, dilations = [1] * rank, [1] * rank, [1] * rank
    padding = [(0, 0)] * rank
    axes = spatial_axes(op.text("data_format"), rank)
    entries = zip(axes, op.integers("ksize"), op.integers("strides"), _dilations(op), strict=True)
    for axis, size, stride, rate in entries:
        window[axis], strides[axis], dilations[axis] = size, stride, rate
        padding[axis] = padding_pair(x.shape[axis], size, stride, padding_along(op, axis), rate)
    return tuple(window), tuple(strides), tuple(dilations), tuple(padding)


def _windows(lowering: Lowering, op: Operation, x: Value, reducer: str) -> Value:
    window, strides, dilations, padding = _geometry(op, x)
    return lowering.builder.one(
        "reduce_window", (x,), window=window, strides=strides,
        base_dilations=(1,) * len(x.shape), window_dilations=dilations, padding=padding,
        reducer=reducer,
    )  # fmt: skip


register(
    *(
        OpKind(name, "value:T", _infer, _lower, {"T": FLOATS})
        for name in ("MaxPool", "AvgPool", "MaxPool3D", "AvgPool3D")
    ),
    OpKind("MaxPoolWithArgmax", "input:T", _argmax_infer, _argmax_lower, {"T": FLOATS}),
)
