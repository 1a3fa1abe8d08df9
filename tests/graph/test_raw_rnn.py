"""Nets that a function of the program drives, and arrays that grow in loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

R = np.random.RandomState(4)
BATCH, TIME, DEPTH, UNITS = 3, 6, 2, 4
X = R.randn(TIME, BATCH, DEPTH).astype(np.float32)


def driven(cell: Any, inputs: Any, lengths: Any, dtype: Any = tf.float32) -> Any:
    """dynamic_rnn by raw_rnn."""
    rows = tf.TensorArray(dtype, TIME).unstack(inputs)

    def loop_fn(time: Any, output: Any, state: Any, _: Any) -> Any:
        following = cell.zero_state(BATCH, dtype) if output is None else state
        done = time >= lengths
        given = tf.cond(
            tf.reduce_all(done), lambda: tf.zeros([BATCH, DEPTH], dtype), lambda: rows.read(time)
        )
        return done, given, following, output, None

    outputs, state, _ = tf.nn.raw_rnn(cell, loop_fn)
    return outputs.stack(), state


@pytest.mark.parametrize("kind", ["BasicLSTMCell", "GRUCell"])
def test_is_dynamic_rnn(kind: str, any_session: Any) -> None:
    lengths = tf.placeholder(tf.int32, [BATCH])
    cell = getattr(tf.nn.rnn_cell, kind)(UNITS)
    outputs, state = driven(cell, X, lengths)
    names = [v.name for v in tf.trainable_variables()]
    assert names[0].startswith("rnn/")
    with tf.variable_scope(tf.get_variable_scope(), reuse=True):
        expected, end = tf.nn.dynamic_rnn(cell, X, lengths, dtype=tf.float32, time_major=True)
    weights = tf.trainable_variables()
    assert [v.name for v in weights] == names
    slopes = [
        tf.gradients(tf.reduce_sum(t * t) + tf.reduce_sum(tf.nest.flatten(s)[0]), weights)
        for t, s in ((outputs, state), (expected, end))
    ]
    any_session.run(tf.global_variables_initializer())
    for counts in ([6, 2, 4], [1, 3, 2]):
        found = any_session.run([outputs, state, expected, end, slopes], {lengths: counts})
        longest = max(counts)
        assert found[0].shape == (longest, BATCH, UNITS)
        np.testing.assert_allclose(found[0], found[2][:longest], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found[1], found[3], rtol=1e-5, atol=1e-6)
        for a, b in zip(*found[4], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_emits_another_structure_and_keeps_a_loop_state(session: Any) -> None:
    cell = tf.nn.rnn_cell.BasicRNNCell(UNITS)

    def loop_fn(time: Any, output: Any, state: Any, total: Any) -> Any:
        done = time >= tf.constant([2, 0, 3])
        if output is None:
            emit = {"sum": tf.zeros([], tf.float32), "twice": tf.zeros([UNITS], tf.float64)}
            return done, X[0], cell.zero_state(BATCH, tf.float32), emit, tf.constant(0.0)
        emit = {"sum": tf.reduce_sum(output, 1), "twice": tf.cast(output, tf.float64) * 2}
        return done, X[1], state, emit, total + 1.0

    emitted, state, total = tf.nn.raw_rnn(cell, loop_fn)
    session.run(tf.global_variables_initializer())
    fetches = [emitted["sum"].stack(), emitted["twice"].stack(), state, total]
    sums, twice, last, trips = session.run(fetches)
    assert sums.shape == (3, BATCH)
    assert twice.shape == (3, BATCH, UNITS)
    assert trips == 3.0
    np.testing.assert_array_equal(sums[:, 1], 0)
    np.testing.assert_array_equal(last[1], 0)
    np.testing.assert_allclose(twice.sum(2), sums * 2, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(sums[2:, 0], 0)


def test_arrays_grow(any_session: Any) -> None:
    limit, factor = tf.placeholder(tf.int32, []), tf.Variable(2.0)
    start = tf.TensorArray(tf.float32, 1, dynamic_size=True).write(0, [5.0, 6.0])

    def body(k: Any, array: Any, x: Any) -> Any:
        return k + 1, array.write(2 * k, x), x * factor

    _, array, _ = tf.while_loop(lambda k, *_: k < limit, body, (1, start, tf.constant([1.0, 3.0])))
    rows = array.stack()
    assert rows.shape.as_list() == [None, 2]
    slope = tf.gradients(rows, factor)[0]
    any_session.run(tf.global_variables_initializer())
    for count, size in ((1, 1), (2, 3), (4, 7)):
        found, number, by = any_session.run([rows, array.size(), slope], {limit: count})
        assert (found.shape, number) == ((size, 2), size)
        np.testing.assert_array_equal(found[0], [5, 6])
        expected = np.array([[1.0, 3.0]]) * 2.0 ** np.arange(count - 1)[:, None]
        np.testing.assert_array_equal(found[2::2], expected)
        np.testing.assert_allclose(by, sum(4.0 * k * 2.0 ** (k - 1) for k in range(count - 1)))


def test_random_numbers_and_variables_are_not_used_up_by_counting(any_session: Any) -> None:
    steps = tf.Variable(0)

    def body(k: Any, array: Any, drawn: Any) -> Any:
        with tf.control_dependencies([tf.assign_add(steps, 1)]):
            more = drawn + tf.random_uniform([], seed=3)
        return k + 1, array.write(k, more), more

    start = (0, tf.TensorArray(tf.float32, 0, dynamic_size=True), tf.constant(0.0))
    _, array, _ = tf.while_loop(lambda k, a, x: x < 2.0, body, start)
    rows = array.stack()
    any_session.run(tf.global_variables_initializer())
    found = any_session.run(rows)
    assert any_session.run(steps) == len(found)
    assert found[-1] >= 2.0 > (found[-2] if len(found) > 1 else 0.0)


def test_errors() -> None:
    with pytest.raises(TypeError, match="loop_fn must be a callable"):
        tf.nn.raw_rnn(tf.nn.rnn_cell.GRUCell(2), None)

    def inner(k: Any, x: Any) -> Any:
        array = tf.TensorArray(tf.float32, 0, dynamic_size=True)
        return k + 1, array.write(0, x).read(0)

    with pytest.raises(ValueError, match="inside of a loop or branch cannot grow"):
        tf.while_loop(lambda k, x: k < 3, inner, (0, 1.0))

    def reading(k: Any, array: Any, x: Any) -> Any:
        return k + 1, array.write(k, x), array.read(k - 1)

    start = tf.TensorArray(tf.float32, 1, dynamic_size=True).write(0, 1.0)
    _, array, _ = tf.while_loop(lambda k, *_: k < 3, reading, (1, start, 1.0))
    with (
        tf.Session() as session,
        pytest.raises(tf.errors.InvalidArgumentError, match="reads from a TensorArray that grows"),
    ):
        session.run(array.stack())
