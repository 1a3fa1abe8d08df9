"""tf.layers: names of variables, values, batch statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

import tensorkiln as tf

R = np.random.RandomState(0)


def test_names() -> None:
    x = tf.placeholder(tf.float32, [None, 8, 8, 3])
    y = tf.layers.conv2d(x, 4, 3, activation=tf.nn.relu)
    y = tf.layers.max_pooling2d(y, 2, 2)
    y = tf.layers.flatten(y)
    assert y.shape.as_list() == [None, 36]
    y = tf.layers.dense(y, 5)
    y = tf.layers.dense(y, 2, name="out")
    assert [v.name for v in tf.trainable_variables()] == [
        "conv2d/kernel:0", "conv2d/bias:0", "dense/kernel:0", "dense/bias:0", "out/kernel:0",
        "out/bias:0",
    ]  # fmt: skip
    assert y.name == "out/BiasAdd:0"


def test_dense(session: Any) -> None:
    x = R.rand(2, 3, 4).astype(np.float32)
    y = tf.layers.dense(x, 5, activation=tf.tanh, bias_initializer=tf.ones_initializer())
    session.run(tf.global_variables_initializer())
    value, kernel = session.run([y, tf.trainable_variables()[0]])
    np.testing.assert_allclose(value, np.tanh(x @ kernel + 1), rtol=1e-5)


def test_dropout(session: Any) -> None:
    x = tf.ones([100])
    training = tf.placeholder(tf.bool, [])
    y = tf.layers.dropout(x, 0.5, training=training, seed=1)
    assert session.run(y, {training: False}).tolist() == [1.0] * 100
    assert set(session.run(y, {training: True}).tolist()) == {0.0, 2.0}


def test_batch_normalization(any_session: Any) -> None:
    x = tf.placeholder(tf.float32, [None, 2, 2, 3])
    training = tf.placeholder(tf.bool, [])
    y = tf.layers.batch_normalization(x, training=training, momentum=0.9)
    data = (R.randn(4, 2, 2, 3) * 3 + 1).astype(np.float32)
    any_session.run(tf.global_variables_initializer())
    value = any_session.run(y, {x: data, training: True})
    flat = data.reshape(-1, 3)
    np.testing.assert_allclose(
        value, (data - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-3), rtol=1e-3, atol=1e-4
    )
    untouched = any_session.run(y, {x: data, training: False})
    np.testing.assert_allclose(untouched, data / np.sqrt(1 + 1e-3), rtol=1e-4)
    any_session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS), {x: data, training: True})
    mean, variance = any_session.run([v for v in tf.global_variables() if "moving" in v.name])
    np.testing.assert_allclose(mean, 0.1 * flat.mean(0), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(variance, 0.9 + 0.1 * flat.var(0, ddof=1), rtol=1e-3)
