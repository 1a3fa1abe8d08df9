"""Sizes and padding of windows that slide over an image (convolution, pooling).

The arithmetic is that of TensorFlow's public documentation of `tf.nn.convolution`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tensorkiln.frontends.graph.dimension import Size
from tensorkiln.frontends.graph.shapes import ShapeError

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.operation import Operation


Padding: TypeAlias = "str | tuple[int, int]"
"""SAME, VALID, or the number of zeros before and after."""


def output_size(
    length: Size, window: Size, stride: int, padding: Padding, dilation: int = 1
) -> Size:
    """SAME: ceil(length / stride); VALID: ceil((length - window + 1) / stride)."""
    if length is None or window is None:
        return None
    if padding == "SAME":
        return -(-length // stride)
    reach = (window - 1) * dilation + 1
    if isinstance(padding, tuple):
        length += sum(padding)
    if reach > length:
        raise ShapeError(f"Negative dimension size caused by subtracting {reach} from {length}")
    return -(-(length - reach + 1) // stride)


def padding_pair(
    length: int, window: int, stride: int, padding: Padding, dilation: int = 1
) -> tuple[int, int]:
    """Zeros before and after: SAME splits max((out - 1) * stride + reach - length, 0), the
    smaller half first."""
    if isinstance(padding, tuple):
        return padding
    if padding == "VALID":
        return 0, 0
    reach = (window - 1) * dilation + 1
    total = max((-(-length // stride) - 1) * stride + reach - length, 0)
    return total // 2, total - total // 2


def check_padding(padding: object) -> str:
    """ "SAME" or "VALID" in capitals; ValueError for anything else."""
    text = str(padding).upper()
    if text not in ("SAME", "VALID"):
        raise ValueError(f"padding must be 'SAME' or 'VALID', got {padding!r}")
    return text


def padding_attributes(padding: object, data_format: str) -> dict[str, object]:
    """The attributes for SAME, VALID, or a list of the zeros before and after each dim."""
    if not isinstance(padding, list | tuple | np.ndarray):
        return {"padding": check_padding(padding)}
    pairs = np.asarray(padding)
    rank = len(data_format)
    if pairs.shape != (rank, 2):
        raise ValueError(
            f"Value in list in padding must be {rank} pairs of numbers, got {padding!r}"
        )
    outer = set(range(rank)) - set(spatial_axes(data_format, rank))
    if any(pairs[axis].any() for axis in outer):
        raise ValueError(f"padding must be 0 in the batch and depth dimensions, got {padding!r}")
    flat = tuple(int(n) for n in pairs.reshape(-1))
    return {"padding": "EXPLICIT", "explicit_paddings": flat}


def padding_along(op: Operation, axis: int) -> Padding:
    """The padding of an op along one dim of its image."""
    if op.text("padding") != "EXPLICIT":
        return op.text("padding")
    pairs = op.integers("explicit_paddings")
    return pairs[2 * axis], pairs[2 * axis + 1]


def spatial_axes(data_format: str, rank: int) -> tuple[int, ...]:
    """The dims of an image tensor that a window slides over."""
    return tuple(range(2, rank)) if data_format.startswith("NC") else tuple(range(1, rank - 1))


def channel_axis(data_format: str, rank: int) -> int:
    """The dim of the channels."""
    return 1 if data_format.startswith("NC") else rank - 1


def spatial(values: Sequence[int], data_format: str, name: str) -> tuple[int, ...]:
    """The spatial entries of a list with one entry a dim; those of batch and channel are 1."""
    axes = spatial_axes(data_format, len(values))
    others = [value for axis, value in enumerate(values) if axis not in axes]
    if any(value != 1 for value in others):
        raise ValueError(f"{name} must be 1 in the batch and depth dimensions, got {list(values)}")
    return tuple(values[axis] for axis in axes)
