"""Pooling: the largest or the mean element of each window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph.apply import apply_op
from tensorkiln.frontends.graph.dtypes import FLOATS
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base, with_rank
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.windows import (
    check_padding,
    output_size,
    padding_pair,
    spatial,
    spatial_axes,
)  # fmt: skip


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


def _pool(
    kind: str, value: object, ksize: object, strides: object, padding: object, data_format: str,
    name: str | None,
) -> Tensor:  # fmt: skip
    sizes, steps = (tuple(int(n) for n in np.asarray(item)) for item in (ksize, strides))
    attributes = {
        "ksize": spatial(sizes, data_format, "ksize"),
        "strides": spatial(steps, data_format, "strides"),
        "padding": check_padding(padding), "data_format": data_format,
    }  # fmt: skip
    return apply_op(kind, (value,), name, attributes).outputs[0]


def _infer(op: Operation) -> Sequence[Result]:
    rank = len(op.integers("ksize")) + 2
    sizes = list(with_rank(op.inputs[0].sizes, rank))
    for axis, window, stride in zip(
        spatial_axes(op.text("data_format"), rank), op.integers("ksize"), op.integers("strides"),
        strict=True,
    ):  # fmt: skip
        sizes[axis] = output_size(sizes[axis], window, stride, op.text("padding"))
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


def _windows(lowering: Lowering, op: Operation, x: Value, reducer: str) -> Value:
    rank, ones = len(x.shape), (1,) * len(x.shape)
    window, strides = [1] * rank, [1] * rank
    padding = [(0, 0)] * rank
    axes = spatial_axes(op.text("data_format"), rank)
    for axis, size, stride in zip(axes, op.integers("ksize"), op.integers("strides"), strict=True):
        window[axis], strides[axis] = size, stride
        padding[axis] = padding_pair(x.shape[axis], size, stride, op.text("padding"))
    return lowering.builder.one(
        "reduce_window", (x,), window=tuple(window), strides=tuple(strides), base_dilations=ones,
        window_dilations=ones, padding=tuple(padding), reducer=reducer,
    )  # fmt: skip


register(
    *(
        OpKind(name, "value:T", _infer, _lower, {"T": FLOATS})
        for name in ("MaxPool", "AvgPool", "MaxPool3D", "AvgPool3D")
    )
)
