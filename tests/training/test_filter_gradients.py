"""Gradients of convolutions with respect to their filters, as kernels."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from compiled.check import check, check_interpreted

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.differentiate import differentiate
from tensorkiln.compiler.ir.dtypes import F32, F64, DType
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand_windows import convolution
from tensorkiln.compiler.pipeline import lower


@dataclass(frozen=True)
class Case:
    """A convolution of two spatial dims, or of one."""

    image: tuple[int, ...]
    kernel: tuple[int, ...]
    layouts: tuple[str, str] = ("NHWC", "HWIO")
    strides: tuple[int, ...] = (1, 1)
    padding: tuple[tuple[int, int], ...] = ((0, 0), (0, 0))
    dilation: tuple[int, ...] = (1, 1)
    dtype: DType = F32
    updates: bool = False
    groups: int = 1


CASES = {
    "channels_last": Case((3, 12, 11, 5), (3, 3, 5, 16)),
    "one_channel_in": Case((4, 14, 14, 1), (5, 5, 1, 32), padding=((2, 2), (2, 2))),
    "ragged_channels": Case((2, 13, 13, 7), (3, 3, 7, 21)),
    "few_channels_out": Case((3, 12, 12, 3), (2, 2, 3, 3)),
    "strides": Case((2, 17, 17, 4), (3, 3, 4, 16), strides=(2, 2), padding=((1, 0), (0, 1))),
    "dilation": Case((2, 15, 15, 4), (2, 2, 4, 8), dilation=(3, 2)),
    "channels_first": Case((3, 5, 12, 12), (6, 5, 3, 3), ("NCHW", "OIHW"), padding=((1, 1), (1, 1))),
    "blocked_channels": Case((2, 32, 9, 9), (32, 32, 3, 3), ("NCHW", "OIHW"), padding=((1, 1), (1, 1))),
    "double": Case((3, 9, 9, 3), (3, 3, 3, 10), dtype=F64),
    "depthwise": Case((2, 13, 13, 20), (3, 3, 1, 20), padding=((1, 1), (1, 1)), groups=20),
    "depthwise_strides": Case((2, 13, 13, 6), (2, 3, 1, 6), strides=(2, 2), dilation=(2, 1), groups=6),
    "depthwise_first": Case((2, 6, 9, 9), (6, 1, 3, 3), ("NCHW", "OIHW"), groups=6),
    "depthwise_pairs": Case((2, 9, 9, 6), (3, 3, 1, 12), groups=6),
    "update": Case((3, 12, 11, 5), (3, 3, 5, 16), updates=True),
}  # fmt: skip


def gradient(case: Case) -> Function:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType(case.image, case.dtype))
    kernel = builder.parameter("kernel", TensorType(case.kernel, case.dtype))
    y = convolution(
        builder, x, kernel, *case.layouts,
        strides=case.strides, padding=case.padding, rhs_dilation=case.dilation,
        feature_groups=case.groups,
    )  # fmt: skip
    cotangent = builder.parameter("g", y.type)
    (found,) = differentiate(builder, [y], [kernel], [cotangent])
    assert found is not None
    if not case.updates:
        return builder.finish([found])
    updated = builder.one("subtract", (kernel, found))
    return builder.finish([updated], aliases={0: 1})


@pytest.mark.parametrize("small", [False, True], ids=["whole", "small"])
@pytest.mark.parametrize("name", CASES)
def test_filter_gradients_are_right(name: str, small: bool) -> None:
    check(gradient(CASES[name]), small=small)


@pytest.mark.parametrize("target", ["x86-64", "x86-64-v3"])
@pytest.mark.parametrize("name", ["ragged_channels", "one_channel_in"])
def test_filter_gradients_on_narrow_vectors(name: str, target: str) -> None:
    check(gradient(CASES[name]), target, small=True)


def test_kernels_of_filter_gradients_mean_the_same() -> None:
    check_interpreted(gradient(Case((2, 6, 6, 3), (2, 2, 3, 9))), "x86-64-v3", small=True)


def test_an_update_is_made_in_place_of_the_gradient() -> None:
    """The filter's own memory takes the update, and partial sums are not kept in it."""
    program = lower(gradient(CASES["update"]), target_named("host")).program
    assert [program.kernels[call.kernel].name for call in program.calls] == ["convolution_subtract"]
    assert program.workspace_bytes == 0
