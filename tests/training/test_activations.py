"""Activations whose derivative is kept for the backward pass, beside interpreted mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.pipeline import compile_function, optimize_function
from tensorkiln.runtime.jit import load_compiled

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": lambda x: 0.5 * x * (1.0 + tf.erf(x * 0.5**0.5)),
    "tanh_gelu": lambda x: 0.5 * x * (1.0 + tf.tanh(0.7978846 * (x + 0.044715 * x * x * x))),
    "swish": lambda x: x * tf.sigmoid(x),
    "tanh": tf.tanh,
}
KEPT = {"gelu": 2, "tanh_gelu": 2, "swish": 2, "tanh": 1}


def step(name: str, rows: int, wide: int, twice: bool = False) -> tuple[Function, list[np.ndarray]]:
    """A dense layer, the activation, another dense layer, and gradients of a sum of squares."""
    generator = np.random.default_rng(rows)
    sizes = ((rows, 5), (5, wide), (wide,), (wide, 3))
    arrays = [generator.standard_normal(size).astype(np.float32) for size in sizes]
    with tf.Graph().as_default():
        given = [tf.placeholder(tf.float32, size) for size in sizes]
        x, w, b, v = given
        result = tf.matmul(ACTIVATIONS[name](tf.matmul(x, w) + b), v)
        found = tf.gradients(tf.reduce_sum(result * result), given)
        if twice:
            found = tf.gradients(sum(tf.reduce_sum(g * g) for g in found), given)
        with tf.Session() as session:
            function: Function = session.lower(found, dict(zip(given, arrays, strict=True)))
    return function, arrays


@pytest.mark.parametrize(
    ("name", "rows", "wide", "twice"),
    [
        *((name, 7, 37, False) for name in ACTIVATIONS),
        ("gelu", 1, 1, False),
        ("gelu", 131, 64, False),
        ("gelu", 7, 37, True),
        ("swish", 7, 37, True),
    ],
)
def test_gradients(name: str, rows: int, wide: int, twice: bool) -> None:
    function, arrays = step(name, rows, wide, twice)
    compiled = compile_function(function)
    one, two = (load_compiled(compiled, threads)(*arrays) for threads in (1, 2))
    for ours, again, wanted in zip(one, two, evaluate(function, arrays), strict=True):
        np.testing.assert_array_equal(ours, again)
        scale = float(np.abs(wanted).max())
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=(2e-4 if twice else 2e-5) * scale)


@pytest.mark.parametrize(("name", "kept"), KEPT.items())
def test_what_is_kept(name: str, kept: int) -> None:
    fused = optimize_function(step(name, 131, 64)[0])
    firsts = [op for op in fused.ops if op.name == "fusion" and op.string("kind") == "contract"]
    assert len(firsts[0].results) == kept
    assert all(value.shape == (131, 64) for value in firsts[0].results)
