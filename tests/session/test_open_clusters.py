"""A loop over many shapes does not compile for each of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.compiler import open_pipeline
from tensorkiln.frontends.graph import step
from tensorkiln.frontends.graph.open_cluster import SPECIALISED, open_dims


def test_dims_that_vary_together_are_one_size() -> None:
    dims = open_dims([((5, 3), (5,)), ((7, 3), (7,)), ((6, 3), (6,))])
    assert dims is not None
    (symbol,) = dims.symbols
    assert dims.places[symbol.name] == ((0, 0), (1, 0))
    assert (symbol.minimum, symbol.maximum) == (1, 16)
    assert dims.sizes(((16, 3), (16,))) == {symbol.name: 16}
    assert dims.sizes(((4, 3), (5,))) is None
    assert dims.sizes(((17, 3), (17,))) is None
    assert dims.sizes(((4, 4), (4,))) is None
    assert dims.shapes({symbol.name: 9}) == ((9, 3), (9,))
    assert open_dims([((5, 3),), ((5,),)]) is None
    assert open_dims([((0, 3),), ((2, 3),)]) is None


class Counter:
    """How often functions and ranges are compiled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.specialised = self.open = 0
        before, before_open = step.CompiledStep.__init__, step.OpenStep.__init__

        def make(self_: step.CompiledStep, function: object, threads: int) -> None:
            self.specialised += 1
            before(self_, function, threads)  # type: ignore[arg-type]

        def make_open(self_: step.OpenStep, compiled: object, threads: int) -> None:
            self.open += 1
            before_open(self_, compiled, threads)  # type: ignore[arg-type]

        monkeypatch.setattr(step.CompiledStep, "__init__", make)
        monkeypatch.setattr(step.OpenStep, "__init__", make_open)


def test_predictions_and_training_over_many_batch_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [None, 6])
        labels = tf.placeholder(tf.float32, [None, 3])
        weights = tf.Variable(tf.random_normal([6, 3], seed=1))
        bias = tf.Variable(tf.zeros([3]))
        logits = tf.matmul(x, weights) + bias
        prediction = tf.nn.softmax(logits)
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits))
        train = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
        start = tf.global_variables_initializer()
        graph = tf.get_default_graph()
    random = np.random.default_rng(3)
    batches = []
    for n in (4, 9, 5, 7, 1, 2, 8, 16, 11, 3, 13, 10):
        batches.append((random.standard_normal((n, 6)), np.eye(3)[random.integers(0, 3, n)]))

    def run(config: tf.ConfigProto) -> list[np.ndarray]:
        found = []
        with tf.Session(graph=graph, config=config) as session:
            session.run(start)
            for images, wanted in batches:
                feeds = {x: images, labels: wanted}
                found += session.run([prediction, loss], feeds)
                session.run(train, feeds)
            found += session.run([weights, bias])
        return found

    expected = run(tf.ConfigProto(interpreted=True))
    counter = Counter(monkeypatch)
    for got, wanted in zip(run(tf.ConfigProto()), expected, strict=True):
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=2e-5)
    # two clusters, each a few times for single shapes and then once for the rest
    assert counter.open == 2
    assert counter.specialised <= 2 * SPECIALISED + 3


def test_training_of_a_convolution_net_over_many_batch_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, 6, 6, 2])
        labels = tf.placeholder(tf.float32, [None, 3])
        kernel = tf.Variable(tf.random_normal([3, 3, 2, 4], seed=2) * 0.3)
        image = tf.nn.relu(tf.nn.conv2d(x, kernel, [1, 1, 1, 1], "SAME"))
        image = tf.nn.max_pool(image, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
        dense = tf.Variable(tf.random_normal([36, 3], seed=3) * 0.3)
        logits = tf.matmul(tf.reshape(image, [-1, 36]), dense)
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits))
        train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)
        start = tf.global_variables_initializer()
    random = np.random.default_rng(5)
    batches = [
        (random.standard_normal((n, 6, 6, 2)), np.eye(3)[random.integers(0, 3, n)])
        for n in (4, 6, 5, 7, 2, 9, 3, 12)
    ]

    def run(config: tf.ConfigProto) -> list[np.ndarray]:
        with tf.Session(graph=graph, config=config) as session:
            session.run(start)
            losses = [session.run([loss, train], {x: a, labels: b})[0] for a, b in batches]
            return [np.array(losses), *session.run([kernel, dense])]

    expected = run(tf.ConfigProto(interpreted=True))
    counter = Counter(monkeypatch)
    for got, wanted in zip(run(tf.ConfigProto()), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=5e-4, atol=5e-5)
    assert counter.open == 1


def test_a_recurrent_net_over_sequences_of_many_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, None, 4])
        tf.set_random_seed(5)
        cell = tf.nn.rnn_cell.BasicRNNCell(3)
        rows, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
        start = tf.global_variables_initializer()
    random = np.random.default_rng(4)
    batches = [
        random.standard_normal((b, n, 4)) for b, n in ((3, 4), (3, 7), (3, 5), (2, 9), (4, 3))
    ]

    def run(config: tf.ConfigProto) -> list[np.ndarray]:
        with tf.Session(graph=graph, config=config) as session:
            session.run(start)
            return [a for batch in batches for a in session.run([rows, state], {x: batch})]

    expected = run(tf.ConfigProto(interpreted=True))
    counter = Counter(monkeypatch)
    for got, wanted in zip(run(tf.ConfigProto()), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=2e-5)
    assert counter.open == 1


def test_what_cannot_be_open_is_compiled_for_each_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None])
        y = x[::2] * 2.0  # rounded halves are no affine sizes
    counter = Counter(monkeypatch)
    with tf.Session(graph=graph) as session:
        for n in (3, 5, 2, 7, 6):
            array = np.arange(n, dtype=np.float32)
            np.testing.assert_array_equal(session.run(y, {x: array}), array[::2] * 2)
    assert counter.open == 0
    assert counter.specialised == 5


def test_matrices_of_many_sizes_are_compiled_for_a_range(monkeypatch: pytest.MonkeyPatch) -> None:
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, None])
        y = tf.matrix_determinant(x) * 2.0
    counter = Counter(monkeypatch)
    with tf.Session(graph=graph) as session:
        for n in (3, 5, 2, 7, 6):
            array = np.diag(np.arange(1, n + 1, dtype=np.float32))
            np.testing.assert_allclose(session.run(y, {x: array}), 2 * math.factorial(n), rtol=1e-5)
    assert counter.open == 1


def test_sizes_that_nobody_feeds_may_be_wrong_ones() -> None:
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None])
        y = tf.reduce_sum(tf.reshape(x, [-1, 4]), 1)
    with tf.Session(graph=graph) as session:
        for n in (4, 8, 12, 16, 20, 24):
            array = np.arange(n, dtype=np.float32)
            np.testing.assert_allclose(session.run(y, {x: array}), array.reshape(-1, 4).sum(1))


def test_largest_sizes_are_kept_in_bounds() -> None:
    assert open_dims([((open_pipeline.LARGEST,),), ((3,),)]) is None
