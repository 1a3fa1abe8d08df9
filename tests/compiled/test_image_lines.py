"""Convolutions that leave out the lines of the window that lie in the padding."""

from __future__ import annotations

import pytest
from compiled.check import check, check_interpreted

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.differentiate import differentiate
from tensorkiln.compiler.ir.dtypes import F32, F64, DType
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import pad
from tensorkiln.compiler.ops.shorthand_windows import convolution
from tensorkiln.compiler.pipeline import optimize_function
from tensorkiln.compiler.schedules.conv_tiling import ConvTiling
from tensorkiln.compiler.schedules.filter_tiling import FilterTiling
from tensorkiln.compiler.schedules.layouts import assign_layouts

Padding = tuple[tuple[int, int], ...]


def padded(
    image: tuple[int, ...],
    kernel: tuple[int, ...],
    padding: Padding,
    strides: tuple[int, ...] = (1, 1),
    dilation: tuple[int, ...] = (1, 1),
    dtype: DType = F32,
    filler: float = 0.0,
) -> Function:
    """A convolution, channels last, of an image padded with `filler`; its weights vary."""
    b = Builder(REGISTRY)
    x = b.parameter("x", TensorType(image, dtype))
    weights = b.parameter("weights", TensorType(kernel, dtype))
    low, high = ((0, *(pair[end] for pair in padding), 0) for end in (0, 1))
    wide = pad(b, x, low, high, (0,) * len(image), filler)
    spatial = "HW" if len(padding) == 2 else "W"
    y = convolution(
        b, wide, weights, f"N{spatial}C", f"{spatial}IO", strides=strides, rhs_dilation=dilation
    )
    return b.finish([y])


def images(function: Function) -> list[tuple[int, int] | None]:
    """The lines of the image that layout assignment found for each convolution."""
    laid_out = assign_layouts(optimize_function(function), target_named("x86-64-v4"))
    kinds = (ConvTiling, FilterTiling)
    return [t.image for t in laid_out.tilings.values() if isinstance(t, kinds)]


CASES = {
    "five by five": (padded((3, 14, 14, 5), (5, 5, 5, 32), ((2, 2), (2, 2))), (2, 16)),
    "uneven": (padded((1, 7, 14, 3), (3, 4, 3, 33), ((0, 2), (3, 0))), (0, 7)),
    "more than the window": (padded((2, 3, 14, 4), (3, 3, 4, 16), ((5, 4), (1, 1))), (5, 8)),
    "steps": (padded((2, 9, 29, 4), (3, 3, 4, 48), ((2, 1), (1, 1)), (2, 2)), (2, 11)),
    "steps that end early": (padded((2, 8, 31, 4), (2, 3, 4, 17), ((1, 2), (1, 1)), (3, 2)), (1, 9)),
    "dilated": (padded((1, 9, 14, 4), (3, 3, 4, 16), ((2, 2), (2, 2)), (1, 1), (2, 2)), (2, 11)),
    "blocks of channels": (padded((1, 14, 14, 32), (3, 3, 32, 64), ((1, 1), (1, 1))), (1, 15)),
    "several lines a tile": (padded((2, 7, 7, 3), (3, 3, 3, 32), ((1, 1), (1, 1))), (1, 8)),
    "one line": (padded((1, 1, 14, 4), (3, 3, 4, 16), ((1, 1), (1, 1))), (1, 2)),
    "one dim": (padded((2, 30, 4), (5, 4, 16), ((2, 2),), (1,), (1,)), (2, 32)),
    "f64": (padded((1, 14, 14, 3), (3, 3, 3, 9), ((1, 1), (1, 1)), dtype=F64), (1, 15)),
    "along rows only": (padded((1, 9, 12, 3), (1, 3, 3, 32), ((0, 0), (1, 1))), None),
    "no zeros": (padded((1, 14, 14, 3), (3, 3, 3, 32), ((1, 1), (1, 1)), filler=2.0), None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_results_are_those_of_all_lines(name: str) -> None:
    function, lines = CASES[name]
    assert images(function) == [lines]
    check(function)
    check(function, "x86-64-v3", small=True)


def test_kernels_read_nothing_outside() -> None:
    function = padded((1, 3, 5, 2), (3, 3, 2, 16), ((4, 1), (1, 1)))
    assert images(function) == [(4, 7)]
    check_interpreted(function)


def gradients(image: tuple[int, ...], kernel: tuple[int, ...], padding: Padding) -> Function:
    """The gradients of a padded convolution."""
    b = Builder(REGISTRY)
    x = b.parameter("x", TensorType(image, F32))
    weights = b.parameter("weights", TensorType(kernel, F32))
    y = convolution(b, x, weights, "NHWC", "HWIO", padding=padding)
    found = differentiate(b, [y], [x, weights], [b.parameter("g", y.type)])
    results: list[Value] = [v for v in found if v is not None]
    assert len(results) == 2
    return b.finish(results)


@pytest.mark.parametrize("small", [False, True], ids=["whole", "small"])
@pytest.mark.parametrize("size", [11, 6])
def test_gradients_leave_them_out_too(size: int, small: bool) -> None:
    function = gradients((2, size, size, 3), (5, 5, 3, 32), ((2, 2), (2, 2)))
    assert images(function) == [(2, size + 2)] * 2
    check(function, small=small)
