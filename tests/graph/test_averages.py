"""Moving averages: names, numbers, what is restored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorkiln as tf


def test_the_worked_example(any_session: Any) -> None:
    """decay = min(0.99, (1 + n) / (10 + n)): the shadows that tutorials print."""
    w = tf.Variable(0.0, name="w")
    step = tf.Variable(0, trainable=False)
    average = tf.train.ExponentialMovingAverage(0.99, step)
    update = average.apply(tf.trainable_variables())
    assert update.name == "ExponentialMovingAverage"
    assert average.average(w).name == "w/ExponentialMovingAverage:0"
    any_session.run(tf.global_variables_initializer())
    shadows = []
    any_session.run(update)
    shadows.append(any_session.run(average.average(w)))
    any_session.run(tf.assign(w, 1))
    any_session.run(update)
    shadows.append(any_session.run(average.average(w)))
    any_session.run([tf.assign(step, 100), tf.assign(w, 10)])
    for _ in range(3):
        any_session.run(update)
        shadows.append(any_session.run(average.average(w)))
    np.testing.assert_allclose(shadows, [0, 0.9, 1.6445453, 2.3281732, 2.955868], rtol=1e-6)


def test_names_and_restoring() -> None:
    w, other = tf.Variable([1.0], name="w"), tf.Variable(0, trainable=False, name="n")
    average = tf.train.ExponentialMovingAverage(0.9)
    assert average.average_name(w) == "w/ExponentialMovingAverage"
    assert average.variables_to_restore() == {"w/ExponentialMovingAverage": w, "n": other}
    average.apply([w])
    assert tf.moving_average_variables() == [w]
    assert average.average(other) is None
    with pytest.raises(TypeError, match="must be half, float, or double: n:0"):
        average.apply([other])


@pytest.mark.parametrize(("debias", "expected"), [(False, [0.2, 0.38]), (True, [2.0, 2.0])])
def test_of_a_tensor(debias: bool, expected: list[float], any_session: Any) -> None:
    """A tensor's shadow starts at zero, and is pulled down by that unless it is debiased."""
    x = tf.constant([1.0]) * 2.0
    average = tf.train.ExponentialMovingAverage(0.9, zero_debias=debias)
    update = average.apply([x])
    any_session.run(tf.global_variables_initializer())
    for value in expected:
        any_session.run(update)
        np.testing.assert_allclose(any_session.run(average.average(x)), [value], rtol=1e-5)


def test_after_the_step(any_session: Any) -> None:
    """With a dependency on the training step the average sees the new value."""
    w = tf.Variable(5.0)
    train = tf.train.GradientDescentOptimizer(0.2).minimize(tf.square(w + 1))
    average = tf.train.ExponentialMovingAverage(0.5)
    with tf.control_dependencies([train]):
        update = average.apply([w])
    any_session.run(tf.global_variables_initializer())
    any_session.run(update)
    np.testing.assert_allclose(any_session.run([w, average.average(w)]), [2.6, 3.8], rtol=1e-6)
