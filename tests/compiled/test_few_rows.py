"""Products of few rows with constant weights: panels are fetched ahead, rows that alias are packed."""

from __future__ import annotations

import numpy as np
import pytest
from compiled.check import check

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32, F64, DType
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.text import print_kernel
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.pipeline import optimize_function
from tensorkiln.compiler.schedules.program import lower_function

WIDE_TARGET = target_named("x86-64-v4")


def linear(m: int, n: int, k: int, dtype: DType = F32) -> Function:
    """A matrix of `m` rows by constant weights."""
    b = Builder(REGISTRY, "linear")
    x = b.parameter("x", TensorType((m, k), dtype))
    drawn = np.random.default_rng(0).integers(-3, 4, (k, n))  # small: sums are exact
    y = b.one(
        "dot_general",
        (x, b.constant(drawn.astype(dtype.numpy))),
        lhs_batch=(),
        rhs_batch=(),
        lhs_contracting=(1,),
        rhs_contracting=(0,),
    )
    return b.finish([y], ["y"])


@pytest.mark.parametrize(
    ("m", "n", "k", "dtype"),
    [
        (1, 33, 70, F32),
        (2, 130, 1024, F32),
        (5, 131, 1024, F32),
        (13, 257, 1024, F32),
        (17, 128, 1024, F32),
        (7, 129, 512, F64),
        (3, 1, 2048, F32),
    ],
    ids=str,
)
def test_values(m: int, n: int, k: int, dtype: DType):
    check(linear(m, n, k, dtype))


@pytest.mark.parametrize(
    ("m", "k", "packed"), [(12, 1024, True), (12, 1000, False), (2, 1024, False)]
)
def test_rows_that_alias_are_packed(m: int, k: int, packed: bool):
    program = lower_function(optimize_function(linear(m, 256, k)), WIDE_TARGET)
    assert len(program.calls) == 1 + packed


@pytest.mark.parametrize(("m", "ahead"), [(8, True), (200, False)])
def test_weights_read_once_are_fetched_ahead(m: int, ahead: bool):
    program = lower_function(optimize_function(linear(m, 256, 1000)), WIDE_TARGET)
    text = print_kernel(program.kernels[program.calls[-1].kernel])
    (rows,) = (n for n in (32, 48) if f"in1: f32[{-(-256 // n)},1000,{n}]" in text)
    assert (f"+ {6144 // (4 * rows)}, " in text) == ahead
