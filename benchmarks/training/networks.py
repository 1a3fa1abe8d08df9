"""The networks whose training steps are measured, written as TensorFlow 1 programs are.

Each builder takes the module with the TensorFlow 1 names (TensorKiln or TensorFlow's own
compat.v1) and adds the network to the default graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

STEPS, PIXELS, UNITS = 28, 28, 128
TOKENS, FEATURES, WIDTH, HEADS, LAYERS = 128, 64, 256, 4, 4


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
    inputs: tuple[int, ...] = (784,)
    classes: int = 10

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Random images and one-hot labels, the same every time."""
        generator = np.random.default_rng(0)
        images = generator.random((self.batch, *self.inputs), np.float32)
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


def lstm(tf: Any) -> Training:
    """28 rows of 28 pixels through an LSTM of 128 units, its last output to 10 classes, Adam."""
    x, y = _feeds(tf, STEPS, PIXELS)
    kernel = _weights(tf, (PIXELS + UNITS, 4 * UNITS))
    bias = tf.Variable(tf.zeros([4 * UNITS]))
    state = output = tf.zeros([tf.shape(x)[0], UNITS])
    # Step by step, as `static_rnn` does; TensorFlow 2's own compat.v1 has no cells any more.
    for row in tf.unstack(x, STEPS, axis=1):
        gates = tf.matmul(tf.concat([row, output], 1), kernel) + bias
        entry, new, forget, exit_ = tf.split(gates, 4, axis=1)
        kept = state * tf.sigmoid(forget + 1.0)
        state = kept + tf.sigmoid(entry) * tf.tanh(new)
        output = tf.tanh(state) * tf.sigmoid(exit_)
    logits = _dense(tf, output, UNITS, 10)
    return _finish(tf, logits, tf.train.AdamOptimizer(1e-3), x, y)


def transformer(tf: Any) -> Training:
    """128 tokens of 64 numbers, 4 encoder layers of width 256 (norms first), Adam."""
    x, y = _feeds(tf, TOKENS, FEATURES)
    hidden = _dense_rows(tf, x, FEATURES, WIDTH) + _weights(tf, (TOKENS, WIDTH))
    for _ in range(LAYERS):
        hidden = hidden + _attention(tf, _normed(tf, hidden))
        wide = _gelu(tf, _dense_rows(tf, _normed(tf, hidden), WIDTH, 4 * WIDTH))
        hidden = hidden + _dense_rows(tf, wide, 4 * WIDTH, WIDTH)
    pooled = tf.reduce_mean(_normed(tf, hidden), axis=1)
    return _finish(tf, _dense(tf, pooled, WIDTH, 10), tf.train.AdamOptimizer(1e-4), x, y)


def _attention(tf: Any, x: Any) -> Any:
    """Every token looks at every other, by 4 heads of 64."""
    query, key, value = (_heads(tf, _dense_rows(tf, x, WIDTH, WIDTH)) for _ in range(3))
    scores = tf.matmul(query, key, transpose_b=True) * (WIDTH // HEADS) ** -0.5
    seen = tf.matmul(tf.nn.softmax(scores), value)
    joined = tf.reshape(tf.transpose(seen, [0, 2, 1, 3]), [-1, TOKENS, WIDTH])
    return _dense_rows(tf, joined, WIDTH, WIDTH)


def _heads(tf: Any, x: Any) -> Any:
    parts = tf.reshape(x, [-1, TOKENS, HEADS, WIDTH // HEADS])
    return tf.transpose(parts, [0, 2, 1, 3])


def _normed(tf: Any, x: Any) -> Any:
    scale, offset = tf.Variable(tf.ones([WIDTH])), tf.Variable(tf.zeros([WIDTH]))
    mean, variance = tf.nn.moments(x, [2], keep_dims=True)
    return (x - mean) * tf.rsqrt(variance + 1e-5) * scale + offset


def _gelu(tf: Any, x: Any) -> Any:
    return 0.5 * x * (1.0 + tf.erf(x * 0.5**0.5))


def _dense_rows(tf: Any, x: Any, inputs: int, outputs: int) -> Any:
    """A dense layer on every token."""
    rows = _dense(tf, tf.reshape(x, [-1, inputs]), inputs, outputs)
    return tf.reshape(rows, [-1, TOKENS, outputs])


def _feeds(tf: Any, *sizes: int) -> tuple[Any, Any]:
    inputs = tf.placeholder(tf.float32, [None, *(sizes or (784,))])
    return inputs, tf.placeholder(tf.float32, [None, 10])


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
    Row("lstm_b128", lstm, 128, (STEPS, PIXELS)),
    Row("transformer_b8", transformer, 8, (TOKENS, FEATURES)),
)
