"""Penalties of variables, their collection, and the names below tf.contrib."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

W = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)


def test_values(session: Any) -> None:
    layers = tf.contrib.layers
    found = [
        layers.l1_regularizer(0.5)(W), layers.l2_regularizer(0.5)(W),
        layers.l1_l2_regularizer(0.5, 0.1)(W),
    ]  # fmt: skip
    l1, l2 = np.abs(W).sum(), (W * W).sum() / 2
    np.testing.assert_allclose(session.run(found), [0.5 * l1, 0.5 * l2, 0.5 * l1 + 0.1 * l2])
    assert found[1].name == "l2_regularizer:0"
    assert layers.l1_regularizer(0.0)(W) is None


def test_collections(session: Any) -> None:
    regularizer = tf.contrib.layers.l2_regularizer(0.1)
    with tf.variable_scope("net", regularizer=regularizer):
        tf.get_variable("a", initializer=W)
        tf.get_variable("b", initializer=W, regularizer=tf.no_regularizer)
    losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    assert [loss.name for loss in losses] == ["net/a/Regularizer/l2_regularizer:0"]
    total = tf.losses.get_regularization_loss()
    session.run(tf.global_variables_initializer())
    np.testing.assert_allclose(session.run(total), 0.05 * (W * W).sum())


def test_errors() -> None:
    with pytest.raises(ValueError, match="cannot be an integer"):
        tf.contrib.layers.l2_regularizer(1)
    with pytest.raises(ValueError, match="less than 0"):
        tf.contrib.layers.l1_regularizer(-0.1)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = tf.contrib.nothing


def test_lazy_adam_leaves_rows_alone(session: Any) -> None:
    """Rows without a gradient keep value and moments; Adam moves them by its momentum."""
    moved = {}
    for name, kind in (
        ("adam", tf.train.AdamOptimizer),
        ("lazy", tf.contrib.opt.LazyAdamOptimizer),
    ):
        table = tf.Variable(np.ones((4, 2), np.float32), name=name)
        ids = tf.placeholder(tf.int32, [None])
        rows = tf.nn.embedding_lookup(table, ids)
        train = kind(0.1).minimize(tf.reduce_sum(tf.square(rows)), var_list=[table])
        session.run(tf.global_variables_initializer())
        session.run(train, {ids: [0, 1]})
        before = session.run(table)
        session.run(train, {ids: [2]})
        moved[name] = (session.run(table) != before).any(1).tolist()
    assert moved == {"adam": [True, True, True, False], "lazy": [False, False, True, False]}


def test_names() -> None:
    assert tf.contrib.rnn.LSTMStateTuple is tf.nn.rnn_cell.LSTMStateTuple
    assert tf.contrib.util.constant_value(tf.constant([1, 2])).tolist() == [1, 2]
    assert tf.contrib.framework.get_or_create_global_step().name == "global_step:0"
