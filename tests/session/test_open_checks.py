"""Clusters that check values are compiled for ranges too; what fails is told in the run's terms."""

from __future__ import annotations

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.frontends.graph import step


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each piece of code that is made for a range of sizes."""
    found: list[int] = []
    before = step.OpenStep.__init__

    def make(self: step.OpenStep, compiled: object, threads: int) -> None:
        found.append(threads)
        before(self, compiled, threads)  # type: ignore[arg-type]

    monkeypatch.setattr(step.OpenStep, "__init__", make)
    return found


def _error(session: tf.Session, fetch: object, feeds: dict[object, object]) -> str:
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        session.run(fetch, feeds)
    return str(caught.value)


def test_gathers_whose_bounds_are_open(opened: list[int]) -> None:
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        rows = tf.placeholder(tf.int32, [None], name="rows")
        y = tf.gather(x, rows) * 2.0
    random = np.random.default_rng(1)
    with tf.Session(graph=graph) as session:
        for n, count in ((4, 2), (5, 3), (7, 4), (9, 6), (1, 5), (13, 8), (16, 16), (2, 1)):
            array, places = random.standard_normal((n, 3)), random.integers(0, n, count)
            found = session.run(y, {x: array, rows: places})
            np.testing.assert_allclose(found, array[places] * 2, rtol=1e-5)
            told = _error(session, y, {x: array, rows: np.append(places[1:], n)})
            assert f"indices[{count - 1}] = {n} is not in [0, {n})" in told
    assert len(opened) == 2  # the check, and what follows


def test_divisions_and_assertions_in_the_middle_of_a_step(opened: list[int]) -> None:
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.int32, [None], name="x")
        total = tf.Variable(0, name="total")
        shifted = tf.cumsum(x) + total
        with tf.control_dependencies([tf.assert_less(shifted, 100, name="small")]):
            quotients = 60 // tf.identity(shifted)
        with tf.control_dependencies([quotients]):
            update = tf.assign_add(total, tf.reduce_sum(x))
        start = tf.global_variables_initializer()
    with tf.Session(graph=graph) as session:
        session.run(start)
        seen = 0
        for n in (2, 3, 5, 7, 1, 4, 8):
            array = np.ones(n, np.int32)
            found, now = session.run([quotients, update], {x: array})
            np.testing.assert_array_equal(found, 60 // (seen + np.arange(1, n + 1)))
            seen += n
            assert now == seen
            bad = array.copy()
            bad[-1] -= seen + n
            assert "Integer division by zero" in _error(session, [update], {x: bad})
            bad[-1] += 200
            told = _error(session, [update], {x: bad})
            assert "small" in told
            assert session.run(total) == seen  # nothing is written where a check fails
    assert opened


def test_labels_out_of_range(opened: list[int]) -> None:
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, 5])
        labels = tf.placeholder(tf.int64, [None])
        weights = tf.Variable(np.eye(5, dtype=np.float32)[:, :3])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=labels, logits=images @ weights
        )
        train = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_mean(losses))
        start = tf.global_variables_initializer()
    random = np.random.default_rng(2)
    batches = [
        (random.standard_normal((n, 5)), random.integers(0, 3, n)) for n in (4, 3, 6, 2, 7, 5, 1)
    ]

    def run(interpreted: bool) -> np.ndarray:
        with tf.Session(graph=graph, config=tf.ConfigProto(interpreted=interpreted)) as session:
            session.run(start)
            for a, b in batches:
                session.run(train, {images: a, labels: b})
                bad = b.copy()
                bad[0] = 3
                told = _error(session, train, {images: a, labels: bad})
                assert "Received a label value of 3" in told
                assert f"Label values: {' '.join(map(str, bad))}" in told
            return np.asarray(session.run(weights))

    np.testing.assert_allclose(run(False), run(True), rtol=1e-4, atol=1e-5)
    assert opened


def test_prints_of_open_sizes(opened: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.int32, [None])
        shown = tf.print("x is", x, summarize=-1)
        with tf.control_dependencies([shown]):
            y = x * 2
    with tf.Session(graph=graph) as session:
        for n in (2, 3, 5, 7, 4, 6):
            array = np.arange(n, dtype=np.int32)
            np.testing.assert_array_equal(session.run(y, {x: array}), array * 2)
            assert f"x is [{' '.join(map(str, array))}]" in capsys.readouterr().err
    assert len(opened) == 1
