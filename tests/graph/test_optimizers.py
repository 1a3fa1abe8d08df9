"""Optimizers and schedules against their formulas in numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

START = np.array([1.0, -2.0, 3.0], np.float32)
SCALE = np.array([1.0, 0.5, -2.0])
STEPS = 5
Update = Callable[[Any, int], Any]


def descent(w: Any) -> Iterator[Any]:
    while True:
        w = w - 0.1 * (yield w)


def momentum(w: Any, nesterov: bool = False) -> Iterator[Any]:
    a = 0.0
    while True:
        g = yield w
        a = 0.9 * a + g
        w = w - 0.1 * (g + 0.9 * a if nesterov else a)


def adagrad(w: Any) -> Iterator[Any]:
    a = 0.1
    while True:
        g = yield w
        a = a + g * g
        w = w - 0.1 * g / np.sqrt(a)


def adadelta(w: Any) -> Iterator[Any]:
    a = d = np.zeros(3)
    while True:
        g = yield w
        a = 0.95 * a + 0.05 * g * g
        u = np.sqrt(d + 1e-6) / np.sqrt(a + 1e-6) * g
        d = 0.95 * d + 0.05 * u * u
        w = w - 0.8 * u


def rms_prop(w: Any, centered: bool = False) -> Iterator[Any]:
    ms, mg, mom = 1.0, 0.0, 0.0
    while True:
        g = yield w
        ms = 0.9 * ms + 0.1 * g * g
        mg = 0.9 * mg + 0.1 * g
        mom = 0.2 * mom + 0.1 * g / np.sqrt(ms - (mg * mg if centered else 0) + 1e-10)
        w = w - mom


def adam(w: Any) -> Iterator[Any]:
    m = v = 0.0
    t = 0
    while True:
        g = yield w
        t += 1
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        rate = 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        w = w - rate * m / (np.sqrt(v) + 1e-8)


OPTIMIZERS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "descent": (lambda: tf.train.GradientDescentOptimizer(0.1), descent),
    "momentum": (lambda: tf.train.MomentumOptimizer(0.1, 0.9), momentum),
    "nesterov": (
        lambda: tf.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
        lambda w: momentum(w, nesterov=True),
    ),
    "adagrad": (lambda: tf.train.AdagradOptimizer(0.1), adagrad),
    "adadelta": (lambda: tf.train.AdadeltaOptimizer(0.8, 0.95, 1e-6), adadelta),
    "rms_prop": (lambda: tf.train.RMSPropOptimizer(0.1, momentum=0.2), rms_prop),
    "centered": (
        lambda: tf.train.RMSPropOptimizer(0.1, momentum=0.2, centered=True),
        lambda w: rms_prop(w, centered=True),
    ),
    "adam": (lambda: tf.train.AdamOptimizer(0.1), adam),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps(name: str, any_session: Any) -> None:
    make, formula = OPTIMIZERS[name]
    w = tf.Variable(START)
    loss = tf.reduce_sum(SCALE.astype(np.float32) * w * w)
    train = make().minimize(loss)
    any_session.run(tf.global_variables_initializer())
    reference = formula(START.astype(np.float64))
    expected = next(reference)
    for _ in range(STEPS):
        expected = reference.send(2 * SCALE * expected)
        assert any_session.run(train) is None
        np.testing.assert_allclose(any_session.run(w), expected, rtol=2e-5)


def test_slots() -> None:
    w = tf.Variable([1.0], name="w")
    optimizer = tf.train.RMSPropOptimizer(0.1)
    optimizer.minimize(tf.reduce_sum(w * w))
    assert optimizer.get_slot_names() == ["momentum", "rms"]
    assert optimizer.get_slot(w, "rms").name == "w/RMSProp:0"
    assert optimizer.get_slot(w, "momentum").name == "w/RMSProp_1:0"
    assert tf.trainable_variables() == [w]


def test_the_worked_example(any_session: Any) -> None:
    """(w + 1)^2 from 5: the numbers that tutorials print."""
    w = tf.Variable(tf.constant(5, dtype=tf.float32))
    loss = tf.square(w + 1)
    train = tf.train.GradientDescentOptimizer(0.2).minimize(loss)
    any_session.run(tf.global_variables_initializer())
    any_session.run(train)
    assert "%f %f" % tuple(any_session.run([w, loss])) == "2.600000 12.959999"  # noqa: UP031


def test_decay_uses_the_count_before_the_step(any_session: Any) -> None:
    w = tf.Variable(5.0)
    step = tf.Variable(0, trainable=False)
    rate = tf.train.exponential_decay(0.1, step, 1, 0.99, staircase=True)
    loss = tf.square(w + 1)
    train = tf.train.GradientDescentOptimizer(rate).minimize(loss, global_step=step)
    any_session.run(tf.global_variables_initializer())
    any_session.run(train)
    values = any_session.run([w, rate, step])
    assert "%f %f %d" % tuple(values) == "3.800000 0.099000 1"  # noqa: UP031


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda s: tf.train.exponential_decay(0.1, s, 10, 0.5), 0.1 * 0.5**0.7),
        (lambda s: tf.train.exponential_decay(0.1, s, 3.5, 0.5, staircase=True), 0.1 * 0.25),
        (lambda s: tf.train.natural_exp_decay(0.1, s, 10, 0.5), 0.1 * np.exp(-0.35)),
        (lambda s: tf.train.inverse_time_decay(0.1, s, 10, 0.5), 0.1 / 1.35),
        (lambda s: tf.train.polynomial_decay(0.1, s, 10, 0.01, 2.0), 0.09 * 0.3**2 + 0.01),
        (lambda s: tf.train.cosine_decay(0.1, s, 10), 0.05 * (1 + np.cos(0.7 * np.pi))),
        (lambda s: tf.train.piecewise_constant(s, [5, 7, 9], [1.0, 2.0, 3.0, 4.0]), 2.0),
    ],
)
def test_schedules(make: Any, expected: float, session: Any) -> None:
    step = tf.Variable(7, trainable=False)
    session.run(step.initializer)
    np.testing.assert_allclose(session.run(make(step)), expected, rtol=1e-6)


def test_clipped_gradients(any_session: Any) -> None:
    w = tf.Variable([3.0, 4.0])
    optimizer = tf.train.GradientDescentOptimizer(1.0)
    pairs = optimizer.compute_gradients(tf.reduce_sum(w * w) / 2)
    clipped, norm = tf.clip_by_global_norm([g for g, _ in pairs], 1.0)
    train = optimizer.apply_gradients(zip(clipped, [v for _, v in pairs], strict=True))
    any_session.run(w.initializer)
    assert any_session.run(norm) == 5.0
    any_session.run(train)
    np.testing.assert_allclose(any_session.run(w), [2.4, 3.2], rtol=1e-6)


def test_variables_that_are_not_trained_stay(session: Any) -> None:
    w, fixed = tf.Variable(1.0), tf.Variable(2.0, trainable=False)
    train = tf.train.AdamOptimizer(0.1).minimize(w * fixed)
    session.run(tf.global_variables_initializer())
    session.run(train)
    assert session.run(fixed) == 2.0
    assert session.run(w) < 1.0
