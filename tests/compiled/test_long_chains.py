"""Chains of hundreds of elementwise ops: more than one kernel's expression may hold."""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import binary, matmul
from tensorkiln.compiler.pipeline import jit, optimize_function
from tensorkiln.compiler.schedules.program import lower_function


def test_a_chain_of_six_hundred_ops() -> None:
    builder = Builder(REGISTRY, "chain")
    x = builder.parameter("x", TensorType((37,), F32))
    y = x
    for _ in range(200):
        y = binary(builder, "multiply", y, x)
        y = builder.one("abs", (y,))
        y = binary(builder, "maximum", y, x)
    function = builder.finish([y])
    array = np.linspace(-1.01, 1.01, 37).astype(np.float32)
    (wanted,) = evaluate(function, [array])
    (got,) = jit(function, 1)(array)
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_a_chain_of_sixty_softmaxes_is_cut_into_kernels_that_repeat() -> None:
    builder = Builder(REGISTRY, "softmaxes")
    x = builder.parameter("x", TensorType((3, 17), F32))
    y = x
    for _ in range(60):
        y = binary(builder, "add", builder.one("softmax", (y,), axis=1), x)
    function = builder.finish([y])
    program = lower_function(optimize_function(function), target_named("x86-64-v3"))
    assert max(len(call.op.regions[0].ops) for call in program.calls if call.op) < 200
    assert len(program.kernels) < len(list(program.calls))
    array = np.linspace(-2, 2, 51).astype(np.float32).reshape(3, 17)
    (wanted,) = evaluate(function, [array])
    (got,) = jit(function, 1)(array)
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_more_steps_than_one_function_runs() -> None:
    builder = Builder(REGISTRY, "products")
    y = builder.parameter("x", TensorType((3, 2), F32))
    w = builder.parameter("w", TensorType((2, 2), F32))
    for _ in range(300):
        y = matmul(builder, y, w)
    function = builder.finish([y])
    program = lower_function(optimize_function(function), target_named("x86-64-v3"))
    assert len(program.steps) >= 300
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]], np.float32)
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    (wanted,) = evaluate(function, [x, turn])
    (got,) = jit(function, 1)(x, turn)
    np.testing.assert_allclose(got, wanted, rtol=1e-4)
