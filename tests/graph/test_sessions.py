"""Fetches, feeds, state, and the errors that TensorFlow users know."""

from __future__ import annotations

import collections
import threading
from typing import Any

import numpy as np
import pytest
from graph.conftest import new_session

import tensorkiln as tf


def test_one_run_gives_all_values(any_session: Any) -> None:
    a, b = tf.constant([1, 2, 3, 4]), tf.constant([2, 1, 5, 3])
    assert repr(any_session.run([a, b, a + b])) == (
        "[array([1, 2, 3, 4], dtype=int32), array([2, 1, 5, 3], dtype=int32), "
        "array([3, 3, 8, 7], dtype=int32)]"
    )


def test_nested_fetches(session: Any) -> None:
    pair = collections.namedtuple("pair", ["first", "second"])
    a, b = tf.constant(1, name="a"), tf.constant(2)
    op = tf.group(a, b)
    result = session.run({"x": [a, (b, "a:0")], "y": pair(op, a), "z": []})
    assert result == {"x": [1, (2, 1)], "y": pair(None, 1), "z": []}
    assert isinstance(result["y"], pair)
    assert session.run([]) == []
    assert session.run("a") is None
    assert isinstance(session.run(a), np.int32)


def test_feeding_any_tensor(any_session: Any) -> None:
    x = tf.placeholder(tf.float32, [None])
    doubled = x * 2.0
    total = tf.reduce_sum(doubled)
    assert any_session.run(total, {x: [1, 2, 3]}) == 12
    assert any_session.run(total, {doubled: np.ones(4)}) == 4
    assert any_session.run([doubled, x], {doubled: [1.0], x: [5.0]})[0] == [1.0]
    assert any_session.run(total, {x.name: [1.0]}) == 2


def test_placeholder_with_default(session: Any) -> None:
    p = tf.placeholder_with_default(tf.constant(0.5), [])
    assert session.run(p * 2) == 1.0
    assert session.run(p * 2, {p: 2.0}) == 4.0


def test_strings(session: Any) -> None:
    message = tf.constant("Welcome")
    assert session.run(message) == b"Welcome"
    assert session.run(message).decode() == "Welcome"
    value, number = session.run([tf.constant(["a", "b"]), tf.constant(1)])
    assert value.tolist() == [b"a", b"b"]
    assert number == 1


def test_missing_feed(any_session: Any) -> None:
    x = tf.placeholder(tf.float32)
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match="You must feed a value for placeholder tensor 'Placeholder' with dtype float",
    ) as caught:
        any_session.run(x + 1)
    assert caught.value.op is x.op
    assert "test_sessions.py" in str(caught.value)


@pytest.mark.parametrize(
    ("feed", "error", "message"),
    [
        (
            [1.0, 2.0],
            ValueError,
            r"Cannot feed value of shape \(2,\) for Tensor 'Placeholder:0', which has shape '\(\)'",
        ),
        ("tensor", TypeError, "The value of a feed cannot be a tf.Tensor object"),
    ],
)
def test_wrong_feeds(session: Any, feed: Any, error: type[Exception], message: str) -> None:
    x = tf.placeholder(tf.float32, shape=())
    with pytest.raises(error, match=message):
        session.run(x + 1, {x: tf.constant(1.0) if feed == "tensor" else feed})


def test_wrong_feed_after_a_right_one(session: Any) -> None:
    x = tf.placeholder(tf.float32, shape=(None, 2))
    session.run(x, {x: np.ones((1, 2), np.float32)})
    with pytest.raises(ValueError, match="Cannot feed value of shape"):
        session.run(x, {x: np.ones((2, 1), np.float32)})


def test_wrong_fetches(session: Any) -> None:
    tf.constant(1)
    with pytest.raises(
        TypeError,
        match=r"Fetch argument 3\.0 has invalid type <class 'float'>, must be a string or Tensor\. \(Can not convert a float into a Tensor or Operation\.\)",
    ):
        session.run(3.0)
    with pytest.raises(ValueError, match="Fetch argument 'nope' cannot be interpreted as a Tensor"):
        session.run("nope")
    with tf.Graph().as_default():
        other = tf.constant(1)
    with pytest.raises(ValueError, match="is not an element of this graph"):
        session.run(other)


def test_closed_and_empty_sessions() -> None:
    session = new_session(interpreted=True)
    with pytest.raises(RuntimeError, match="The Session graph is empty"):
        session.run([])
    c = tf.constant(1)
    with session:
        assert c.eval() == 1
    with pytest.raises(RuntimeError, match="Attempted to use a closed Session"):
        session.run(c)
    with pytest.raises(
        ValueError, match=r"Cannot evaluate tensor using `eval\(\)`: No default session"
    ):
        c.eval()


def test_interactive_session() -> None:
    session = tf.InteractiveSession(config=tf.ConfigProto(interpreted=True))
    v = tf.Variable(3.0)
    v.initializer.run()
    assert (v * 2).eval() == 6.0
    assert tf.get_default_session() is session
    session.close()
    assert tf.get_default_session() is None


def test_uninitialised_variables(any_session: Any) -> None:
    v = tf.Variable(1.0, name="v")
    for fetch in (v, v + 1, tf.assign_add(v, 1.0)):
        with pytest.raises(
            tf.errors.FailedPreconditionError, match="Attempting to use uninitialized value v"
        ):
            any_session.run(fetch)
    assert not any_session.run(tf.is_variable_initialized(v))
    any_session.run(v.initializer)
    assert any_session.run([v, tf.is_variable_initialized(v)]) == [1.0, True]


def test_sessions_have_their_own_variables() -> None:
    v = tf.Variable(1.0)
    add = tf.assign_add(v, 1.0)
    first, second = new_session(True), new_session(True)
    for s in (first, second):
        s.run(v.initializer)
    first.run(add)
    assert (first.run(v), second.run(v)) == (2.0, 1.0)


def test_assignments(any_session: Any) -> None:
    v = tf.Variable([1.0, 2.0])
    any_session.run(tf.global_variables_initializer())
    assert any_session.run(tf.assign(v, [3.0, 4.0])).tolist() == [3.0, 4.0]
    assert any_session.run(tf.assign_sub(v, [1.0, 1.0])).tolist() == [2.0, 3.0]
    assert any_session.run(v.assign_add([1.0, 1.0])).tolist() == [3.0, 4.0]
    v.load([7.0, 8.0], any_session)
    assert any_session.run(v).tolist() == [7.0, 8.0]
    with pytest.raises(
        ValueError, match="Dimension 0 in both shapes must be equal, but are 2 and 3"
    ):
        tf.assign(v, [1.0, 2.0, 3.0])


def test_order_of_reads_and_writes(any_session: Any) -> None:
    """What TensorFlow 1 gives for variables on a CPU."""
    v = tf.Variable(1.0)
    before = v * 10.0
    with tf.control_dependencies([before]):
        change = tf.assign(v, 5.0)
    with tf.control_dependencies([change]):
        seen, product = tf.identity(v), v * 2.0
    any_session.run(v.initializer)
    assert any_session.run([before, seen, product]) == [10.0, 5.0, 10.0]
    assert any_session.run([tf.assign_add(v, 1.0), v]) == [6.0, 6.0]


def test_updates_of_one_run_see_the_old_values(any_session: Any) -> None:
    a, b = tf.Variable([1.0]), tf.Variable([2.0])
    swap = [tf.assign(a, b), tf.assign(b, a)]
    any_session.run(tf.global_variables_initializer())
    any_session.run([t.op for t in swap])
    assert [v.tolist() for v in any_session.run([a, b])] == [[2.0], [1.0]]


def test_initialized_value(any_session: Any) -> None:
    w1 = tf.Variable(tf.random_normal([4]))
    w2 = tf.Variable(w1.initialized_value() * 2.0, name="w2")
    any_session.run(tf.global_variables_initializer())
    first, second = any_session.run([w1, w2])
    np.testing.assert_array_equal(first * 2, second)
    any_session.run(tf.assign(w1, tf.ones([4])))
    any_session.run(w2.initializer)
    assert any_session.run(w2).tolist() == [2.0] * 4


def test_variable_of_changing_shape(any_session: Any) -> None:
    v = tf.Variable([1.0], validate_shape=False)
    grow = tf.assign(v, tf.concat([v, [1.0]], 0), validate_shape=False)
    any_session.run(v.initializer)
    for size in (2, 3, 4):
        any_session.run(grow.op)
        assert any_session.run(v).shape == (size,)


def test_fetched_arrays_are_snapshots(any_session: Any) -> None:
    v = tf.Variable(tf.zeros([3]))
    any_session.run(v.initializer)
    before = any_session.run(v)
    any_session.run(tf.assign_add(v, tf.ones([3])).op)
    assert before.tolist() == [0, 0, 0]


def test_one_element_arrays_print(session: Any) -> None:
    value = session.run(tf.constant([[1.5]]))
    assert "%f" % value == "1.500000"  # noqa: UP031 (what programs write)
    assert repr(value) == "array([[1.5]], dtype=float32)"
    assert (float(value), int(value)) == (1.5, 1)


def test_threads_share_a_session(any_session: Any) -> None:
    v = tf.Variable(0, dtype=tf.int64)
    add = tf.assign_add(v, 1)
    any_session.run(v.initializer)

    def work() -> None:
        for _ in range(50):
            any_session.run(add.op)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any_session.run(v) == 200


def test_control_dependencies_run_side_effects(any_session: Any) -> None:
    v = tf.Variable(0.0)
    with tf.control_dependencies([tf.assign_add(v, 1.0)]):
        train = tf.no_op(name="train")
    any_session.run(v.initializer)
    for _ in range(3):
        assert any_session.run(train) is None
    assert any_session.run(v) == 3.0


def test_make_callable(session: Any) -> None:
    x = tf.placeholder(tf.float32, [])
    triple = session.make_callable(x * 3.0, [x])
    assert (triple(2.0), triple(3.0)) == (6.0, 9.0)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: tf.placeholder(tf.float32)[...] + tf.constant(1), TypeError,
         "Input 'y' of 'Add' Op has type int32 that does not match type float32 of argument 'x'"),
        (lambda: tf.add(tf.constant(1.0), tf.constant(1)), TypeError,
         "Input 'y' of 'Add' Op has type int32 that does not match type float32 of argument 'x'"),
        (lambda: tf.matmul(tf.zeros([2, 3]), tf.zeros([4, 5])), ValueError,
         r"Dimensions must be equal, but are 3 and 4 for 'MatMul' \(op: 'MatMul'\) with input "
         r"shapes: \[2,3\], \[4,5\]"),
        (lambda: tf.reshape(tf.zeros([6]), [4, 2]), ValueError,
         r"Cannot reshape a tensor with 6 elements to shape \[4,2\] \(8 elements\)"),
        (lambda: tf.constant(1.5, dtype=tf.int32), TypeError, "Expected int32, got 1.5"),
        (lambda: tf.constant([1, 2], shape=[3], verify_shape=True), TypeError,
         r"Expected Tensor's shape: \(3,\), got \(2,\)"),
        (lambda: list(tf.range(10)), TypeError, "'Tensor' object is not iterable"),
        (lambda: bool(tf.constant(True)), TypeError, "as a Python `bool` is not allowed"),
        (lambda: tf.nn.conv2d(tf.zeros([1, 2, 2, 1]), tf.zeros([3, 3, 1, 1]), [1, 1, 1, 1], "VALID"),
         ValueError, "Negative dimension size caused by subtracting 3 from 2"),
        (lambda: tf.nn.dropout(tf.zeros([2]), 1.5), ValueError, r"in the range \(0, 1\], got 1.5"),
        (lambda: tf.train.GradientDescentOptimizer(0.1).minimize(
            tf.constant(1.0), var_list=[tf.Variable(1.0)]), ValueError,
         "No gradients provided for any variable"),
    ],
)  # fmt: skip
def test_errors_while_building(build: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build()
