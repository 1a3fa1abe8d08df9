"""Grouped convolutions whose groups do not fill whole vectors of channels."""

from __future__ import annotations

import numpy as np
import pytest
from compiled.check import check, check_interpreted

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32, F64, I32, DType
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.pipeline import optimize_function
from tensorkiln.compiler.schedules.grouped import GroupedTiling
from tensorkiln.compiler.schedules.layouts import assign_layouts


def grouped(
    image: tuple[int, ...],
    groups: int,
    outputs: int,
    window: tuple[int, ...] = (1, 1),
    pad: int = 0,
    strides: tuple[int, ...] = (1, 1),
    dtype: DType = F32,
    bias: bool = False,
    depthwise: bool = False,
) -> Function:
    """A convolution by constant weights, perhaps of a depthwise one's result and added to it."""
    b = Builder(REGISTRY, "net")
    x = b.parameter("x", TensorType(image, dtype))
    order = tuple(range(len(image)))
    rng = np.random.default_rng(0)

    def convolved(x, shape, groups, strides, pad):
        weights = b.constant(rng.integers(-2, 3, shape).astype(dtype.numpy))
        ones = (1,) * (len(image) - 2)
        return b.one(
            "convolution", (x, weights), strides=strides, padding=((pad, pad),) * len(ones),
            lhs_dilation=ones, rhs_dilation=ones, reversal=(0,) * len(ones), lhs_spec=order,
            rhs_spec=order, out_spec=order, feature_groups=groups, batch_groups=1,
        )  # fmt: skip

    source = x
    if depthwise:
        ones = (1,) * (len(image) - 2)
        source = convolved(x, (image[1], 1, *(3 for _ in ones)), image[1], ones, 1)
    y = convolved(source, (outputs, image[1] // groups, *window), groups, strides, pad)
    if bias:
        added = b.constant(np.arange(outputs).astype(dtype.numpy))
        wide = b.one("broadcast_in_dim", (added,), shape=y.shape, dimensions=(1,))
        y = b.one("add", (y, wide))
    if depthwise:
        y = b.one("add", (y, x))
    return b.finish([y], ["y"])


def taken(function: Function, target: str = "x86-64-v4") -> bool:
    """Whether the family takes the convolution."""
    laid_out = assign_layouts(optimize_function(function), target_named(target))
    return any(isinstance(tiling, GroupedTiling) for tiling in laid_out.tilings.values())


CASES = {
    "whole strips": grouped((1, 20, 8, 8), 4, 20),
    "a part of a strip": grouped((2, 12, 7, 7), 4, 12),
    "several strips": grouped((1, 68, 14, 14), 2, 34),
    "one place": grouped((3, 6, 1, 1), 2, 10),
    "one place more than strips": grouped((1, 6, 5, 13), 3, 9),
    "one output a group": grouped((1, 12, 6, 6), 4, 4),
    "one input a group": grouped((1, 4, 6, 6), 4, 12),
    "three by three": grouped((1, 32, 9, 17), 8, 32, (3, 3), 1),
    "in steps": grouped((1, 32, 9, 17), 8, 32, (3, 3), 1, (2, 2)),
    "in small steps": grouped((1, 6, 3, 9), 2, 4, (2, 3), 1, (2, 2)),
    "one row": grouped((2, 6, 37), 2, 14, (3,), 1, (1,)),
    "three dims": grouped((1, 6, 3, 4, 5), 2, 6, (2, 2, 2), 1, (1, 1, 1)),
    "an epilogue": grouped((2, 10, 5, 9), 2, 14, bias=True),
    "behind a depthwise one": grouped((1, 272, 14, 14), 4, 272, bias=True, depthwise=True),
    "f64": grouped((1, 10, 6, 7), 2, 6, dtype=F64),
    "i32": grouped((1, 10, 6, 7), 2, 6, dtype=I32),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name: str):
    assert taken(CASES[name])
    check(CASES[name])


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize("name", ["several strips", "three by three", "an epilogue"])
def test_other_vectors(name: str, target: str):
    check(CASES[name], target)


@pytest.mark.parametrize("name", ["in small steps", "an epilogue"])
def test_meaning_of_the_kernel(name: str):
    check_interpreted(CASES[name])


def test_many_tasks():
    check(CASES["several strips"], small=True)


def test_other_convolutions_are_not_taken():
    assert not taken(grouped((1, 64, 14, 14), 2, 64))
    assert not taken(grouped((1, 10, 14, 14), 1, 10))
    assert not taken(grouped((1, 10, 14, 14), 10, 10, (3, 3), 1))
