"""The arithmetic of sliding windows that reduce_window, select_and_scatter and convolution share.

A dim of `size` elements is dilated by `base` (base - 1 holes between elements) and padded by
`low` and `high` (negative numbers crop); a window of `window` taps, dilated by `dilation`, moves
over it by `stride`.  Tap w of window o is at dilated position o*stride + w*dilation - low.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tensorkiln.compiler.ir.dims import Dim, add_dims
from tensorkiln.compiler.kernel.expr import Expr
from tensorkiln.compiler.kernel.index import add, const, floordiv, mul
from tensorkiln.compiler.ops.checks import between, dilated, divides, require


@dataclass(frozen=True, slots=True)
class WindowDim:
    """How windows move along one dim."""

    window: int
    stride: int = 1
    low: int = 0
    high: int = 0
    base: int = 1
    dilation: int = 1

    @property
    def span(self) -> int:
        """The extent of the dilated window."""
        return (self.window - 1) * self.dilation + 1 if self.window else 0

    def count(self, size: Dim) -> Dim:
        """The number of windows over a dim of `size`: floor((padded - span) / stride) + 1.

        A symbolic size needs stride 1 (C0 otherwise).
        """
        padded = add_dims(dilated(size, self.base), self.low + self.high)
        if isinstance(padded, int):
            empty = padded <= 0 or padded < self.span
            return 0 if empty else (padded - self.span) // self.stride + 1
        require(self.stride == 1, f"C0: stride {self.stride} over a symbolic dim {size}")
        return add_dims(padded, 1 - self.span)

    def position(self, outer: Expr, inner: Expr) -> Expr:
        """The dilated position of tap `inner` of window `outer`; negative in the padding."""
        moved = add(mul(outer, self.stride), mul(inner, self.dilation))
        return add(moved, const(-self.low))

    def conditions(self, position: Expr, size: int) -> list[Expr]:
        """What must hold for a dilated position to be an element of a dim of `size`."""
        last = (size - 1) * self.base + 1 if size else 0
        return between(position, 0, last) + divides(position, self.base)

    def source(self, position: Expr) -> Expr:
        """The element at a dilated position."""
        return floordiv(position, self.base)

    def tap(self, tap: int, size: int, count: int) -> tuple[slice, slice]:
        """The windows whose tap number `tap` is an element of a dim of `size`, as a slice of the
        `count` windows, and the elements they meet there, as a slice of the dim.

        The windows o with o*stride + tap*dilation - low = base*i and 0 <= i < size are every
        base/gcd(base, stride)-th one from the first.
        """
        nothing = slice(0, 0), slice(0, 0)
        offset = tap * self.dilation - self.low
        step = self.base // math.gcd(self.base, self.stride)
        meeting = (o for o in range(step) if (o * self.stride + offset) % self.base == 0)
        first = next(meeting, None)
        if first is None or not size:
            return nothing
        behind = -(first * self.stride + offset)  # how far the first lies before the dim
        if behind > 0:
            first += -(-behind // (self.stride * step)) * step
        end = (size - 1) * self.base - offset  # o*stride <= end
        last = min(count - 1, end // self.stride)
        if first > last:
            return nothing
        number = (last - first) // step + 1
        begin = (first * self.stride + offset) // self.base
        jump = step * self.stride // self.base
        outer = slice(first, first + (number - 1) * step + 1, step)
        return outer, slice(begin, begin + (number - 1) * jump + 1, jump)

    def check(self, what: str) -> None:
        """Constraint C2 of windows: sizes, strides and dilations are positive."""
        positive = min(self.window, self.stride, self.base, self.dilation) >= 1
        require(positive, f"C2: {what}: window, stride and dilations must be positive, not {self}")


def taps_of(
    windows: Sequence[WindowDim], tap: Sequence[int], sizes: Sequence[int], counts: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """`WindowDim.tap` for every dim: slices of the result and of the operand."""
    both = [
        window.tap(place, size, count)
        for window, place, size, count in zip(windows, tap, sizes, counts, strict=True)
    ]
    return tuple(outer for outer, _ in both), tuple(inner for _, inner in both)


def meeting_taps(
    windows: Sequence[WindowDim], sizes: Sequence[int], counts: Sequence[int]
) -> Iterator[tuple[int, ...]]:
    """The taps, in row-major order, but for those that are far from any element for every window."""
    ranges = []
    for window, size, count in zip(windows, sizes, counts, strict=True):
        last = (size - 1) * window.base
        first = -(((count - 1) * window.stride - window.low) // window.dilation)
        end = (window.low + last) // window.dilation + 1
        some = size > 0 and count > 0
        ranges.append(range(max(first, 0), min(end, window.window) if some else 0))
    return itertools.product(*ranges)
