"""Loops and branches beyond values: state, random numbers, errors, gradients twice, training."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

Pair = namedtuple("Pair", "first second")


def test_only_the_chosen_branch_writes(session: Any) -> None:
    p = tf.placeholder(tf.bool, [])
    v = tf.Variable(1.0)
    raised = tf.cond(p, lambda: tf.assign_add(v, 2.0), lambda: tf.identity(v))
    session.run(v.initializer)
    assert session.run(raised, {p: False}) == 1
    assert session.run(raised, {p: True}) == 3
    assert session.run(v) == 3


def test_a_branch_may_be_an_operation(session: Any) -> None:
    p = tf.placeholder(tf.bool, [])
    v = tf.Variable([1.0, 2.0])
    done = tf.cond(p, lambda: tf.group(tf.assign(v, v * 3.0)), tf.no_op)
    session.run(v.initializer)
    assert session.run(done, {p: True}) == np.True_
    session.run(done, {p: False})
    np.testing.assert_array_equal(session.run(v), [3, 6])


def test_control_dependencies_inside_of_a_branch(session: Any) -> None:
    p = tf.placeholder(tf.bool, [])
    v = tf.Variable(1.0)

    def write() -> Any:
        with tf.control_dependencies([tf.assign_add(v, 1.0)]):
            return tf.identity(v.read_value())

    found = tf.cond(p, write, v.read_value)
    session.run(v.initializer)
    assert session.run(found, {p: True}) == 2
    assert session.run(found, {p: False}) == 2


def test_a_loop_writes_variables(session: Any) -> None:
    v = tf.Variable(1.0)

    def body(i: Any) -> Any:
        with tf.control_dependencies([tf.assign(v, v * 2.0)]):
            return i + 1

    end = tf.while_loop(lambda i: i < 5, body, [tf.constant(0)])
    session.run(v.initializer)
    assert session.run(end) == 5
    assert session.run(v) == 32


def test_each_trip_draws_other_numbers_and_each_run(session: Any) -> None:
    ta = tf.TensorArray(tf.float32, 6)
    _, ta = tf.while_loop(
        lambda i, t: i < 6,
        lambda i, t: (i + 1, t.write(i, tf.random_uniform([], seed=1))),
        [tf.constant(0), ta],
    )
    numbers = ta.stack()
    first, second = session.run(numbers), session.run(numbers)
    assert len({*first, *second}) == 12


def test_the_second_derivative_of_a_loop(session: Any) -> None:
    x = tf.placeholder(tf.float64, [])
    y = tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * x), [tf.constant(0), x])[1]
    (first,) = tf.gradients(y, x)
    (second,) = tf.gradients(first, x)
    np.testing.assert_allclose(session.run([y, first, second], {x: 1.5}),
                               [1.5**4, 4 * 1.5**3, 12 * 1.5**2])  # fmt: skip


def test_trips_known_only_in_the_run(session: Any) -> None:
    n = tf.placeholder(tf.int32, [])
    x = tf.placeholder(tf.float32, [])
    loop = tf.while_loop(
        lambda i, y: i < n, lambda i, y: (i + 1, y * x), (tf.constant(0), x), maximum_iterations=9
    )
    (slope,) = tf.gradients(loop[1], x)
    for trips in (0, 1, 4, 9, 20):
        power = min(trips, 9) + 1
        found = session.run([loop[1], slope], {n: trips, x: 1.1})
        np.testing.assert_allclose(found, [1.1**power, power * 1.1 ** (power - 1)], rtol=1e-5)


def test_a_gradient_without_a_bound_says_what_to_give(session: Any) -> None:
    x = tf.placeholder(tf.float32, [])
    y = tf.while_loop(lambda y: y < 10.0, lambda y: y * y, [x], name="grow")
    assert session.run(y, {x: 2.0}) == 16
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"grow.*give maximum_iterations"):
        session.run(tf.gradients(y, x), {x: 2.0})


def test_a_sum_needs_no_bound_for_its_gradient(session: Any) -> None:
    x = tf.placeholder(tf.float32, [])
    n = tf.placeholder(tf.int32, [])
    y = tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y + x), (tf.constant(0), x))[1]
    assert session.run(tf.gradients(y, x), {x: 2.0, n: 7}) == [8]


def test_named_tuples_come_back(session: Any) -> None:
    found = tf.while_loop(
        lambda i, s: i < 3,
        lambda i, s: (i + 1, Pair(s.second, s.first + 1.0)),
        (tf.constant(0), Pair(tf.constant(1.0), tf.constant(5.0))),
    )
    assert isinstance(found[1], Pair)
    assert session.run(found[1]) == Pair(6.0, 3.0)


def test_a_loop_in_training(session: Any) -> None:
    x = np.linspace(-1, 1, 32).astype(np.float32)[:, None]
    w = tf.get_variable("w", [1, 1], initializer=tf.constant_initializer(0.3))

    def refine(i: Any, y: Any) -> Any:
        return i + 1, y + 0.25 * (tf.matmul(tf.constant(x), w) - y)

    y = tf.while_loop(lambda i, y: i < 6, refine, (tf.constant(0), tf.zeros([32, 1])))[1]
    loss = tf.reduce_mean(tf.square(y - 2 * x))
    train = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
    session.run(tf.global_variables_initializer())
    before = session.run(loss)
    for _ in range(60):
        session.run(train)
    assert session.run(loss) < 1e-3 * before


def test_shapes_in_a_loop_may_come_from_feeds(session: Any) -> None:
    n = tf.placeholder(tf.int32, [])
    y = tf.while_loop(
        lambda i, y: i < 3, lambda i, y: (i + 1, y + tf.ones([n])), (tf.constant(0), tf.zeros([n]))
    )
    for size in (2, 5):
        np.testing.assert_array_equal(session.run(y[1], {n: size}), [3] * size)


def test_rows_of_a_batch_whose_size_the_feed_tells(session: Any) -> None:
    x = tf.placeholder(tf.float32, [None, 2])
    y = tf.map_fn(lambda r: r * 2.0, x)
    assert y.shape.as_list() == [None, 2]
    for rows in (1, 4, 0):
        data = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)
        np.testing.assert_array_equal(session.run(y, {x: data}), data * 2)


def test_switch_case(session: Any) -> None:
    k = tf.placeholder(tf.int32, [])
    found = tf.switch_case(k, [lambda: tf.constant(10), lambda: tf.constant(20)])
    default = tf.switch_case(k, {0: lambda: tf.constant(1)}, default=lambda: tf.constant(9))
    assert [session.run([found, default], {k: n}) for n in (0, 1, 2, -1)] == [
        [10, 1], [20, 9], [20, 9], [20, 9],
    ]  # fmt: skip


def test_exclusive_cases_are_checked(session: Any) -> None:
    n = tf.placeholder(tf.int32, [])
    found = tf.case(
        [(n > 0, lambda: tf.constant(1)), (n > 5, lambda: tf.constant(2))], exclusive=True
    )
    assert session.run(found, {n: 3}) == 1
    with pytest.raises(tf.errors.InvalidArgumentError, match="More than one condition"):
        session.run(found, {n: 9})


def test_shapes_that_grow(session: Any) -> None:
    x = tf.placeholder(tf.float32, [2])
    n = tf.placeholder(tf.int32, [])
    grown = tf.while_loop(
        lambda i, y: i < n, lambda i, y: (i + 1, tf.concat([y, y[-2:] * 2.0], 0)),
        (tf.constant(0), x), shape_invariants=(tf.TensorShape([]), tf.TensorShape([None])),
    )[1]  # fmt: skip
    assert grown.shape.as_list() == [None]
    slope = tf.gradients(grown, x)
    for trips in (0, 3):
        found = session.run([grown, slope], {x: [1, 2], n: trips})
        factors = 2.0 ** np.arange(trips + 1)
        np.testing.assert_array_equal(found[0], np.outer(factors, [1, 2]).reshape(-1))
        np.testing.assert_array_equal(found[1][0], [factors.sum()] * 2)


def test_shapes_that_grow_until_the_data_say(session: Any) -> None:
    x = tf.placeholder(tf.float32, [2])
    grown = tf.while_loop(
        lambda y: tf.reduce_sum(y) < 9.0, lambda y: tf.concat([y, y], 0), [x],
        shape_invariants=[tf.TensorShape([None])],
    )  # fmt: skip
    message = "shapes change from trip to trip, which can be compiled only"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        session.run(grown, {x: [1, 2]})


def test_a_fed_number_of_trips_bounds_a_gradient(session: Any) -> None:
    n = tf.placeholder(tf.int32, [])
    x = tf.placeholder(tf.float32, [])
    y = tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * x), (tf.constant(0), x))[1]
    (slope,) = tf.gradients(y, x)
    for trips in (0, 2, 5):
        np.testing.assert_allclose(
            session.run([y, slope], {x: 1.5, n: trips}),
            [1.5 ** (trips + 1), (trips + 1) * 1.5**trips],
        )


def test_variables_made_inside_of_a_body(session: Any) -> None:
    def body(i: Any, h: Any) -> Any:
        with tf.variable_scope("cell", reuse=tf.AUTO_REUSE):
            w = tf.get_variable("w", [3, 3], initializer=tf.constant_initializer(0.5))
        return i + 1, tf.matmul(h, w)

    x = tf.placeholder(tf.float32, [2, 3])
    _, h = tf.while_loop(lambda i, h: i < 2, body, (tf.constant(0), x))
    (w,) = tf.trainable_variables()
    assert w.op.name in ("cell/w", "while/cell/w")
    slope = tf.gradients(h, w)[0]
    session.run([w.initializer, tf.global_variables_initializer()])
    data = np.ones((2, 3), np.float32)
    found = session.run([h, slope], {x: data})
    np.testing.assert_allclose(found[0], data * 2.25)
    np.testing.assert_allclose(found[1], np.full((3, 3), 6.0))


def test_a_whole_training_loop_in_one_run(session: Any) -> None:
    w = tf.Variable(5.0)
    optimizer = tf.train.MomentumOptimizer(0.1, 0.5)

    def body(i: Any) -> Any:
        train = optimizer.minimize(tf.square(w - 2.0))
        with tf.control_dependencies([train]):
            return i + 1

    steps = tf.while_loop(lambda i: i < 40, body, [tf.constant(0)])
    session.run(tf.global_variables_initializer())
    assert session.run(steps) == 40
    np.testing.assert_allclose(session.run(w), 2.0, atol=1e-3)


def test_both_modes_agree_on_state_in_loops(any_session: Any) -> None:
    v = tf.Variable(tf.zeros([4]))
    p = tf.placeholder(tf.bool, [])

    def body(i: Any) -> Any:
        row = tf.one_hot(i, 4)
        change = tf.cond(p, lambda: tf.assign_add(v, row), lambda: tf.assign_sub(v, 2.0 * row))
        with tf.control_dependencies([change]):
            return i + 1

    steps = tf.while_loop(lambda i: i < 3, body, [tf.constant(0)])
    any_session.run(v.initializer)
    for flag, expected in ((True, [1, 1, 1, 0]), (False, [-1, -1, -1, 0]), (True, [0, 0, 0, 0])):
        any_session.run(steps, {p: flag})
        np.testing.assert_array_equal(any_session.run(v), expected)


def test_arrays_whose_items_are_first_written_deep_inside(any_session: Any) -> None:
    x = tf.placeholder(tf.float32, [None])

    def sometimes(i: Any, ta: Any) -> Any:
        return i + 1, tf.cond(tf.equal(i % 2, 0), lambda: ta.write(i, x), lambda: ta)

    def twice(i: Any, ta: Any) -> Any:
        _, ta = tf.while_loop(
            lambda j, t: j < 2,
            lambda j, t: (j + 1, t.write(i * 2 + j, x * tf.cast(j, tf.float32))),
            (tf.constant(0), ta),
        )
        return i + 1, ta

    found = []
    for body, trips in ((sometimes, 4), (twice, 2)):
        start = (tf.constant(0), tf.TensorArray(tf.float32, 4))
        found.append(tf.while_loop(lambda i, t, n=trips: i < n, body, start)[1].stack())
    data = np.array([1, 2], np.float32)
    values, slope = any_session.run([found, tf.gradients(found, x)[0]], {x: data})
    np.testing.assert_array_equal(values[0], np.outer([1, 0, 1, 0], data))
    np.testing.assert_array_equal(values[1], np.outer([0, 1, 0, 1], data))
    np.testing.assert_array_equal(slope, [4, 4])


def test_one_loop_differentiated_by_two(any_session: Any) -> None:
    x = tf.placeholder(tf.float64, [])
    w = tf.placeholder(tf.float64, [])
    y, z = tf.while_loop(
        lambda i, y, z: i < 3, lambda i, y, z: (i + 1, y * w, z + tf.sin(y)),
        (tf.constant(0), x, x),
    )[1:]  # fmt: skip
    first, second = tf.gradients(y, [x, w]), tf.gradients(z, [x, w])
    feeds = {x: 0.5, w: 0.8}
    found = any_session.run([first, second], feeds)
    np.testing.assert_allclose(found[0], [0.8**3, 3 * 0.5 * 0.8**2])
    powers = 0.8 ** np.arange(3)
    slopes = np.cos(0.5 * powers)
    inner = np.array([0, 1, 2 * 0.8]) * 0.5
    np.testing.assert_allclose(found[1], [1 + (slopes * powers).sum(), (slopes * inner).sum()])
