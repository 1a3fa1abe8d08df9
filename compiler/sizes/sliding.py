"""Windows that slide over dims of open size: how many there are, and where the first one begins.

Where padding depends on the size, as that of frameworks' "SAME" does, with total = (count - 1) *
stride + span - size of which half lies in front, what is in use is moved so that the first window
begins at one place for all sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tensorkiln.compiler.ir.dims import Dim, add_dims, divide_dim, scale_dim, substitute
from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.shorthand import binary, dynamic_slice, pad, scalar
from tensorkiln.compiler.ops.windows import WindowDim
from tensorkiln.compiler.sizes.bounder import Bounder
from tensorkiln.compiler.sizes.factors import Factor, Factors, actual, normal
from tensorkiln.compiler.sizes.samples import Sampled


def counted(sampled: Sampled, dim: Factors, axis: int, windows: Sequence[WindowDim]) -> Factors:
    """The dim `axis` of a result: the number of windows over `dim`, which at the points are
    `windows`."""
    (factor, *inner) = normal(dim)
    if inner or not factor.is_open:
        return sampled.dim(axis)
    sizes = [op.results[0].shape[axis] for op in sampled.ops]
    for count in _counts(factor.extent, windows):
        points = zip(sampled.space.points, sizes, strict=True)
        if count is not None and all(substitute(count, point) == n for point, n in points):
            sampled.space.learn(count, windows[0].stride)
            return (Factor(sizes[0], count),)
    return sampled.dim(axis)


def _counts(extent: Dim, windows: Sequence[WindowDim]) -> list[Dim | None]:
    """What the number of windows may be: floor((padded - span) / stride) + 1, the same rounded up,
    one for each stride."""
    first = windows[0]
    holes = scale_dim(add_dims(extent, -1), first.base)  # and elements, but for the last one
    steps = [
        add_dims(holes, 1 + w.low + w.high - w.span + w.stride) for w in dict.fromkeys(windows)
    ]
    if len(steps) > 1:
        most = min(w.low + w.high for w in windows)
        up = add_dims(holes, most + 2 * first.stride - first.span)
        steps = [add_dims(holes, first.stride), up]
    return [divide_dim(step, first.stride) for step in steps]


def begun(
    bounder: Bounder,
    sampled: Sampled,
    value: Value,
    fill: Value,
    axis: int,
    dim: Factors,
    count: Factors,
    windows: Sequence[WindowDim],
) -> tuple[Value, WindowDim]:
    """The value, and the window over its dim `axis` that is right for all sizes.

    What of `dim` is not in use holds the scalar `fill`; `count` is the number of windows.
    """
    first = windows[0]
    if all(w.low == first.low for w in windows):
        return value, first
    totals = [
        max((actual(count, point) - 1) * first.stride + first.span - actual(dim, point), 0)
        for point in sampled.space.points
    ]
    halves = [
        up
        for up in (0, 1)
        if all(w.low == (t + up) // 2 for w, t in zip(windows, totals, strict=True))
    ]
    if not halves or first.base > 1 or len(normal(dim)) > 1 or len(normal(count)) > 1:
        raise sampled.unsupported("its padding depends on the sizes")
    builder, up = bounder.builder, halves[0]

    def number(n: int) -> Value:
        return scalar(builder, n, I32)

    ends = binary(
        builder, "multiply", bounder.extent(normal(count)[0].extent), number(first.stride)
    )
    total = binary(builder, "subtract", ends, bounder.extent(normal(dim)[0].extent))
    total = binary(builder, "add", total, number(first.span - first.stride))
    total = binary(builder, "maximum", total, number(0))
    low = binary(builder, "divide", binary(builder, "add", total, number(up)), number(2))
    # Padding in front is at least `least`; by what it is more than that, elements are moved.
    least = (max(first.span - first.stride, 0) + up) // 2
    most = (first.span - 1 + up) // 2
    behind = first.low + first.high - least
    more = min(most - least, behind)  # what lies beyond is in no window
    rank = value.type.rank
    wide = pad(
        builder, value, [most - least if k == axis else 0 for k in range(rank)],
        [more if k == axis else 0 for k in range(rank)], value=fill,
    )  # fmt: skip
    shape = tuple(n + more if k == axis else n for k, n in enumerate(value.shape))
    at = [number(0)] * rank
    at[axis] = binary(builder, "subtract", number(most), low)
    moved = dynamic_slice(builder, wide, at, shape)
    return moved, replace(first, low=least, high=behind - more)
