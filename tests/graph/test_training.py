"""Whole trainings on small real data."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import tensorkiln as tf


def test_softmax_regression_on_digits(any_session: Any) -> None:
    digits = load_digits()
    images = (digits.data / 16).astype(np.float32)
    labels = np.eye(10, dtype=np.float32)[digits.target]
    x = tf.placeholder(tf.float32, [None, 64])
    y_ = tf.placeholder(tf.float32, [None, 10])
    w, b = tf.Variable(tf.zeros([64, 10])), tf.Variable(tf.zeros([10]))
    logits = tf.matmul(x, w) + b
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y_, logits=logits))
    train = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
    correct = tf.equal(tf.argmax(logits, 1), tf.argmax(y_, 1))
    accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))
    any_session.run(tf.global_variables_initializer())
    first = any_session.run(loss, {x: images, y_: labels})
    np.testing.assert_allclose(first, np.log(10), rtol=1e-5)
    order = np.random.RandomState(0)
    for _ in range(200):
        rows = order.randint(0, 1500, 100)
        any_session.run([train, loss], {x: images[rows], y_: labels[rows]})
    assert any_session.run(accuracy, {x: images[1500:], y_: labels[1500:]}) > 0.88


def test_convolutional_net_learns(any_session: Any) -> None:
    digits = load_digits()
    chosen = digits.target < 3
    images = (digits.images[chosen] / 16).astype(np.float32)[..., None][:200]
    labels = digits.target[chosen][:200]
    tf.set_random_seed(1)
    x = tf.placeholder(tf.float32, [None, 8, 8, 1])
    y_ = tf.placeholder(tf.int64, [None])
    keep = tf.placeholder(tf.float32, [])
    with tf.variable_scope("conv", initializer=tf.truncated_normal_initializer(stddev=0.3)):
        kernel = tf.get_variable("kernel", [3, 3, 1, 4])
        bias = tf.get_variable("bias", [4], initializer=tf.zeros_initializer())
    hidden = tf.nn.relu(tf.nn.conv2d(x, kernel, [1, 1, 1, 1], "SAME") + bias)
    pooled = tf.nn.max_pool(hidden, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    size = int(np.prod(pooled.get_shape().as_list()[1:]))
    flat = tf.nn.dropout(tf.reshape(pooled, [-1, size]), keep)
    out = tf.get_variable("out", [size, 3])
    logits = tf.matmul(flat, out)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y_, logits=logits))
    step = tf.train.get_or_create_global_step()
    train = tf.train.AdamOptimizer(0.02).minimize(loss, global_step=step)
    hits = tf.equal(tf.argmax(logits, 1), y_)
    accuracy = tf.reduce_mean(tf.cast(hits, tf.float32))
    any_session.run(tf.global_variables_initializer())
    feeds: dict[Any, Any] = {x: images, y_: labels}
    losses = [any_session.run([train, loss], {**feeds, keep: 0.85})[1] for _ in range(15)]
    assert losses[-1] < 0.5 * losses[0]
    assert any_session.run([accuracy, step], {**feeds, keep: 1.0})[0] > 0.9
    assert any_session.run(step) == 15


def test_hand_written_back_propagation(session: Any) -> None:
    """No optimizer: sigmoid layers, errors and assignments written out."""
    rng = np.random.RandomState(0)
    x = tf.placeholder(tf.float32, [None, 2])
    target = tf.placeholder(tf.float32, [None, 1])
    w = tf.Variable(tf.zeros([2, 1]))
    b = tf.Variable(tf.zeros([1]))
    eta = 0.5
    y = tf.sigmoid(tf.matmul(x, w) + b)
    error = tf.subtract(y, target)
    delta = tf.multiply(error, y * (1 - y))
    updates = [
        tf.assign(w, tf.subtract(w, tf.multiply(eta, tf.matmul(tf.transpose(x), delta)))),
        tf.assign(b, tf.subtract(b, tf.multiply(eta, tf.reduce_sum(delta, axis=[0])))),
    ]
    points = rng.rand(50, 2)
    truth = (points.sum(1, keepdims=True) > 1).astype(float)
    session.run(tf.global_variables_initializer())
    for _ in range(300):
        session.run(updates, {x: points, target: truth})
    assert ((session.run(y, {x: points}) > 0.5) == truth).mean() > 0.9
