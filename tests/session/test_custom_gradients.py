"""py_func, custom_gradient, gradient_override_map, and gradients that stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf


@pytest.fixture(params=[True, False], ids=["interpreted", "compiled"])
def session(request: pytest.FixtureRequest) -> Iterator[Any]:
    config = tf.ConfigProto(interpreted=request.param)
    with tf.Graph().as_default(), tf.Session(config=config) as s:
        yield s


def test_py_func(session: Any) -> None:
    x = tf.placeholder(tf.float32, [None])
    both = tf.py_func(lambda a, n: [a * n, a.sum()], [x * 2, 3.0], [tf.float32, tf.float32])
    y = tf.py_func(np.flip, [both[0]], tf.float32, name="flip")
    assert y.name == "flip:0"
    assert repr(both[0]) == "<tf.Tensor 'PyFunc:0' shape=<unknown> dtype=float32>"
    result, total = session.run([y + 1, both[1]], {x: [1.0, 2.0]})
    assert result.tolist() == [13.0, 7.0]
    assert total == 6.0
    seen: list[Any] = []
    operation = tf.py_func(seen.append, [tf.constant("s")], [])
    assert session.run(operation) is None
    assert seen == [b"s"]
    assert session.run(tf.py_func(lambda: "text", [], tf.string)) == b"text"
    assert session.run(tf.py_func(lambda: 2, [], tf.int32)) == 2


@pytest.mark.parametrize(
    ("error", "expected"),
    [(KeyError("boo"), "UnknownError"), (ValueError("boo"), "InvalidArgumentError"),
     (StopIteration(), "OutOfRangeError"), (NotImplementedError("boo"), "UnimplementedError")],
)  # fmt: skip
def test_errors_of_py_func(session: Any, error: Exception, expected: str) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(getattr(tf.errors, expected), match=type(error).__name__) as caught:
        session.run(tf.py_func(fail, [], tf.float32, name="failing"))
    assert "in fail" in str(caught.value)
    assert "node failing" in str(caught.value)


def test_results_of_py_func_are_checked(session: Any) -> None:
    def integer() -> Any:
        return np.int32(3)

    text = "0-th value returned by integer is int32, but expects float"
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        session.run(tf.py_func(integer, [], tf.float32))
    with pytest.raises(tf.errors.InvalidArgumentError, match="returns 1 values, but expects to se"):
        session.run(tf.py_func(integer, [], [tf.int32, tf.int32]))


def test_py_func_in_a_training_step(session: Any) -> None:
    w = tf.Variable([2.0, 3.0])
    scale = tf.py_func(lambda a: np.float32(a.max()), [w * 1.0], tf.float32)
    scale.set_shape([])
    loss = tf.reduce_sum(tf.square(w)) * scale
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    session.run(w.initializer)
    session.run(train)
    assert np.allclose(session.run(w), [2 - 0.1 * 3 * 4, 3 - 0.1 * 3 * 6])


def test_custom_gradient(session: Any) -> None:
    @tf.custom_gradient
    def clipped(x: Any, y: Any) -> Any:
        return x * y, lambda g: (tf.clip_by_value(g, -1.0, 1.0), g * 100.0)

    a, b = tf.placeholder(tf.float32, [2]), tf.constant([5.0, 7.0])
    result = clipped(tf.square(a), b)
    gradients = tf.gradients(tf.reduce_sum(result * 3.0) + tf.reduce_sum(a), [a, b, result])
    found = session.run([result, *gradients], {a: [1.0, 2.0]})
    assert [f.tolist() for f in found] == [[5, 28], [3, 5], [300, 300], [3, 3]]


def test_custom_gradients_one_after_another(session: Any) -> None:
    @tf.custom_gradient
    def double(x: Any) -> Any:
        return tf.identity(x), lambda g: 2.0 * g

    @tf.custom_gradient
    def pair(x: Any) -> Any:
        return [x + 1.0, x + 2.0], lambda g, h: 10.0 * g + h

    x = tf.placeholder(tf.float32, [])
    first, second = pair(double(double(x)) * x)
    value, slope = session.run([first, tf.gradients(first * 1.0 + second * x, x)[0]], {x: 3.0})
    assert value == 10.0
    # d/d(product) is 10 + x; the product's gradient is 4x (doubled twice) + x; second adds itself.
    assert slope == 13.0 * (4 * 3 + 3) + 11.0


_NAMES = iter(range(1000))


def test_gradient_override_map(session: Any) -> None:
    name = f"Guided{next(_NAMES)}"

    @tf.RegisterGradient(name)
    def guided(op: Any, gradient: Any) -> Any:
        return tf.where(gradient > 0.0, gradient, tf.zeros_like(gradient)) * op.outputs[0]

    with pytest.raises(KeyError, match="Registering two gradient with name"):
        tf.RegisterGradient(name)(guided)
    x = tf.placeholder(tf.float32, [3])
    weights = tf.constant([1.0, -1.0, 2.0])
    with tf.get_default_graph().gradient_override_map({"Relu": name}):
        y = tf.nn.relu(x)
    plain = tf.nn.relu(x)
    found = session.run(
        [tf.gradients(y * weights, x)[0], tf.gradients(plain * weights, x)[0]], {x: [3.0, 4.0, 5.0]}
    )
    assert [f.tolist() for f in found] == [[3, 0, 10], [1, -1, 2]]


def test_straight_through(session: Any) -> None:
    x = tf.placeholder(tf.float32, [2])
    with tf.get_default_graph().gradient_override_map({"Sign": "Identity"}):
        y = tf.sign(x)
    assert session.run(tf.gradients(y * 3.0, x)[0], {x: [-2.0, 5.0]}).tolist() == [3, 3]
    with tf.get_default_graph().gradient_override_map({"Sign": "NotThere"}):
        z = tf.sign(x)
    with pytest.raises(LookupError, match="No gradient defined for operation 'Sign_1'"):
        tf.gradients(z, x)


def test_py_func_with_a_gradient(session: Any) -> None:
    name = f"Cube{next(_NAMES)}"
    tf.RegisterGradient(name)(lambda op, g: g * 3.0 * tf.square(op.inputs[0]))
    w = tf.Variable([1.0, 2.0])
    with tf.get_default_graph().gradient_override_map({"PyFunc": name}):
        cube = tf.py_func(lambda a: a**3, [w * 1.0], tf.float32)
    cube.set_shape([2])
    train = tf.train.GradientDescentOptimizer(1.0).minimize(tf.reduce_sum(cube))
    session.run(w.initializer)
    session.run(train)
    assert session.run(w).tolist() == [-2.0, -10.0]


def test_wrong_number_of_gradients(session: Any) -> None:
    bad = tf.custom_gradient(lambda x: (x, lambda g: (g, g)))
    x = tf.constant(1.0)
    with pytest.raises(ValueError, match=r"Num gradients 3 generated for op .* do not match num"):
        tf.gradients(bad(x), x)


def test_stop_gradients(session: Any) -> None:
    x = tf.placeholder(tf.float32, [])
    b = x * 2.0
    y = x * b
    assert session.run(tf.gradients(y, x, stop_gradients=[b])[0], {x: 3.0}) == 6.0
    assert session.run(tf.gradients(y, [x, b], stop_gradients=[b]), {x: 3.0}) == [6.0, 3.0]
