"""Transposes in registers: what takes them, and that they mean what the interpreter says."""

from __future__ import annotations

import numpy as np
import pytest
from compiled.check import check, check_interpreted

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import BF16, BOOL, F32, F64, I32, DType
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.stmt import Invoke, walk
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.pipeline import optimize_function
from tensorkiln.compiler.schedules.program import lower_function


def transpose(
    shape: tuple[int, ...], order: tuple[int, ...], dtype: DType = F32
) -> tuple[Builder, Value]:
    """A builder with a transposed parameter."""
    b = Builder(REGISTRY, "turn")
    x = b.parameter("x", TensorType(shape, dtype))
    return b, b.one("transpose", (x,), permutation=order)


def turns(function: Function, target: str = "x86-64-v4") -> list[bool]:
    """For each kernel whether it transposes in registers."""
    program = lower_function(optimize_function(function), target_named(target))
    return [
        any(isinstance(s, Invoke) and "transpose" in s.instruction.name for s in walk(k.body))
        for k in program.kernels
    ]


SHAPES = [
    ((16, 16), (1, 0)),
    ((17, 35), (1, 0)),
    ((48, 5), (1, 0)),
    ((2, 16, 49), (0, 2, 1)),
    ((3, 4, 33, 37), (0, 2, 3, 1)),
    ((1, 7, 8, 40), (0, 3, 1, 2)),
    ((6, 31, 4, 5), (3, 2, 1, 0)),
]


@pytest.mark.parametrize("target", ["host", "x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize(("shape", "order"), SHAPES, ids=str)
def test_values(shape: tuple[int, ...], order: tuple[int, ...], target: str):
    b, y = transpose(shape, order)
    check(b.finish([y], ["y"]), target)


@pytest.mark.parametrize("dtype", [F64, I32, BF16, BOOL], ids=str)
def test_dtypes(dtype: DType):
    b, y = transpose((19, 40), (1, 0), dtype)
    function = b.finish([y], ["y"])
    check(function)
    assert turns(function) == [dtype.bits >= 32]


@pytest.mark.parametrize(("shape", "order"), SHAPES[:4], ids=str)
def test_meaning_of_the_kernel(shape: tuple[int, ...], order: tuple[int, ...]):
    b, y = transpose(shape, order)
    function = b.finish([y], ["y"])
    assert turns(function) == [True]
    check_interpreted(function)


def test_many_tasks():
    b, y = transpose((130, 700), (1, 0))
    check(b.finish([y], ["y"]), small=True)


def test_other_operands_that_are_scalars_of_a_tile():
    b, turned = transpose((40, 30), (1, 0))
    bias = b.parameter("bias", TensorType((40,), F32))
    wide = b.one("broadcast_in_dim", (bias,), shape=(30, 40), dimensions=(1,))
    function = b.finish([b.one("add", (turned, wide))], ["y"])
    assert turns(function) == [True]
    check(function)


def test_an_operand_that_lies_as_the_result_does_is_not_gathered():
    b, turned = transpose((40, 30), (1, 0))
    other = b.parameter("other", TensorType((30, 40), F32))
    function = b.finish([b.one("add", (turned, other))], ["y"])
    assert turns(function) == [False]
    check(function)


def test_images_are_brought_into_blocks_of_channels_and_back():
    b = Builder(REGISTRY, "net")
    x = b.parameter("x", TensorType((2, 32, 9, 11), F32))
    weights = np.random.default_rng(0).integers(-2, 3, (32, 1, 3, 3)).astype(np.float32)
    y = b.one(
        "convolution", (x, b.constant(weights)), strides=(2, 2), padding=((1, 1), (1, 1)),
        lhs_dilation=(1, 1), rhs_dilation=(1, 1), reversal=(0, 0), lhs_spec=(0, 1, 2, 3),
        rhs_spec=(0, 1, 2, 3), out_spec=(0, 1, 2, 3), feature_groups=32, batch_groups=1,
    )  # fmt: skip
    function = b.finish([y], ["y"])
    assert turns(function) == [True, False, True]
    check(function)
