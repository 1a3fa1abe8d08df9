"""Products of bytes by kernels of their own: exact on every target, for every shape."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from compiled.check import check, check_interpreted
from numpy.typing import NDArray

from tensorkiln.compiler.codegen.target import emit_assembly, optimize, target_named
from tensorkiln.compiler.ir.dtypes import I8, I32, U8, DType
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import binary, broadcast_to, convert, matmul, scalar
from tensorkiln.compiler.pipeline import compile_function, lower, optimize_function
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.processor import missing_features

GENERATOR = np.random.default_rng(7)


@dataclass(frozen=True)
class Convolution:
    channels: int
    outputs: int
    size: tuple[int, int]
    kernel: int = 3
    stride: int = 1
    padding: int = 0
    groups: int = 1
    batch: int = 1
    dilation: int = 1


CONVOLUTIONS = (
    Convolution(16, 32, (7, 7), kernel=1),
    Convolution(64, 48, (7, 5), padding=1),
    Convolution(3, 20, (11, 13), kernel=7, stride=2, padding=3, batch=2),
    Convolution(32, 17, (6, 9), kernel=1, stride=2),
    Convolution(5, 1, (4, 5), kernel=2, padding=1),
    Convolution(32, 64, (5, 5), groups=2, padding=1),
    Convolution(8, 32, (5, 5), groups=2),
    Convolution(6, 32, (4, 4), groups=2),
    Convolution(20, 33, (9, 6), dilation=2, batch=3),
    Convolution(1, 16, (3, 3), padding=1),
)
MATRICES = ((5, 16, 32), (1, 64, 33), (37, 13, 75), (3, 4, 1), (64, 67, 130), (2, 1, 5))


def centred(builder: Builder, x: Value, zero: Value | int | None) -> Value:
    wide = convert(builder, x, I32)
    if zero is None:
        return wide
    shift = scalar(builder, zero, I32) if isinstance(zero, int) else convert(builder, zero, I32)
    return binary(builder, "subtract", wide, broadcast_to(builder, shift, wide.shape))


def weights(*shape: int) -> NDArray[Any]:
    found = GENERATOR.integers(-128, 128, shape).astype(np.int8)
    found.flat[0], found.flat[-1] = -128, 127
    return found


def convolution(case: Convolution, dtype: DType = U8, zero: int | None = 100) -> Function:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((case.batch, case.channels, *case.size), dtype))
    numbers = weights(case.outputs, case.channels // case.groups, case.kernel, case.kernel)
    kernel = convert(builder, builder.constant(numbers), I32)
    order = (0, 1, 2, 3)
    y = builder.one(
        "convolution", (centred(builder, x, zero), kernel), strides=(case.stride,) * 2,
        padding=((case.padding,) * 2,) * 2, lhs_dilation=(1, 1), rhs_dilation=(case.dilation,) * 2,
        reversal=(0, 0), lhs_spec=order, rhs_spec=order, out_spec=order,
        feature_groups=case.groups, batch_groups=1,
    )  # fmt: skip
    return builder.finish([binary(builder, "maximum", y, scalar(builder, -9, I32))])


def product(sizes: tuple[int, int, int], dtype: DType = U8) -> Function:
    rows, depth, columns = sizes
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((rows, depth), dtype))
    zero = builder.parameter("zero", TensorType((), dtype))
    right = convert(builder, builder.constant(weights(depth, columns)), I32)
    return builder.finish([matmul(builder, centred(builder, x, zero), right)])


def module_of(function: Function, target: Target) -> str:
    """The function's assembly."""
    module = llvm.parse_assembly(lower(function, target).llvm)
    optimize(module, target)
    return emit_assembly(module, target)


def names(function: Function) -> list[str]:
    ops = optimize_function(function).ops
    return [inner.name for op in ops for region in op.regions for inner in region.ops]


@pytest.mark.parametrize("target", ["host", "x86-64-v3", "x86-64"])
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolutions(case: Convolution, target: str):
    function = convolution(case)
    assert "integer_convolution" in names(function)
    check(function, target, small=True)


@pytest.mark.parametrize("target", ["host", "x86-64-v4", "x86-64"])
@pytest.mark.parametrize("sizes", MATRICES, ids=str)
def test_matrix_products(sizes: tuple[int, int, int], target: str):
    function = product(sizes)
    assert "integer_dot" in names(function)
    check(function, target, small=True)


@pytest.mark.parametrize("zero", [None, 0, -128, 55])
def test_signed_bytes_become_unsigned(zero: int | None):
    function = convolution(Convolution(4, 16, (5, 4), padding=1), I8, zero)
    assert "integer_convolution" in names(function)
    check(function)
    check(product((5, 8, 16), I8))


def test_kernels_mean_what_the_function_means():
    check_interpreted(convolution(Convolution(16, 17, (3, 4), padding=1)), small=True)
    check_interpreted(product((3, 6, 17)))
    check_interpreted(product((3, 6, 17)), "x86-64")


def test_what_has_no_such_kernel_stays_as_it_is():
    no_byte = convolution(Convolution(4, 8, (5, 5), padding=1), zero=300)
    depthwise = convolution(Convolution(8, 8, (5, 5), groups=8))
    for function in (no_byte, depthwise):
        assert "convolution" in names(function)
        check(function)


def test_a_zero_point_that_is_no_byte_is_corrected_where_nothing_is_padded():
    function = convolution(Convolution(4, 8, (5, 5)), zero=-70000)
    assert "integer_convolution" in names(function)
    check(function)


def test_the_instruction_is_used_where_the_target_has_it():
    wide = target_named("x86-64-v4")
    narrow = target_named("x86-64-v3")
    targets = {
        "zmm": replace(wide, features=f"{wide.features},+avx512vnni"),
        "ymm": replace(narrow, features=f"{narrow.features},+avxvnni"),
    }
    function = product((9, 32, 40))
    arrays = [GENERATOR.integers(0, 256, v.shape).astype(np.uint8) for v in function.parameters]
    expected = arrays[0].astype(np.int32) - arrays[1].astype(np.int32)
    constant = next(op for op in function.ops if op.name == "constant" and op.result.type.rank)
    expected = expected @ constant.array("value").astype(np.int32)
    for register, target in targets.items():
        module = module_of(function, target)
        assert any("vpdpbusd" in line and register in line for line in module.splitlines())
        if not missing_features(target.features):
            (found,) = load_compiled(compile_function(function, target))(*arrays)
            np.testing.assert_array_equal(found, expected)
    assert "vpdpbusd" not in module_of(function, narrow)
