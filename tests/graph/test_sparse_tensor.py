"""SparseTensors fed and fetched, and losses of labels that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorkiln as tf


def test_feed_and_fetch(any_session: Any) -> None:
    sparse = tf.sparse_placeholder(tf.float32, [2, 3])
    dense = tf.sparse_tensor_to_dense(sparse)
    for value in (
        tf.SparseTensorValue([[0, 1], [1, 2]], [5.0, 6.0], [2, 3]),
        (np.array([[1, 0]]), np.array([7.0]), np.array([2, 3])),
    ):
        got, again = any_session.run([dense, sparse], {sparse: value})
        expected = np.zeros((2, 3))
        expected[tuple(np.array(value[0]).T)] = value[1]
        np.testing.assert_array_equal(got, expected)
        assert isinstance(again, tf.SparseTensorValue)
        np.testing.assert_array_equal(again.values, value[1])


def test_errors() -> None:
    sparse = tf.sparse_placeholder(tf.float32)
    with tf.Session() as session, pytest.raises(TypeError, match="is fed with a SparseTensorValue"):
        session.run(sparse.values, {sparse: 1.0})
    with pytest.raises(ValueError, match="rank 2"):
        tf.SparseTensor([1, 2], [1.0, 2.0], [5])


@pytest.mark.parametrize(("ignore", "expected"), [(False, np.inf), (True, 0.0)])
def test_labels_that_do_not_fit(ignore: bool, expected: float, session: Any) -> None:
    labels = tf.SparseTensor([[0, 0], [0, 1]], tf.constant([1, 1]), [1, 2])
    logits = tf.zeros([2, 1, 3])
    loss = tf.nn.ctc_loss(labels, logits, [2], ignore_longer_outputs_than_inputs=ignore)
    assert session.run(loss).tolist() == [expected]


def test_a_loss_by_hand(session: Any) -> None:
    """One label in two steps: the paths are label label, label blank, blank label."""
    labels = tf.SparseTensor([[0, 0]], tf.constant([0]), [1, 1])
    chances = np.array([[[0.3, 0.7]], [[0.6, 0.4]]], np.float32)
    loss = tf.nn.ctc_loss(labels, np.log(chances), [2])
    expected = -np.log(0.3 * 0.6 + 0.3 * 0.4 + 0.7 * 0.6)
    np.testing.assert_allclose(session.run(loss), [expected], rtol=1e-5)
