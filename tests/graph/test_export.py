"""Trained graphs as functions of their own, and what a session calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.text import print_function
from tensorkiln.frontends.graph.export import freeze
from tensorkiln.runtime.errors import FeedError, UnsupportedError


def test_frozen_function(session: Any) -> None:
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    w = tf.Variable(tf.random_normal([3, 2]))
    y = tf.nn.softmax(tf.matmul(x, w))
    session.run(w.initializer)
    function = freeze(session, {"image": x}, {"scores": y}, {"image": (4, 3)}, "net")
    text = print_function(function)
    assert text.startswith('func @net(%image: f32[4,3]) -> (f32[4,2] "scores") {')
    data = np.random.RandomState(0).rand(4, 3).astype(np.float32)
    np.testing.assert_array_equal(evaluate(function, [data])[0], session.run(y, {x: data}))
    with pytest.raises(FeedError, match=r"input 'image' \('x:0'\) has the open shape \(\?, 3\)"):
        freeze(session, {"image": x}, {"scores": y})
    with pytest.raises(FeedError, match="which \\(4, 2\\) does not fit"):
        freeze(session, {"image": x}, {"scores": y}, {"image": (4, 2)})


def test_state_cannot_be_frozen(session: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"'drawn' .* needs state"):
        freeze(session, {}, {"y": tf.random_uniform([2], 0, 9, tf.int32, name="drawn")})
    v = tf.Variable(1.0, name="v")
    with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value v"):
        freeze(session, {}, {"y": v * 2.0})


def test_function_of_a_training_step(session: Any) -> None:
    """Updated variables are donated: their new values may overwrite the old ones."""
    x = tf.placeholder(tf.float32, [2], name="x")
    w = tf.Variable([1.0, 2.0], name="w")
    loss = tf.reduce_sum(x * w)
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    function = session.lower([train, loss], {x: [1.0, 1.0]})
    assert [v.name for v in function.parameters] == ["x:0", "w"]
    assert function.result_names == (loss.name, "w/new")
    assert function.aliases == {1: 1}
    locations = {op.location.node for op in function.ops}
    assert train.control_inputs[0].name in locations
