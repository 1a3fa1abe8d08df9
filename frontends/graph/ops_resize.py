"""Images of another size: bilinear, bicubic, by area and nearest-neighbour, on TensorFlow's grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.dtypes import NUMBERS, float32
from tensorkiln.frontends.graph.index_checks import invalid
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import ShapeError
from tensorkiln.frontends.graph.statics import static_integers
from tensorkiln.frontends.graph.tensor import Tensor

Floats: TypeAlias = npt.NDArray[np.float32]


def _infer(op: Operation) -> Sequence[Result]:
    images, wanted = op.inputs[0], static_integers(op.inputs[1])
    kind = base(images) if op.type == "ResizeNearestNeighbor" else float32
    sizes = (None,) * 4 if images.sizes is None else images.sizes
    if len(sizes) != 4:
        raise ShapeError(f"Shape must be rank 4 but is rank {len(sizes)}")
    if wanted is not None and len(wanted) != 2:
        raise ShapeError(f"Dimension must be 2 but is {len(wanted)}")
    return [(kind, (sizes[0], *(wanted or (None, None)), sizes[3]))]


def _lengths(
    lowering: Lowering, op: Operation, values: Sequence[Value]
) -> Sequence[tuple[int, int]]:
    """Old and new heights and widths."""
    old, new = values[0].shape[1:3], lowering.integers(op, 1, values)
    if min(new) < 1:
        raise invalid(op, "output dimensions must be positive")
    if 0 in old:
        raise invalid(op, "input image must be of non-zero size")
    return list(zip((int(n) for n in old), new, strict=True))


def _places(op: Operation, old: int, new: int) -> Floats:
    """Where each new pixel lies between the old ones."""
    index = np.arange(new, dtype=np.float32)
    if op.flag("align_corners") and new > 1:
        place = index * np.float32((old - 1) / (new - 1))
    elif op.flag("half_pixel_centers"):
        place = (index + np.float32(0.5)) * np.float32(old / new) - np.float32(0.5)
    else:
        place = index * np.float32(old / new)
    result: Floats = place.astype(np.float32)
    return result


def _weights(op: Operation, old: int, new: int) -> Floats:
    place = _places(op, old, new)
    low = np.floor(place)
    matrix = np.zeros((new, old), np.float32)
    fraction = place - low
    lower = np.clip(low, 0, old - 1).astype(int)
    upper = np.clip(low + 1, 0, old - 1).astype(int)
    np.add.at(matrix, (np.arange(new), lower), 1 - fraction)
    np.add.at(matrix, (np.arange(new), upper), fraction)
    return matrix


_STEPS = 1024
"""Into how many places TensorFlow's table divides the distance between two pixels."""


def _cubic(op: Operation, old: int, new: int) -> Floats:
    """Four pixels by Keys' cubic convolution (1981), with a = -0.75, or -0.5 at half pixels.

    Beyond the border the last pixel stands again, at half pixels nothing.
    """
    half = op.flag("half_pixel_centers")
    place = _places(op, old, new)
    low = np.floor(place)
    step = np.rint((place - low) * _STEPS) / _STEPS
    a = -0.5 if half else -0.75
    matrix = np.zeros((new, old), np.float64)
    for offset in (-1, 0, 1, 2):
        x = np.abs(step - offset)
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        weight = np.where(x <= 1, near, ((a * x - 5 * a) * x + 8 * a) * x - 4 * a)
        index = low + offset
        if half:
            weight = np.where((index >= 0) & (index < old), weight, 0)
        np.add.at(matrix, (np.arange(new), np.clip(index, 0, old - 1).astype(int)), weight)
    if half:
        total = matrix.sum(axis=1, keepdims=True)
        matrix = matrix / np.where(np.abs(total) < 1e-3, 1, total)
    return matrix.astype(np.float32)


def _area(op: Operation, old: int, new: int) -> Floats:
    """The mean of what a new pixel covers, in part at its ends."""
    scale = (old - 1) / (new - 1) if op.flag("align_corners") and new > 1 else old / new
    low = (np.arange(new, dtype=np.float32) * np.float32(scale))[:, None]
    high = ((np.arange(new, dtype=np.float32) + 1) * np.float32(scale))[:, None]
    index = np.arange(max(old, int(np.ceil(high.max()))))
    covered = np.clip(np.minimum(index + 1, high) - np.maximum(index, low), 0, None) / scale
    matrix = np.zeros((new, old), np.float32)
    np.add.at(matrix.T, np.minimum(index, old - 1), covered.T.astype(np.float32))
    return matrix


_MATRICES = {"ResizeArea": _area, "ResizeBicubic": _cubic, "ResizeBilinear": _weights}


def _weighted(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """Products with the matrices of the weights along height and width."""
    builder, image = lowering.builder, shorthand.convert(lowering.builder, values[0], F32)
    for old, new in _lengths(lowering, op, values):
        weights = builder.constant(_MATRICES[op.type](op, old, new))
        # The dim that is summed over leaves its place, and the new one comes last.
        image = shorthand.dot_general(builder, image, weights, (), (), (1,), (1,))
    return [shorthand.transpose(builder, image, (0, 2, 3, 1))]


def _nearest(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """Rows and columns gathered: rounded down, to nearest with align_corners."""
    builder, image = lowering.builder, values[0]
    for axis, (old, new) in enumerate(_lengths(lowering, op, values), 1):
        place = _places(op, old, new)
        if op.flag("half_pixel_centers"):
            place = place + np.float32(0.5)
        index = np.floor(place + 0.5) if op.flag("align_corners") else np.floor(place)
        chosen = builder.constant(np.clip(index, 0, old - 1).astype(np.int32))
        image = shorthand.take(builder, image, chosen, axis=axis)
    return [image]


def resize_bilinear(
    images: object,
    size: object,
    align_corners: bool = False,
    name: str | None = None,
    half_pixel_centers: bool = False,
) -> Tensor:
    """Images [batch, *size, channels], float32, interpolated linearly."""
    options = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    return make("ResizeBilinear", (images, size), name, **options)


def resize_bicubic(
    images: object,
    size: object,
    align_corners: bool = False,
    name: str | None = None,
    half_pixel_centers: bool = False,
) -> Tensor:
    """Images [batch, *size, channels], float32, interpolated by cubic pieces."""
    options = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    return make("ResizeBicubic", (images, size), name, **options)


def resize_nearest_neighbor(
    images: object,
    size: object,
    align_corners: bool = False,
    name: str | None = None,
    half_pixel_centers: bool = False,
) -> Tensor:
    """Images [batch, *size, channels] of pixels there are."""
    options = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    return make("ResizeNearestNeighbor", (images, size), name, **options)


def resize_area(
    images: object, size: object, align_corners: bool = False, name: str | None = None
) -> Tensor:
    """Images [batch, *size, channels], float32: means of what each new pixel covers."""
    return make("ResizeArea", (images, size), name, align_corners=align_corners)


register(
    *(OpKind(name, "images:T size:int32", _infer, _weighted, {"T": NUMBERS}) for name in _MATRICES),
    OpKind("ResizeNearestNeighbor", "images:T size:int32", _infer, _nearest, {"T": NUMBERS}),
)
