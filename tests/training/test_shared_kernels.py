"""Kernels of gradients that threads share: packing of a turned operand, sums of columns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tensorkiln.compiler import pipeline
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder, shorthand
from tensorkiln.runtime.jit import load_compiled

Build = Callable[[Builder], Value]


def weight_gradient(rows: int, inputs: int, outputs: int) -> Build:
    """Activations by what comes back, summed over the rows of the batch."""

    def build(b: Builder) -> Value:
        x = b.parameter("x", TensorType((rows, inputs), F32))
        g = b.parameter("g", TensorType((rows, outputs), F32))
        return shorthand.dot_general(b, x, g, (), (), (0,), (0,))

    return build


def column_sums(*shape: int) -> Build:
    """Sums over all dims but the last, as the gradient of a bias is."""

    def build(b: Builder) -> Value:
        x = b.parameter("x", TensorType(shape, F32))
        return shorthand.reduce_sum(b, x, list(range(len(shape) - 1)))

    return build


@pytest.mark.parametrize(
    "build",
    [
        weight_gradient(1031, 61, 257),
        weight_gradient(67, 1009, 130),
        weight_gradient(64, 14, 4099),
        column_sums(1009, 257),
        column_sums(67, 1031),
        column_sums(131, 4099),
        column_sums(3, 43, 777),
    ],
    ids=["deep", "wide", "one panel", "257", "1031", "4099", "three dims"],
)
def test_values_and_threads(build: Build) -> None:
    b = Builder(REGISTRY)
    function: Function = b.finish([build(b)])
    generator = np.random.default_rng(0)
    # Small whole numbers, whose sums are exact in any order.
    arrays = [
        generator.integers(-3, 4, v.type.sizes).astype(np.float32) for v in function.parameters
    ]
    (expected,) = evaluate(function, arrays)
    executable = load_compiled(pipeline.compile_function(function), threads=1)
    feeds = {v.name: a for v, a in zip(function.parameters, arrays, strict=True)}
    for threads in (1, 2, 3, 5):
        (found,) = executable.run(feeds, threads=threads)
        np.testing.assert_array_equal(found, expected, f"{threads} threads")
