"""Local response normalisation and the morphological filters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import FLOATS
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_patches import patches
from tensorkiln.frontends.graph.ops_shape import reverse
from tensorkiln.frontends.graph.rules import base, like_input, with_rank
from tensorkiln.frontends.graph.shapes import ShapeError
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.windows import check_padding, output_size, spatial


def local_response_normalization(
    input: object, depth_radius: int = 5, bias: float = 1.0, alpha: float = 1.0,
    beta: float = 0.5, name: str | None = None,
) -> Tensor:  # fmt: skip
    """x / (bias + alpha * sum of x * x over 2 depth_radius + 1 neighbouring channels) ** beta.

    Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep CNNs (2012).
    """
    return make(
        "LRN", (input,), name, depth_radius=int(depth_radius), bias=float(bias),
        alpha=float(alpha), beta=float(beta),
    )  # fmt: skip


def _lrn_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    x, radius = Formula(lowering.builder, values[0]), op.integer("depth_radius")
    rank = len(values[0].shape)
    ones = (1,) * rank
    window = (*ones[:-1], 2 * radius + 1)
    padding = (*(((0, 0),) * (rank - 1)), (radius, radius))
    total = (x * x).apply(
        "reduce_window", window=window, strides=ones, base_dilations=ones, window_dilations=ones,
        padding=padding, reducer="add",
    )  # fmt: skip
    bias, alpha, beta = (float(str(op.attributes[key])) for key in ("bias", "alpha", "beta"))
    scale = total * alpha + bias
    if beta == 0.5:
        return [(x * scale.apply("rsqrt")).value]
    return [(x * (scale.apply("log") * -beta).apply("exponential")).value]


def dilation2d(
    input: object, filter: object = None, strides: object = None, rates: object = None,
    padding: object = None, name: str | None = None, filters: object = None,
    dilations: object = None,
) -> Tensor:  # fmt: skip
    """The largest sum of image and filter [height, width, channels] in each window."""
    attributes = {
        key: spatial(tuple(int(n) for n in np.asarray(values)), "NHWC", key)
        for key, values in (
            ("strides", strides), ("rates", rates if dilations is None else dilations),
        )
    }  # fmt: skip
    kernel = filters if filter is None else filter
    attributes = {**attributes, "padding": check_padding(padding)}  # type: ignore[dict-item]
    return apply_op("Dilation2D", (input, kernel), name, attributes).outputs[0]


def erosion2d(
    value: object, kernel: object, strides: object, rates: object, padding: object,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The smallest difference of image and filter in each window."""
    with graph_of([value, kernel]).name_scope(name or "erosion2d"):
        image = make("Neg", (convert_to_tensor(value),))
        mirrored = reverse(kernel, [0, 1])
        return make("Neg", (dilation2d(image, mirrored, strides, rates, padding),))


def _dilation_infer(op: Operation) -> Sequence[Result]:
    image, kernel = with_rank(op.inputs[0].sizes, 4), with_rank(op.inputs[1].sizes, 3)
    if image[3] is not None and kernel[2] is not None and image[3] != kernel[2]:
        raise ShapeError(f"Dimensions must be equal, but are {image[3]} and {kernel[2]}")
    sizes = [
        output_size(image[k + 1], kernel[k], op.integers("strides")[k], op.text("padding"),
                    op.integers("rates")[k])
        for k in range(2)
    ]  # fmt: skip
    return [(base(op.inputs[0]), (image[0], *sizes, image[3]))]


def _dilation_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x, kernel) = lowering.builder, values
    least = shorthand.scalar(builder, -np.inf, x.dtype)
    found = patches(
        builder, x, kernel.shape[:2], op.integers("strides"), op.integers("rates"),
        op.text("padding"), least,
    )  # fmt: skip
    cells = kernel.shape[0] * kernel.shape[1]
    split = shorthand.reshape(builder, found, (*found.shape[:3], cells, x.shape[3]))
    window = shorthand.reshape(builder, kernel, (cells, x.shape[3]))
    total = shorthand.binary(builder, "add", split, window)
    return [shorthand.reduce_max(builder, total, (3,))]


register(
    OpKind("LRN", "input:T", like_input, _lrn_lower, {"T": FLOATS}),
    OpKind("Dilation2D", "input:T filter:T", _dilation_infer, _dilation_lower, {"T": FLOATS}),
)
