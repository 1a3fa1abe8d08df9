"""Where windows of pooling and convolution lie: kernel, strides, dilations and padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tensorkiln.frontends.onnx.node import Node

Pairs = tuple[tuple[int, int], ...]
_MOST_TAPS = 1 << 31  # elements of a window


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows over the spatial dims of a tensor.

    `padding` includes what ceil_mode adds at the end of a dim, `given` does not.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    given: Pairs
    padding: Pairs

    def counts(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """The number of windows along each dim."""
        spans = self.spans()
        return tuple(
            max(0, (size + low + high - span) // stride + 1)
            for size, (low, high), span, stride in zip(
                sizes, self.padding, spans, self.strides, strict=True
            )
        )

    def spans(self) -> tuple[int, ...]:
        """The extents of a dilated window."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))


def windows_of(node: Node, sizes: Sequence[int], kernel: Sequence[int]) -> Windows:
    """The windows that a node's attributes place over spatial dims of `sizes`."""
    rank = len(sizes)
    strides = node.integers("strides", (1,) * rank)
    dilations = node.integers("dilations", (1,) * rank)
    kernel = tuple(kernel)
    if not len(kernel) == len(strides) == len(dilations) == rank:
        raise node.invalid(f"kernel, strides and dilations must have {rank} entries each")
    if min((*kernel, *strides, *dilations), default=1) < 1:
        raise node.invalid("kernel, strides and dilations must be positive")
    if math.prod(kernel) > _MOST_TAPS:
        raise node.invalid(f"a kernel of shape {list(kernel)} is too large")
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    given = _padding(node, sizes, spans, strides)
    padding = given
    if node.integer("ceil_mode", 0):
        padding = tuple(map(_ceiled, sizes, spans, strides, given))
    return Windows(kernel, strides, dilations, given, padding)


def _padding(
    node: Node, sizes: Sequence[int], spans: Sequence[int], strides: Sequence[int]
) -> Pairs:
    mode = node.string("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        return tuple(
            _same(size, span, stride, mode == "SAME_UPPER")
            for size, span, stride in zip(sizes, spans, strides, strict=True)
        )
    if mode == "VALID":
        return ((0, 0),) * len(sizes)
    if mode != "NOTSET":
        raise node.invalid(f"auto_pad is {mode!r}")
    return explicit_padding(node, len(sizes))


def explicit_padding(node: Node, rank: int) -> Pairs:
    """The attribute pads: all beginnings, then all ends."""
    pads = node.integers("pads", (0,) * (2 * rank))
    if len(pads) != 2 * rank:
        raise node.invalid(f"pads has {len(pads)} entries, not {2 * rank}")
    return tuple(zip(pads[:rank], pads[rank:], strict=True))


def _same(size: int, span: int, stride: int, upper: bool) -> tuple[int, int]:
    """As many windows as ceil(size / stride); an odd cell of padding goes to the end if `upper`."""
    count = -(-size // stride)
    total = max((count - 1) * stride + span - size, 0)
    return split_evenly(total, upper)


def split_evenly(total: int, upper: bool) -> tuple[int, int]:
    """Half of `total` at each side, an odd one at the end if `upper`."""
    half = total // 2
    return (half, total - half) if upper else (total - half, half)


def _ceiled(size: int, span: int, stride: int, pads: tuple[int, int]) -> tuple[int, int]:
    """The count rounded up, but no window starts in the padding at the end."""
    low, high = pads
    count = -(-(size + low + high - span) // stride) + 1
    if (count - 1) * stride >= size + low:
        count -= 1
    return low, max((count - 1) * stride + span - size - low, high)
