"""Branches, loops, arrays of tensors, and functions over rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from graph.like_tensorflow import Case

R = np.random.RandomState(5)
X = R.randn(3, 5).astype(np.float32)
Y = R.randn(3, 5).astype(np.float32)
V = R.randn(5).astype(np.float32)
S = np.array([0.7, -0.4, 1.1], np.float64)
YES, NO = np.array(True), np.array(False)


def _counted(tf: Any, x: Any, w: Any) -> Any:
    return tf.while_loop(
        lambda i, y: i < 4, lambda i, y: (i + 1, tf.tanh(y * w) + x), [tf.constant(0), x]
    )


def _nested(tf: Any, x: Any) -> Any:
    def outer(i: Any, y: Any) -> Any:
        def inner(j: Any, z: Any) -> Any:
            return [j + 1, tf.sin(z) + x * tf.cast(i, tf.float32)]

        _, z = tf.while_loop(lambda j, z: j <= i, inner, [tf.constant(0), y], maximum_iterations=5)
        return i + 1, z

    return tf.while_loop(lambda i, y: i < 3, outer, [tf.constant(0), x])


def _until(tf: Any, x: Any) -> Any:
    """Trips depend on the data."""
    return tf.while_loop(
        lambda y: tf.reduce_sum(y * y) > 0.5, lambda y: y * 0.7 - y * y * 0.01, [x],
        maximum_iterations=30,
    )  # fmt: skip


def _structures(tf: Any, x: Any, y: Any) -> Any:
    def body(i: Any, pair: Any, rest: Any) -> Any:
        return i + 2, (pair[1], pair[0] * 0.5), {"b": rest["a"], "a": rest["b"] + pair[0]}

    i, pair, rest = tf.while_loop(
        lambda i, pair, rest: i < 5, body, (tf.constant(0), (x, y), {"a": x, "b": y})
    )
    return [i, *pair, rest["a"], rest["b"]]


def _rnn(tf: Any, xs: Any, w: Any, u: Any) -> Any:
    outputs = tf.TensorArray(tf.float32, size=4, name="outputs")
    inputs = tf.TensorArray(tf.float32, size=4).unstack(xs)

    def step(t: Any, h: Any, ta: Any) -> Any:
        h = tf.tanh(tf.matmul(inputs.read(t), w) + tf.matmul(h, u))
        return t + 1, h, ta.write(t, h)

    _, h, filled = tf.while_loop(
        lambda t, h, ta: t < 4, step, [tf.constant(0), tf.zeros([2, 3]), outputs],
        swap_memory=True, parallel_iterations=32,
    )  # fmt: skip
    return [h, filled.stack()]


def _branch_in_loop(tf: Any, x: Any) -> Any:
    def body(i: Any, y: Any) -> Any:
        y = tf.cond(tf.equal(i % 2, 0), lambda: y * x, lambda: y - tf.cast(i, tf.float32))
        return i + 1, y

    return tf.while_loop(lambda i, y: i < 5, body, [tf.constant(0), x])


def _array(tf: Any, x: Any, y: Any) -> Any:
    ta = tf.TensorArray(tf.float32, 4, clear_after_read=False)
    ta = ta.write(0, x).write(3, y).write(1, x * y).write(2, x - y)
    return [ta.read(1), ta.gather([3, 0]), ta.stack(), ta.concat()]


def _scattered(tf: Any, x: Any, v: Any) -> Any:
    ta = tf.TensorArray(tf.float32, 3).scatter([2, 0, 1], x)
    parts = tf.TensorArray(tf.float32, 3).split(x, [1, 1, 1])
    return [ta.stack(), parts.read(2) * v, tf.TensorArray(tf.float32, 3).unstack(x).read(1)]


def _pairs(tf: Any, x: Any, y: Any) -> Any:
    return tf.map_fn(lambda p: (p[0] * p[1], tf.reduce_sum(p[0])), (x, y))


CASES: dict[str, Case] = {
    "cond true": (lambda tf, p, x, y: tf.cond(p, lambda: x * y, lambda: x - 1.0), (YES, X, Y)),
    "cond false": (lambda tf, p, x, y: tf.cond(p, lambda: x * y, lambda: x - 1.0), (NO, X, Y)),
    "cond structures": (
        lambda tf, p, x: list(
            tf.cond(p, lambda: {"a": x, "b": x + 1.0}, lambda: {"a": x * x, "b": x}).values()
        ),
        (NO, X),
    ),
    "cond captured": (lambda tf, p, x, y: tf.cond(p, lambda: x, lambda: y), (YES, X, Y)),
    "cond in cond": (
        lambda tf, p, q, x: tf.cond(
            p, lambda: tf.cond(q, lambda: x * 2.0, lambda: tf.sin(x)), lambda: -x
        ),
        (YES, NO, X),
    ),
    "cond numbers": (lambda tf, p: tf.cond(p, lambda: 3, lambda: 4), (NO,)),
    "case": (
        lambda tf, x, n: tf.case(
            [(tf.less(n, 1), lambda: x), (tf.less(n, 3), lambda: x * x)], default=lambda: -x
        ),
        (X, np.array(2, np.int32)),
    ),
    "case default": (
        lambda tf, x, n: tf.case(
            [(tf.less(n, 1), lambda: x), (tf.less(n, 3), lambda: x * x)], default=lambda: -x,
            exclusive=True,
        ),
        (X, np.array(5, np.int32)),
    ),
    "while counted": (_counted, (X, V)),
    "while nested": (_nested, (X,)),
    "while until": (_until, (V,)),
    "while structures": (_structures, (X, Y)),
    "while name": (
        lambda tf, x: tf.while_loop(lambda y: y < 100.0, lambda y: y * 3.0, [x], name="grow",
                                    maximum_iterations=20),
        (np.array(1.5, np.float32),),
    ),
    "while never": (
        lambda tf, x: tf.while_loop(lambda i, y: i < 0, lambda i, y: (i + 1, y * x),
                                    [tf.constant(0), x]),
        (X,),
    ),
    "while f64": (_counted, (S, S * 0.5)),
    "while recurrence": (
        _rnn, (R.randn(4, 2, 5).astype(np.float32), R.randn(5, 3).astype(np.float32),
               R.randn(3, 3).astype(np.float32)),
    ),
    "while with cond": (_branch_in_loop, (X,)),
    "array": (_array, (X, Y)),
    "array scattered": (_scattered, (X, V)),
    "map": (lambda tf, x: tf.map_fn(lambda r: tf.sin(r) * r, x), (X,)),
    "map pairs": (_pairs, (X, Y)),
    "map dtype": (
        lambda tf, x: tf.map_fn(lambda r: tf.cast(r > 0.0, tf.int32), x, dtype=tf.int32), (X,)
    ),
    "map scalars": (lambda tf, v: tf.map_fn(lambda r: r * r, v), (V,)),
    "foldl": (lambda tf, x: tf.foldl(lambda a, r: a * 0.5 + tf.sin(r), x), (X,)),
    "foldl start": (lambda tf, x, v: tf.foldl(lambda a, r: a * r, x, initializer=v), (X, V)),
    "foldr": (lambda tf, x: tf.foldr(lambda a, r: a * 0.5 + tf.sin(r), x), (X,)),
    "scan": (lambda tf, x: tf.scan(lambda a, r: a * r + 1.0, x), (X,)),
    "scan start": (lambda tf, x, v: tf.scan(lambda a, r: a * r + r, x, initializer=v), (X, V)),
    "scan reverse": (lambda tf, x: tf.scan(lambda a, r: a * r, x, reverse=True), (X,)),
    "scan pairs": (
        lambda tf, x, y: tf.scan(
            lambda a, r: (a[0] + r[0], a[1] * r[1]), (x, y), initializer=(x[0], y[1])
        ),
        (X, Y),
    ),
}  # fmt: skip
