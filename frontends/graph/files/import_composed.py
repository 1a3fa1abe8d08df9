"""Op types of graph definitions that stand for several ops here, unless the op table has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.files.import_nodes import Build, Node
from tensorkiln.frontends.graph.statics import static_integers
from tensorkiln.frontends.graph.tensor import Tensor


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
    kind = node.type.removesuffix("Grad")
    resized = node.helper("forward", kind, (image, size), node.attributes())
    attributes = {"ys": 1, "xs": 1, "weighted": (0,)}
    return node.operation("SymbolicGradient", (resized, image, gradient), attributes).outputs


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
    "ResizeBilinearGrad": _resize_gradient,
    "ResizeNearestNeighborGrad": _resize_gradient,
    "SelectV2": _select,
}
