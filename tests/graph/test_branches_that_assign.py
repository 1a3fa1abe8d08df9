"""Branches that change variables, or read variables that have no value yet.

Expected values: TensorFlow 2.21's compat.v1 (`disable_v2_behavior`) gave them for these programs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorkiln as tf


def started(session: Any) -> Any:
    session.run(tf.global_variables_initializer())
    return session


def choice() -> Any:
    return tf.placeholder(tf.bool, [], "choice")


def test_either_branch_assigns(any_session: Any) -> None:
    v, p = tf.Variable(1.0), choice()
    made = tf.cond(p, lambda: tf.assign(v, 5.0), lambda: tf.assign_add(v, 10.0))
    started(any_session)
    assert [any_session.run(made, {p: True}), any_session.run(v)] == [5, 5]
    assert [any_session.run(made, {p: False}), any_session.run(v)] == [15, 15]


def test_one_branch_assigns(any_session: Any) -> None:
    v, w, p = tf.Variable(1.0), tf.Variable([1.0, 2.0]), choice()
    made = tf.cond(p, lambda: tf.group(tf.assign(v, 7.0), tf.assign(w, [3.0, 4.0])), tf.no_op)
    started(any_session)
    assert not any_session.run(made, {p: False})  # an operation gives the predicate
    assert any_session.run(v) == 1
    assert any_session.run(made, {p: True})
    assert [any_session.run(v), any_session.run(w).tolist()] == [7, [3, 4]]


def test_what_follows_sees_the_change(any_session: Any) -> None:
    v, p = tf.Variable(0), choice()
    made = tf.cond(p, lambda: tf.assign_add(v, 1), lambda: tf.constant(0))
    with tf.control_dependencies([made]):
        after = v.read_value() + 100
    started(any_session)
    assert any_session.run([made, after], {p: True}) == [1, 101]
    assert any_session.run(after, {p: False}) == 101
    assert any_session.run(after, {p: True}) == 102


def test_reading_after_assigning_inside(any_session: Any) -> None:
    v, p = tf.Variable(1.0), choice()

    def doubled() -> Any:
        with tf.control_dependencies([tf.assign(v, v * 2)]):
            return tf.identity(v.read_value())

    made = tf.cond(p, doubled, v.read_value)
    started(any_session)
    assert [any_session.run(made, {p: b}) for b in (True, True, False)] == [2, 4, 4]


def test_rows_change_in_a_branch(any_session: Any) -> None:
    v, p = tf.Variable([[1.0, 2.0], [3.0, 4.0]]), choice()
    made = tf.cond(
        p,
        lambda: tf.scatter_update(v, [0], [[9.0, 9.0]]),
        lambda: tf.scatter_add(v, [1], [[1.0, 1.0]]),
    )
    started(any_session)
    assert any_session.run(made, {p: True}).tolist() == [[9, 9], [3, 4]]
    assert any_session.run(made, {p: False}).tolist() == [[9, 9], [4, 5]]


def test_branches_in_branches(any_session: Any) -> None:
    v, p, q = tf.Variable(1.0), choice(), choice()
    inner = lambda: tf.cond(q, lambda: tf.assign(v, 2.0), lambda: tf.assign(v, 3.0))  # noqa: E731
    made = tf.cond(p, inner, lambda: tf.assign(v, 4.0))
    started(any_session)
    found = [any_session.run(made, {p: a, q: b}) for a in (True, False) for b in (True, False)]
    assert found == [2, 3, 4, 4]


def test_case_assigns(any_session: Any) -> None:
    v, x = tf.Variable(0.0), tf.placeholder(tf.int32, [])
    pairs = [(tf.equal(x, k), lambda k=k: tf.assign(v, float(k))) for k in (1, 2)]
    made = tf.case(pairs, default=lambda: tf.assign(v, -1.0))
    started(any_session)
    assert [any_session.run(made, {x: k}) for k in (1, 2, 3)] == [1, 2, -1]
    assert any_session.run(v) == -1


def test_a_training_step_in_a_branch(any_session: Any) -> None:
    v, p = tf.Variable([1.0, 2.0]), choice()
    step, adam = tf.train.get_or_create_global_step(), tf.train.AdamOptimizer(0.1)
    made = tf.cond(p, lambda: adam.minimize(tf.reduce_sum(v * v), global_step=step), tf.no_op)
    started(any_session)
    for taken in (True, True, False):
        any_session.run(made, {p: taken})
    values, steps = any_session.run([v, step])
    np.testing.assert_allclose(values, [0.8004126, 1.8001668], rtol=1e-6)
    assert steps == 2


def test_moving_averages_in_a_branch(any_session: Any) -> None:
    x, p = tf.placeholder(tf.float32, [None, 2]), choice()
    mean, variance = tf.nn.moments(x, [0])
    averages = tf.train.ExponentialMovingAverage(0.5)

    def updated() -> Any:
        with tf.control_dependencies([averages.apply([mean, variance])]):
            return tf.identity(mean), tf.identity(variance)

    used = tf.cond(p, updated, lambda: (averages.average(mean), averages.average(variance)))
    y = tf.nn.batch_normalization(x, *used, None, None, 1e-3)
    started(any_session)
    rows = np.array([[1.0, 2.0], [3.0, 5.0]], np.float32)
    found = [any_session.run(y, {x: rows, p: taken}) for taken in (True, True, False)]
    np.testing.assert_allclose(
        found[0], [[-0.99950039, -0.99977779], [0.99950051, 0.99977803]], rtol=1e-5
    )
    np.testing.assert_allclose(
        found[2], [[-0.57696569, -0.48098278], [1.73089719, 1.82773423]], rtol=1e-5
    )


# -- variables without a value ------------------------------------------------------------------


def test_a_branch_not_taken_needs_no_value(any_session: Any) -> None:
    v, p = tf.Variable(1.0, name="v"), choice()
    read = tf.cond(p, v.read_value, lambda: tf.constant(0.0))
    added = tf.cond(p, lambda: tf.assign_add(v, 2.0), lambda: tf.constant(0.0))
    assert any_session.run(read, {p: False}) == 0
    assert any_session.run(added, {p: False}) == 0
    for tensor in (read, added):
        with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value v"):
            any_session.run(tensor, {p: True})


def test_a_first_value_in_the_branch_taken_only(any_session: Any) -> None:
    v, p = tf.Variable(1.0, name="v"), choice()
    made = tf.cond(p, lambda: tf.assign(v, 2.0), lambda: tf.constant(0.0))
    assert any_session.run(made, {p: False}) == 0
    with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value v"):
        any_session.run(v)
    assert any_session.run(made, {p: True}) == 2
    assert any_session.run(v) == 2
    assert any_session.run(made, {p: False}) == 0
    assert any_session.run(v) == 2


def test_a_value_or_else_the_initial_one(any_session: Any) -> None:
    v = tf.Variable(3.0)
    w = tf.Variable(0.0)
    ready = tf.is_variable_initialized(v)
    made = tf.cond(ready, v.read_value, lambda: v.initial_value)
    both = tf.cond(
        ready, lambda: tf.cond(ready, v.read_value, w.read_value), lambda: -v.initial_value
    )
    assert any_session.run([made, both]) == [3, -3]
    any_session.run(v.initializer)
    any_session.run(tf.assign(v, 5.0))
    assert any_session.run([made, both]) == [5, 5]


def test_a_failed_run_gives_no_first_value(any_session: Any) -> None:
    v, w, p = tf.Variable(1.0, name="v"), tf.Variable(1.0, name="w"), choice()
    first = tf.cond(p, lambda: tf.assign(v, 2.0), lambda: tf.constant(0.0))
    second = tf.cond(p, w.read_value, lambda: tf.constant(0.0))
    with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value w"):
        any_session.run([first, second], {p: True})
    with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value v"):
        any_session.run(v)


def test_reading_what_the_branch_before_assigned(any_session: Any) -> None:
    v, p, q = tf.Variable(1.0, name="v"), choice(), choice()
    first = tf.cond(p, lambda: tf.assign(v, 2.0), lambda: tf.constant(0.0))
    with tf.control_dependencies([first]):
        second = tf.cond(q, lambda: v.read_value() + 1.0, lambda: tf.constant(-1.0))
    assert any_session.run(second, {p: False, q: False}) == -1
    with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value v"):
        any_session.run(second, {p: False, q: True})
    assert any_session.run(second, {p: True, q: True}) == 3
