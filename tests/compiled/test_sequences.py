"""Attention and recurrences compiled: the same bits for any threads, kernels as meant, NaN kept."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Array, Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.interpret_program import interpret_program
from tensorkiln.compiler.kernel.program import print_program
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.formula import formulas
from tensorkiln.compiler.ops.recurrent_parts import Phase, Seen, recurrence
from tensorkiln.compiler.ops.shorthand import dot_general
from tensorkiln.compiler.pipeline import jit, optimize_function
from tensorkiln.compiler.schedules.program import lower_function


def _attention(queries: int, keys: int, heads: int, depth: int, causal: bool) -> Function:
    builder = Builder(REGISTRY)
    q, k, v = (
        builder.parameter(name, TensorType((1, size, heads, depth), F32))
        for name, size in (("q", queries), ("k", keys), ("v", keys))
    )
    attributes = {"scale": 0.25, "causal": causal, "offset": keys - queries}
    return builder.finish(builder.op("attention", (q, k, v), attributes))


def _recurrence(steps: int, batch: int, units: int) -> Function:
    """A gated recurrence of two states."""
    builder = Builder(REGISTRY)
    kind = TensorType((batch, units), F32)
    x = builder.parameter("x", TensorType((steps, batch, 2, units), F32))
    w = builder.parameter("w", TensorType((1, units, 2, units), F32))
    states = [builder.parameter(name, kind) for name in ("h", "c")]

    def cell(inner: Builder, seen: Seen) -> list[Value]:
        x, p = formulas(inner, *seen.inputs[0]), formulas(inner, *seen.product)
        a, b = (x[k] + p[k] for k in range(2))
        h, c = formulas(inner, *seen.states)
        new = a.apply("tanh") + c * b.apply("logistic")
        return [(new * 0.5 + h * 0.25).value, new.value]

    return builder.finish(recurrence(builder, [x], [Phase(cell, 2, 0, w)], states))


def _feeds(function: Function) -> list[Array]:
    generator = np.random.default_rng(3)
    return [generator.uniform(-0.5, 0.5, v.shape).astype(np.float32) for v in function.parameters]


FUNCTIONS = {
    "attention": lambda: _attention(150, 290, 4, 16, False),
    "causal": lambda: _attention(150, 290, 4, 16, True),
    "recurrence": lambda: _recurrence(5, 17, 130),
    "recurrence_of_one_row": lambda: _recurrence(3, 1, 300),
    "recurrence_of_large_inputs": lambda: _recurrence(6, 130, 200),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_threads_do_not_change_a_bit(name: str) -> None:
    function = FUNCTIONS[name]()
    feeds = _feeds(function)
    found = [jit(function, threads=threads)(*feeds) for threads in (1, 2, 3)]
    for others in found[1:]:
        for a, b in zip(found[0], others, strict=True):
            assert a.tobytes() == b.tobytes()
    for got, wanted in zip(found[0], evaluate(function, feeds), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["x86-64", "x86-64-v4"])
@pytest.mark.parametrize("kind", ["attention", "recurrence"])
def test_kernels_interpreted_agree(kind: str, name: str) -> None:
    """The kernels, bounds checked, for machines that need not be there."""
    function = _attention(5, 70, 2, 3, True) if kind == "attention" else _recurrence(2, 3, 19)
    program = lower_function(optimize_function(function), target_named(name))
    assert kind in [kernel.name for kernel in program.kernels]
    feeds = _feeds(function)
    found = [np.zeros(v.shape, np.float32) for v in function.results]
    interpret_program(program, [*feeds, *found])
    for got, wanted in zip(found, evaluate(function, feeds), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_cells_inputs_are_fetched_ahead_where_they_are_large() -> None:
    def lowered(steps: int, batch: int) -> str:
        function = optimize_function(_recurrence(steps, batch, 200))
        return print_program(lower_function(function, target_named("x86-64-v4")))

    assert "prefetch" in lowered(6, 130)
    assert "prefetch" not in lowered(4, 130)
    assert "prefetch" not in lowered(700, 1)  # a row is a line or two of each panel


def test_a_nan_reaches_all_that_see_it() -> None:
    function = _attention(4, 40, 1, 3, True)
    feeds = [array.copy() for array in _feeds(function)]
    feeds[1][0, 38] = np.nan  # the last two queries see this key
    (found,) = jit(function)(*feeds)
    hidden = np.isnan(found).all(axis=(2, 3))[0]
    assert hidden.tolist() == [False, False, True, True]
    assert not np.isnan(found[0, :2]).any()


def test_separate_ops_become_one_attention() -> None:
    builder = Builder(REGISTRY)
    q, k, v = (builder.parameter(name, TensorType((2, 3, 8, 4), F32)) for name in "qkv")
    scores = dot_general(builder, q, k, (0, 1), (0, 1), (3,), (3,))
    weights = builder.one("softmax", (scores,), axis=3)
    function = builder.finish([dot_general(builder, weights, v, (0, 1), (0, 1), (3,), (2,))])
    fused = optimize_function(function)
    kinds = [op.attributes["kind"] for op in fused.ops if op.name == "fusion"]
    assert "attention" in kinds
    assert "contract" not in kinds
    feeds = _feeds(function)
    np.testing.assert_allclose(
        jit(function)(*feeds)[0], evaluate(function, feeds)[0], rtol=1e-5, atol=1e-6
    )
