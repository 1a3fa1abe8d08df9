"""Op types of graph definitions that stand for several ops here, unless the op table has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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


def _resize_gradient(node: Node) -> Sequence[Tensor]:
    """The gradient of the resized image, made once more, for the original."""
    gradient, image = node.inputs
    wanted = gradient.sizes
    if node.type == "ResizeNearestNeighborGrad":
        sizes = static_integers(image)
        if wanted is None or sizes is None or None in wanted[1:]:
            raise ValueError("the sizes of the image are not known before it runs")
        shape = node.helper("shape", "Shape", (gradient,), {"out_type": dtypes.int32})
        batch = node.helper("batch", "GatherV2", (shape, node.constant("first", [0]),
                            node.constant("axis", 0)), {"batch_dims": 0})  # fmt: skip
        rest = node.constant("rest", (*sizes, wanted[3]))
        whole = node.helper("whole", "ConcatV2", (batch, rest, node.constant("axis_0", 0)))
        zero = node.constant("zero", 0, gradient.dtype.numpy)
        image = node.helper("image", "Fill", (whole, zero))
    if wanted is None or wanted[1] is None or wanted[2] is None:
        raise ValueError("the sizes of the gradient are not known before it runs")
    size = node.constant("wanted", wanted[1:3])
    inner = replace(node, name=f"{node.name}/forward", inputs=(image, size))
    forward = _resize_bilinear if node.type == "ResizeBilinearGrad" else _resize_nearest
    (resized,) = forward(inner)
    attributes = {"ys": 1, "xs": 1, "weighted": (0,)}
    return node.operation("SymbolicGradient", (resized, image, gradient), attributes).outputs


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


def _clip(node: Node) -> Sequence[Tensor]:
    value, low, high = node.inputs
    return node.operation(
        "Maximum", (node.helper("Minimum", "Minimum", (value, high)), low), {}
    ).outputs


BUILDERS: dict[str, Build] = {
    "BatchNormWithGlobalNormalization": _global_normalization,
    "ClipByValue": _clip,
    "ResizeBilinear": _resize_bilinear,
    "ResizeBilinearGrad": _resize_gradient,
    "ResizeNearestNeighbor": _resize_nearest,
    "ResizeNearestNeighborGrad": _resize_gradient,
    "SelectV2": _select,
}
