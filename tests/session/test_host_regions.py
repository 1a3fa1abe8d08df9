"""Printing, checks, Python functions, strings and summaries inside of loops and branches."""

import numpy as np
import pytest

import tensorkiln as tf


@pytest.fixture(autouse=True)
def _fresh_graph() -> None:
    tf.reset_default_graph()


def powers(x: object, w: object, limit: float) -> object:
    """x * w ** 3 in a loop that prints and checks."""

    def body(i: object, h: object) -> tuple[object, object]:
        h = tf.Print(h, [i, h], message="trip ")
        with tf.control_dependencies([tf.Assert(tf.reduce_all(h < limit), [h], name="small")]):
            return i + 1, h * w

    return tf.while_loop(lambda i, h: i < 3, body, [0, x])[1]


def test_a_loop_prints_in_each_trip(capfd: pytest.CaptureFixture[str]) -> None:
    x, w = tf.placeholder(tf.float32, [2]), tf.Variable([1.0, 2.0])
    y = powers(x, w, 100.0)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        np.testing.assert_array_equal(sess.run(y, {x: [3, 4]}), [3, 32])
    assert capfd.readouterr().err.splitlines() == [
        "trip [0][3 4]", "trip [1][3 8]", "trip [2][3 16]"
    ]  # fmt: skip


def test_a_check_fails_in_the_trip_that_it_is_in() -> None:
    x, w = tf.placeholder(tf.float32, [2]), tf.Variable([1.0, 2.0])
    y = powers(x, w, 10.0)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[3 16\]|small"):
            sess.run(y, {x: [3, 4]})
        np.testing.assert_array_equal(sess.run(y, {x: [1, 1]}), [1, 8])


def test_the_gradient_goes_through_prints_and_checks(
    capfd: pytest.CaptureFixture[str],
) -> None:
    x, w = tf.placeholder(tf.float32, [2]), tf.Variable([1.0, 2.0])
    y = powers(x, w, 100.0)
    (slope,) = tf.gradients(y, [w])
    train = tf.train.GradientDescentOptimizer(0.01).minimize(tf.reduce_sum(y), var_list=[w])
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        np.testing.assert_allclose(sess.run(slope, {x: [3, 4]}), [9, 48])
        sess.run(train, {x: [3, 4]})
        np.testing.assert_allclose(sess.run(w), [1 - 0.09, 2 - 0.48], rtol=1e-6)
    assert "trip [2]" in capfd.readouterr().err


def test_python_functions_in_a_loop_and_what_a_trace_shows() -> None:
    seen: list[float] = []

    def note(value: np.ndarray) -> np.float32:
        seen.append(float(value))
        return np.float32(2 * value)

    def body(i: object, total: object) -> tuple[object, object]:
        found = tf.py_func(note, [tf.cast(i, tf.float32)], tf.float32)
        found.set_shape([])
        return i + 1, total + found

    n = tf.placeholder(tf.int32, [])
    total = tf.while_loop(lambda i, total: i < n, body, [0, tf.constant(0.0)], name="asking")[1]
    with tf.Session() as sess:
        metadata = tf.RunMetadata()
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        assert sess.run(total, {n: 4}, options, metadata) == 12
        assert sess.run(total, {n: 0}) == 0
    assert seen == [0, 1, 2, 3]
    labels = [node.timeline_label for node in metadata.step_stats.dev_stats[0].node_stats]
    assert any("asking" in label and "While" in label for label in labels)


def test_no_gradient_goes_through_a_python_function() -> None:
    w = tf.Variable(2.0)

    def body(i: object, total: object) -> tuple[object, object]:
        found = tf.py_func(np.sin, [w], tf.float32, name="sine")
        return i + 1, tf.reshape(total * w + found, [])

    total = tf.while_loop(lambda i, total: i < 3, body, [0, tf.constant(1.0)])[1]
    (slope,) = tf.gradients(total, [w])
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"sine.*no\s+gradient"):
            sess.run(slope)


def test_variables_in_a_loop_that_prints() -> None:
    count = tf.Variable(0)

    def body(i: object) -> object:
        with tf.control_dependencies([tf.Print(i, [i]), tf.assign_add(count, 2)]):
            return i + 1

    end = tf.while_loop(lambda i: i < 5, body, [0])
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        assert sess.run(end) == 5
        assert sess.run(count) == 10


@pytest.mark.parametrize("positive", [True, False])
def test_only_the_branch_that_is_chosen_runs(positive: bool) -> None:
    x, ran = tf.placeholder(tf.float32, []), []

    def told(word: str) -> object:
        return lambda: tf.py_func(lambda v: ran.append(word) or v, [x], tf.float32)

    y = tf.cond(x > 0, told("yes"), told("no"))
    text = tf.cond(x > 0, lambda: tf.string_join(["+", tf.as_string(x)]), lambda: tf.constant("-"))
    mark = tf.cond(x > 0, lambda: tf.summary.scalar("x", x), lambda: tf.constant(b""))
    value = 1.0 if positive else -1.0
    with tf.Session() as sess:
        assert sess.run(y, {x: value}) == value
        assert sess.run(text, {x: value}) == (b"+1.000000" if positive else b"-")
        found = tf.Summary.FromString(sess.run(mark, {x: value}))
    assert ran == (["yes"] if positive else ["no"])
    assert [item.simple_value for item in found.value] == ([1.0] if positive else [])


def test_host_loops_in_host_loops_and_strings_as_loop_variables() -> None:
    def inner(j: object, text: object) -> tuple[object, object]:
        return j + 1, tf.string_join([text, tf.as_string(j)])

    def outer(i: object, text: object) -> tuple[object, object]:
        longer = tf.while_loop(lambda j, text: j < i, inner, [0, text])[1]
        return i + 1, tf.string_join([longer, "."])

    text = tf.while_loop(lambda i, text: i < 4, outer, [0, tf.constant("")])[1]
    with tf.Session() as sess:
        assert sess.run(text) == b".0.01.012."
