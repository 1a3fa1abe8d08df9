"""The same artifact gives the same bits for every number of threads and on every run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tensorkiln.compiler import pipeline
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder, shorthand, shorthand_windows
from tensorkiln.runtime.jit import load_compiled


def _matmul(b: Builder) -> Value:
    """Two blocks of depth, edges in every dim."""
    x, y = (
        b.parameter("x", TensorType((67, 1303), F32)),
        b.parameter("y", TensorType((1303, 71), F32)),
    )
    return shorthand.matmul(b, x, y)


def _sum_of_all(b: Builder) -> Value:
    return shorthand.reduce_sum(b, b.parameter("x", TensorType((300_007,), F32)))


def _column_sums(b: Builder) -> Value:
    return shorthand.reduce_sum(b, b.parameter("x", TensorType((1009, 301), F32)), [0])


def _middle_sums(b: Builder) -> Value:
    return shorthand.reduce_sum(b, b.parameter("x", TensorType((7, 301, 67), F32)), [1])


def _softmax(b: Builder) -> Value:
    return b.one("softmax", (b.parameter("x", TensorType((131, 1001), F32)),), axis=1)


def _convolution(b: Builder) -> Value:
    x, k = (
        b.parameter("x", TensorType((1, 16, 29, 31), F32)),
        b.parameter("k", TensorType((24, 16, 3, 3), F32)),
    )
    return shorthand_windows.convolution(b, x, k, "NCHW", "OIHW", padding=[(1, 1), (1, 1)])


def _function(build: Callable[[Builder], Value]) -> Function:
    builder = Builder(REGISTRY)
    return builder.finish([build(builder)])


@pytest.mark.parametrize(
    "build", [_matmul, _sum_of_all, _column_sums, _middle_sums, _softmax, _convolution]
)
def test_bits_do_not_depend_on_threads(build: Callable[[Builder], Value]) -> None:
    function = _function(build)
    generator = np.random.default_rng(0)
    arrays = [generator.normal(size=v.type.sizes).astype(np.float32) for v in function.parameters]
    executable = load_compiled(pipeline.compile_function(function), threads=2)
    feeds = {v.name: a for v, a in zip(function.parameters, arrays, strict=True)}
    (first,) = executable.run(feeds, threads=1)
    for threads in (2, 3, 5, 1, 2):
        (again,) = executable.run(feeds, threads=threads)
        assert again.tobytes() == first.tobytes(), f"{threads} threads"
    (expected,) = evaluate(function, arrays)
    np.testing.assert_allclose(first, expected, rtol=1e-4, atol=1e-3)
