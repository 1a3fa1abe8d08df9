"""The networks whose training steps are measured, written as TensorFlow 1 programs are.

Each builder takes the module with the TensorFlow 1 names (TensorKiln or TensorFlow's own
compat.v1) and adds the network to the default graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Training:
    """What one step runs, and the feeds' placeholders."""

    train: Any
    loss: Any
    images: Any
    labels: Any


@dataclass(frozen=True)
class Row:
    """A network, the batch of one step, and the sizes of the feeds."""

    name: str
    build: Callable[[Any], Training]
    batch: int
    inputs: int = 784
    classes: int = 10

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Random images and one-hot labels, the same every time."""
        generator = np.random.default_rng(0)
        images = generator.random((self.batch, self.inputs), np.float32)
        labels = np.eye(self.classes, dtype=np.float32)
        return images, labels[generator.integers(0, self.classes, self.batch)]


def softmax_regression(tf: Any) -> Training:
    """784 inputs, 10 classes, plain gradient descent."""
    x, y = _feeds(tf)
    w, b = tf.Variable(tf.zeros([784, 10])), tf.Variable(tf.zeros([10]))
    optimizer = tf.train.GradientDescentOptimizer(0.5)
    return _finish(tf, tf.matmul(x, w) + b, optimizer, x, y)


def mlp(tf: Any) -> Training:
    """784-512-512-10 with rectified units, Adam."""
    x, y = _feeds(tf)
    hidden = tf.nn.relu(_dense(tf, x, 784, 512))
    hidden = tf.nn.relu(_dense(tf, hidden, 512, 512))
    logits = _dense(tf, hidden, 512, 10)
    return _finish(tf, logits, tf.train.AdamOptimizer(1e-3), x, y)


def cnn(tf: Any) -> Training:
    """Two 5x5 convolutions with pooling, a dense layer of 1024 with dropout, Adam."""
    x, y = _feeds(tf)
    image = tf.reshape(x, [-1, 28, 28, 1])
    hidden = _pooled(tf, image, 1, 32)
    hidden = _pooled(tf, hidden, 32, 64)
    flat = tf.reshape(hidden, [-1, 7 * 7 * 64])
    dense = tf.nn.dropout(tf.nn.relu(_dense(tf, flat, 7 * 7 * 64, 1024)), 0.5)
    return _finish(tf, _dense(tf, dense, 1024, 10), tf.train.AdamOptimizer(1e-4), x, y)


def _feeds(tf: Any) -> tuple[Any, Any]:
    return tf.placeholder(tf.float32, [None, 784]), tf.placeholder(tf.float32, [None, 10])


def _weights(tf: Any, shape: Sequence[int]) -> Any:
    return tf.Variable(tf.truncated_normal(list(shape), stddev=0.05))


def _dense(tf: Any, x: Any, inputs: int, outputs: int) -> Any:
    return tf.matmul(x, _weights(tf, (inputs, outputs))) + tf.Variable(tf.zeros([outputs]))


def _pooled(tf: Any, x: Any, inputs: int, outputs: int) -> Any:
    kernel, bias = _weights(tf, (5, 5, inputs, outputs)), tf.Variable(tf.zeros([outputs]))
    hidden = tf.nn.relu(tf.nn.conv2d(x, kernel, [1, 1, 1, 1], "SAME") + bias)
    return tf.nn.max_pool(hidden, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")


def _finish(tf: Any, logits: Any, optimizer: Any, x: Any, y: Any) -> Training:
    losses = tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=logits)
    loss = tf.reduce_mean(losses)
    return Training(optimizer.minimize(loss), loss, x, y)


ROWS = (
    Row("softmax_regression_b100", softmax_regression, 100),
    Row("mlp_b128", mlp, 128),
    Row("cnn_b128", cnn, 128),
)
