"""Loops and branches survive being written and read."""

from pathlib import Path

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.runtime.errors import ModelError

X = np.array([[0.5, -1.0, 2.0], [1.0, 0.25, -0.5]], np.float32)


@pytest.fixture(autouse=True)
def _fresh_graph() -> None:
    tf.reset_default_graph()


def model() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    x = tf.placeholder(tf.float32, [2, 3], name="x")
    w = tf.get_variable("w", [3, 3], initializer=tf.random_normal_initializer(seed=1))
    steps = tf.placeholder(tf.int32, [], name="steps")

    def body(i: tf.Tensor, h: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        h = tf.cond(i % 2 < 1, lambda: tf.tanh(tf.matmul(h, w)), lambda: h + x)
        return i + 1, h

    _, h = tf.while_loop(lambda i, h: i < steps, body, [tf.constant(0), x])
    y = tf.cond(tf.reduce_sum(h) > 0.0, lambda: h * 2.0, lambda: -h)
    return x, steps, tf.identity(y, name="y")


def test_meta_graph_and_import_below_a_scope(tmp_path: Path) -> None:
    x, steps, y = model()
    saver = tf.train.Saver()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        path = saver.save(sess, f"{tmp_path}/m")
        expected = [sess.run(y, {x: X, steps: n}) for n in (0, 1, 3)]
    for scope in (None, "again"):
        tf.reset_default_graph()
        saver = tf.train.import_meta_graph(f"{path}.meta", import_scope=scope)
        prefix = f"{scope}/" if scope else ""
        with tf.Session() as sess:
            saver.restore(sess, path)
            for n, value in zip((0, 1, 3), expected, strict=True):
                feeds = {f"{prefix}x:0": X, f"{prefix}steps:0": n}
                np.testing.assert_array_equal(sess.run(f"{prefix}y:0", feeds), value)


def test_frozen(tmp_path: Path) -> None:
    x, steps, y = model()
    tf.get_variable("unused", [2])
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        expected = sess.run(y, {x: X, steps: 3})
        definition = sess.graph.as_graph_def()
        frozen = tf.graph_util.convert_variables_to_constants(sess, definition, ["y"])
    assert not {"VariableV2", "Assign"} & {node.op for node in frozen.node}
    tf.reset_default_graph()
    (y,) = tf.import_graph_def(frozen, {"x": tf.constant(X), "steps": tf.constant(3)}, ["y:0"])
    with tf.Session() as sess:
        np.testing.assert_array_equal(sess.run(y), expected)


def test_from_a_definition_alone() -> None:
    x, steps, y = model()
    definition = tf.get_default_graph().as_graph_def()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        (w,) = tf.global_variables()
        value = sess.run(w)
        expected = sess.run(y, {x: X, steps: 2})
    tf.reset_default_graph()
    tf.import_graph_def(definition, name="")
    with tf.Session() as sess:
        sess.run("w/Assign", {"w/Initializer/random_normal:0": value})
        found = sess.run("y:0", {"x:0": X, "steps:0": 2})
    np.testing.assert_array_equal(found, expected)


def test_missing_regions_are_said() -> None:
    model()
    definition = tf.get_default_graph().as_graph_def()
    for node in definition.node:
        if node.op == "StatelessWhile":
            del node.attr["_regions"]
    with pytest.raises(ModelError, match="its regions are missing"):
        tf.import_graph_def(definition)
