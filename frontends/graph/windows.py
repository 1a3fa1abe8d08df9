"""Sizes and padding of windows that slide over an image (convolution, pooling).

The arithmetic is that of TensorFlow's public documentation of `tf.nn.convolution`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph.shapes import ShapeError, Size


def output_size(length: Size, window: Size, stride: int, padding: str, dilation: int = 1) -> Size:
    """SAME: ceil(length / stride); VALID: ceil((length - window + 1) / stride)."""
    if length is None or window is None:
        return None
    if padding == "SAME":
        return -(-length // stride)
    reach = (window - 1) * dilation + 1
    if reach > length:
        raise ShapeError(f"Negative dimension size caused by subtracting {reach} from {length}")
    return -(-(length - reach + 1) // stride)


def padding_pair(
    length: int, window: int, stride: int, padding: str, dilation: int = 1
) -> tuple[int, int]:
    """Zeros before and after: SAME splits max((out - 1) * stride + reach - length, 0), the
    smaller half first."""
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
