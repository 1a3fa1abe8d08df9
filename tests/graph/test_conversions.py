"""What programs pass where tensors are wanted."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from graph.conftest import new_session

import tensorkiln as tf


def test_dims_in_shapes(session: Any) -> None:
    x = tf.placeholder(tf.float32, [2, 3])
    feeds = {x: np.ones((2, 3))}
    assert session.run(tf.reshape(x, [-1, x.shape[0]]), feeds).shape == (3, 2)
    assert session.run(tf.zeros([x.shape[1], 2])).shape == (3, 2)
    assert session.run(tf.ones(x.shape)).shape == (2, 3)
    assert tf.placeholder(tf.float32, [None, x.shape[1] * 2]).shape.as_list() == [None, 6]
    assert (x.shape[1].value, int(x.get_shape()[0]), x.shape.num_elements()) == (3, 2, 6)


def test_numpy_on_the_left(session: Any) -> None:
    x = tf.constant([1.0, 2.0])
    assert session.run(np.array([2.0, 3.0], np.float32) * x).tolist() == [2.0, 6.0]
    assert session.run(np.float32(2.0) - x).tolist() == [1.0, 0.0]
    assert (np.arange(2.0) + x).dtype == tf.float32


def test_lists_with_tensors(session: Any) -> None:
    a = tf.constant(1.5)
    t = tf.convert_to_tensor([[a, 2], [3, a * 2]])
    assert t.dtype == tf.float32
    assert session.run(t).tolist() == [[1.5, 2.0], [3.0, 3.0]]
    with pytest.raises(TypeError, match="List of Tensors when single Tensor expected"):
        tf.constant([a, 1.0])


def test_thresholds_as_programs_write_them(session: Any) -> None:
    x = tf.placeholder(tf.float32)
    below = tf.less(x, tf.zeros(tf.shape(x), dtype=x.dtype))
    step = tf.where(below, tf.zeros(tf.shape(x)), tf.ones(tf.shape(x)))
    assert session.run(step, {x: [-1.0, 0.0, 2.0]}).tolist() == [0.0, 1.0, 1.0]
    assert session.run(step, {x: [[-1.0]]}).tolist() == [[0.0]]


def test_set_shape() -> None:
    x = tf.placeholder(tf.float32)
    x.set_shape([None, 3])
    x.set_shape([2, None])
    assert x.shape.as_list() == [2, 3]
    with pytest.raises(ValueError, match="must be equal, but are 2 and 4"):
        x.set_shape([4, 3])


def test_shape_from_a_feed(any_session: Any) -> None:
    n = tf.placeholder(tf.int32, [], name="n")
    drawn = tf.zeros([n * 2, 3]) + 1.0
    for size in (3, 0, 3, 1):
        value = any_session.run(drawn, {n: size})
        assert value.shape == (2 * size, 3)
        assert value.sum() == 6 * size


def test_shape_needed_from_a_variable_is_an_error(session: Any) -> None:
    n = tf.Variable(3, name="n")
    session.run(n.initializer)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"'zeros' \(.*needs a shape or index"):
        session.run(tf.zeros([n]))


def test_a_cached_run_does_little() -> None:
    """The Python of a training loop's run: function calls, since times are not stable."""
    x = tf.placeholder(tf.float32, [None, 2])
    w = tf.Variable([[1.0], [2.0]])
    loss = tf.reduce_mean(tf.matmul(x, w) ** 2)
    train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)
    session = new_session(interpreted=False)
    session.run(tf.global_variables_initializer())
    feeds = {x: np.ones((3, 2), np.float32)}
    for _ in range(2):
        session.run([train, loss], feeds)
    calls: list[str] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and "/graph/" in frame.f_code.co_filename:
            calls.append(frame.f_code.co_name)

    sys.setprofile(note)
    session.run([train, loss], feeds)
    sys.setprofile(None)
    assert len(calls) < 20, calls
