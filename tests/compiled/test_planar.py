"""Depthwise convolutions of images that come and go with channels outermost."""

from __future__ import annotations

import numpy as np
import pytest
from compiled.check import check, check_interpreted

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32, F64, DType
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.pipeline import optimize_function
from tensorkiln.compiler.schedules.layouts import assign_layouts
from tensorkiln.compiler.schedules.planar import PlanarTiling
from tensorkiln.compiler.schedules.program import lower_function


def depthwise(
    image: tuple[int, ...],
    window: tuple[int, int] = (3, 3),
    padding: tuple[tuple[int, int], ...] = ((1, 1), (1, 1)),
    strides: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    dtype: DType = F32,
    bias: bool = False,
) -> Function:
    """A depthwise convolution by constant weights."""
    b, channels = Builder(REGISTRY, "net"), image[1]
    x = b.parameter("x", TensorType(image, dtype))
    drawn = np.random.default_rng(0).integers(-2, 3, (channels, 1, *window))
    y = b.one(
        "convolution", (x, b.constant(drawn.astype(dtype.numpy))), strides=strides,
        padding=padding, lhs_dilation=(1, 1), rhs_dilation=dilation, reversal=(0, 0),
        lhs_spec=(0, 1, 2, 3), rhs_spec=(0, 1, 2, 3), out_spec=(0, 1, 2, 3),
        feature_groups=channels, batch_groups=1,
    )  # fmt: skip
    if bias:
        added = b.constant(np.arange(channels).astype(dtype.numpy))
        wide = b.one("broadcast_in_dim", (added,), shape=y.shape, dimensions=(1,))
        y = b.one("add", (y, wide))
    return b.finish([y], ["y"])


def planar(function: Function, target: str = "x86-64-v4") -> bool:
    """Whether the family takes the convolution."""
    laid_out = assign_layouts(optimize_function(function), target_named(target))
    return any(isinstance(tiling, PlanarTiling) for tiling in laid_out.tilings.values())


CASES = {
    "one strip": depthwise((1, 16, 7, 16)),
    "several strips": depthwise((2, 16, 13, 56)),
    "a part of a strip": depthwise((1, 3, 9, 35)),
    "one place more than strips": depthwise((1, 5, 6, 33)),
    "narrower than a strip": depthwise((1, 16, 5, 11)),
    "one row": depthwise((1, 16, 1, 40)),
    "no padding": depthwise((1, 7, 12, 50), padding=((0, 0), (0, 0))),
    "uneven padding": depthwise((1, 7, 12, 50), padding=((0, 2), (3, 0))),
    "rows in steps": depthwise((1, 4, 15, 32), strides=(2, 1)),
    "dilated": depthwise((1, 4, 15, 40), padding=((2, 2), (3, 3)), dilation=(2, 3)),
    "five by five": depthwise((1, 4, 17, 33), (5, 5), ((2, 2), (2, 2))),
    "one by seven": depthwise((1, 4, 6, 33), (1, 7), ((0, 0), (3, 3))),
    "an epilogue": depthwise((2, 5, 9, 37), bias=True),
    "f64": depthwise((1, 3, 9, 21), dtype=F64),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name: str):
    assert planar(CASES[name])
    check(CASES[name])


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize("name", ["one place more than strips", "narrower than a strip"])
def test_other_vectors(name: str, target: str):
    check(CASES[name], target)


@pytest.mark.parametrize("name", ["several strips", "a part of a strip", "dilated"])
def test_meaning_of_the_kernel(name: str):
    check_interpreted(CASES[name])


def test_many_tasks():
    check(CASES["several strips"], small=True)


def test_nothing_is_copied():
    program = lower_function(optimize_function(CASES["several strips"]), target_named("x86-64-v4"))
    assert len(program.calls) == 1


def test_other_convolutions_are_not_taken():
    assert not planar(depthwise((1, 16, 15, 32), strides=(2, 2)))
    assert not planar(depthwise((1, 16, 20, 32), (7, 7), ((3, 3), (3, 3))))
    assert not planar(depthwise((1, 16, 20, 7)))
