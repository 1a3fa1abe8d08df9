"""Op types of graph definitions that stand for several ops here, unless the op table has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.files.import_nodes import Build, Node
from tensorkiln.frontends.graph.statics import static_integers
from tensorkiln.frontends.graph.tensor import Tensor

Floats: TypeAlias = npt.NDArray[np.float32]


def _global_normalization(node: Node) -> Sequence[Tensor]:
    """(t - m) * rsqrt(v + epsilon) * gamma + beta, gamma only if it is to be scaled."""
    attributes = node.attributes()
    t, mean, variance, beta, gamma = node.inputs
    epsilon = node.constant("epsilon", attributes["variance_epsilon"], np.float32)
    factor = node.helper("Rsqrt", "Rsqrt", (node.helper("add", "Add", (variance, epsilon)),))
    if attributes["scale_after_normalization"]:
        factor = node.helper("scale", "Mul", (factor, gamma))
    scaled = node.helper("mul", "Mul", (node.helper("sub", "Sub", (t, mean)), factor))
    return node.operation("Add", (scaled, beta), {}).outputs


def _local_response(node: Node) -> Sequence[Tensor]:
    """x / (bias + alpha * s)^beta, s the sum of squares of the channels within `depth_radius`:
    a 1 x 1 convolution with a band of ones."""
    attributes = node.attributes()
    (x,) = node.inputs
    channels = x.sizes[-1] if x.sizes is not None else None
    if channels is None:
        raise ValueError("the number of channels is not known")
    radius = attributes["depth_radius"]
    assert isinstance(radius, int)
    place = np.arange(channels)
    band = abs(place[:, None] - place) <= radius
    kernel = node.constant("band", band[None, None], np.float32)
    square = node.helper("square", "Square", (x,))
    unit = {"strides": (1, 1), "dilations": (1, 1), "padding": "VALID", "data_format": "NHWC"}
    total = node.helper("sum", "Conv2D", (square, kernel), unit)
    alpha, bias, beta = (
        node.constant(key, attributes[key], np.float32) for key in ("alpha", "bias", "beta")
    )
    scaled = node.helper("mul", "Mul", (total, alpha))
    base = node.helper("add", "Add", (scaled, bias))
    return node.operation("RealDiv", (x, node.helper("pow", "Pow", (base, beta))), {}).outputs


def _sizes(node: Node) -> tuple[tuple[int, int], tuple[int, int]]:
    """Heights and widths of the image and of what it becomes."""
    wanted = static_integers(node.inputs[1])
    sizes = node.inputs[0].sizes
    if wanted is None or sizes is None or sizes[1] is None or sizes[2] is None:
        raise ValueError("the sizes of the image are not known before it runs")
    return (sizes[1], wanted[0]), (sizes[2], wanted[1])


def _places(node: Node, old: int, new: int) -> Floats:
    """Where each new pixel lies between the old ones."""
    attributes = node.attributes()
    index = np.arange(new, dtype=np.float32)
    if attributes["align_corners"] and new > 1:
        place = index * np.float32((old - 1) / (new - 1))
    elif attributes["half_pixel_centers"]:
        place = (index + np.float32(0.5)) * np.float32(old / new) - np.float32(0.5)
    else:
        place = index * np.float32(old / new)
    result: Floats = place.astype(np.float32)
    return result


def _resize_bilinear(node: Node) -> Sequence[Tensor]:
    """Products with the matrices of the weights along height and width."""
    heights, widths = _sizes(node)
    image = node.inputs[0]
    if image.dtype.base_dtype.name != "float32":
        image = node.helper("image", "Cast", (image,), {"DstT": dtypes.float32, "Truncate": False})
    assert image.sizes is not None
    channels = image.sizes[3]
    if channels is None:
        raise ValueError("the number of channels is not known")
    rows = node.constant("rows", _weights(node, *heights), np.float32)
    columns = node.constant("columns", _weights(node, *widths), np.float32)
    plain = {"adj_x": False, "adj_y": False}
    merged = node.constant("lines", (-1, heights[0], widths[0] * channels))
    lines = node.helper("as_lines", "Reshape", (image, merged))
    tall = node.helper("height", "BatchMatMul", (rows, lines), plain)
    split = node.constant("pixels", (-1, heights[1], widths[0], channels))
    pixels = node.helper("as_pixels", "Reshape", (tall, split))
    return node.operation("BatchMatMul", (columns, pixels), plain).outputs


def _weights(node: Node, old: int, new: int) -> Floats:
    place = _places(node, old, new)
    low = np.floor(place)
    matrix = np.zeros((new, old), np.float32)
    fraction = place - low
    lower = np.clip(low, 0, old - 1).astype(int)
    upper = np.clip(low + 1, 0, old - 1).astype(int)
    np.add.at(matrix, (np.arange(new), lower), 1 - fraction)
    np.add.at(matrix, (np.arange(new), upper), fraction)
    return matrix


def _resize_nearest(node: Node) -> Sequence[Tensor]:
    """Rows and columns gathered: rounded down, to nearest with align_corners."""
    attributes = node.attributes()
    indices = []
    for old, new in _sizes(node):
        place = _places(node, old, new)
        if attributes["half_pixel_centers"]:
            place = place + np.float32(0.5)
        nearest = np.floor(place + 0.5) if attributes["align_corners"] else np.floor(place)
        indices.append(np.clip(nearest, 0, old - 1))
    rows, columns = (
        node.constant(name, value) for name, value in zip(("rows", "columns"), indices, strict=True)
    )
    axes = node.constant("axis_1", 1), node.constant("axis_2", 2)
    plain = {"batch_dims": 0}
    tall = node.helper("height", "GatherV2", (node.inputs[0], rows, axes[0]), plain)
    return node.operation("GatherV2", (tall, columns, axes[1]), plain).outputs


def _select(node: Node) -> Sequence[Tensor]:
    """The three inputs are broadcast first."""
    known = [tensor.sizes for tensor in node.inputs]
    if len(set(known)) == 1 or (known[0] == () and known[1] == known[2]):
        return node.operation("Select", node.inputs, {}).outputs
    shapes = [tuple(n for n in sizes or (None,) if n is not None) for sizes in known]
    if any(sizes is None or None in sizes for sizes in known):
        raise ValueError("the shapes of its inputs are not known before it runs")
    shape = node.constant("shape", np.broadcast_shapes(*shapes))
    spread = [
        node.helper(f"input_{k}", "BroadcastTo", (t, shape)) for k, t in enumerate(node.inputs)
    ]
    return node.operation("Select", spread, {}).outputs


def _space_to_batch(node: Node) -> Sequence[Tensor]:
    """Blocks of the spatial dims go to the front of the batch."""
    padded, block = _blocks(node, 2)
    padding = node.constant("paddings", [(0, 0), *padded, *[(0, 0)] * _rest(node, block)])
    value = node.helper("Pad", "Pad", (node.inputs[0], padding))
    sizes, count = _static(value), len(block)
    split = [-1] + [n for size, b in zip(sizes[1:], block, strict=False) for n in (size // b, b)]
    split += sizes[1 + count :]
    order = [2 * k + 2 for k in range(count)] + [0] + [2 * k + 1 for k in range(count)]
    order += range(2 * count + 1, len(split))
    moved = _reordered(node, value, split, order)
    last = [-1, *(size // b for size, b in zip(sizes[1:], block, strict=False))]
    shape = node.constant("result_shape", [*last, *sizes[1 + count :]])
    return node.operation("Reshape", (moved, shape), {}).outputs


def _batch_to_space(node: Node) -> Sequence[Tensor]:
    """The inverse, then cropped."""
    crops, block = _blocks(node, 2)
    sizes, count = _static(node.inputs[0]), len(block)
    split = [*block, -1, *sizes[1:]]
    order = [count]
    for k in range(count):
        order += [count + 1 + k, k]
    order += range(2 * count + 1, len(split))
    moved = _reordered(node, node.inputs[0], split, order)
    grown = [size * b for size, b in zip(sizes[1:], block, strict=False)]
    shape = node.constant("grown_shape", [-1, *grown, *sizes[1 + count :]])
    whole = node.helper("Grown", "Reshape", (moved, shape))
    begin = [0, *(before for before, _ in crops), *[0] * _rest(node, block)]
    kept = [size - low - high for size, (low, high) in zip(grown, crops, strict=True)]
    ends = node.constant("begin", begin), node.constant("size", [-1, *kept, *sizes[1 + count :]])
    return node.operation("Slice", (whole, *ends), {}).outputs


def _blocks(node: Node, position: int) -> tuple[list[tuple[int, int]], tuple[int, ...]]:
    block, margins = static_integers(node.inputs[1]), static_integers(node.inputs[position])
    if block is None or margins is None or len(margins) != 2 * len(block) or min(block) < 1:
        raise ValueError("its block shape is not known before it runs")
    return list(zip(margins[::2], margins[1::2], strict=True)), block


def _static(tensor: Tensor) -> list[int]:
    """The sizes of all dims but the first, in which -1 stands."""
    sizes = tensor.sizes
    if sizes is None or None in sizes[1:]:
        raise ValueError("the shape of its input is not known before it runs")
    return [-1, *(size for size in sizes[1:] if size is not None)]


def _rest(node: Node, block: Sequence[int]) -> int:
    return len(node.inputs[0].sizes or ()) - 1 - len(block)


def _reordered(node: Node, value: Tensor, split: Sequence[int], order: Sequence[int]) -> Tensor:
    shape = node.constant("split_shape", split)
    pieces = node.helper("Split", "Reshape", (value, shape))
    return node.helper("Transpose", "Transpose", (pieces, node.constant("perm", order)))


def _clip(node: Node) -> Sequence[Tensor]:
    value, low, high = node.inputs
    return node.operation(
        "Maximum", (node.helper("Minimum", "Minimum", (value, high)), low), {}
    ).outputs


BUILDERS: dict[str, Build] = {
    "BatchToSpaceND": _batch_to_space,
    "BatchNormWithGlobalNormalization": _global_normalization,
    "ClipByValue": _clip,
    "LRN": _local_response,
    "ResizeBilinear": _resize_bilinear,
    "ResizeNearestNeighbor": _resize_nearest,
    "SelectV2": _select,
    "SpaceToBatchND": _space_to_batch,
}
