"""Decoders against nets in loops and against loops in numpy; attention against its formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

R = np.random.RandomState(7)
BATCH, TIME, DEPTH, UNITS, CLASSES = 3, 5, 2, 4, 6
X = R.randn(BATCH, TIME, DEPTH).astype(np.float32)
MEMORY = R.randn(BATCH, 7, UNITS).astype(np.float32)
LENGTHS = np.array([5, 2, 4], np.int32)
TABLE = R.randn(CLASSES, DEPTH).astype(np.float32)


def seq2seq() -> Any:
    return tf.contrib.seq2seq


def set_values(session: Any, scale: float = 0.7) -> dict[str, Any]:
    random, values = np.random.RandomState(3), {}
    for variable in tf.global_variables():
        shape = variable.shape.as_list()
        value = np.asarray(random.standard_normal(shape) * scale, np.float32)
        variable.load(value, session)
        values[variable.op.name] = value
    return values


def test_training_decoder_is_a_net_and_a_layer(any_session: Any) -> None:
    cell, layer = tf.nn.rnn_cell.GRUCell(UNITS), tf.layers.Dense(CLASSES, use_bias=False)
    helper = seq2seq().TrainingHelper(X, LENGTHS)
    start = cell.zero_state(BATCH, tf.float32)
    decoder = seq2seq().BasicDecoder(cell, helper, start, layer)
    outputs, state, lengths = seq2seq().dynamic_decode(decoder, impute_finished=True)
    assert [v.name for v in tf.trainable_variables()] == [
        "decoder/gru_cell/gates/kernel:0", "decoder/gru_cell/gates/bias:0",
        "decoder/gru_cell/candidate/kernel:0", "decoder/gru_cell/candidate/bias:0",
        "decoder/dense/kernel:0",
    ]  # fmt: skip
    with tf.variable_scope("decoder", reuse=True):
        rows, end = tf.nn.dynamic_rnn(cell, X, LENGTHS, start)
    expected = tf.tensordot(rows, tf.trainable_variables()[-1], 1)
    slope, other = (
        tf.gradients(tf.reduce_sum(tf.square(t)), tf.trainable_variables()[0])[0]
        for t in (outputs.rnn_output, expected)
    )
    set_values(any_session)
    found = any_session.run([outputs, state, lengths, expected, end, slope, other])
    np.testing.assert_allclose(found[0].rnn_output, found[3], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[1], found[4], rtol=1e-4, atol=1e-6)
    assert found[2].tolist() == LENGTHS.tolist()
    np.testing.assert_array_equal(
        found[0].sample_id, np.where(found[3].any(2), found[3].argmax(2), 0)
    )
    np.testing.assert_allclose(found[5], found[6], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("limit", [3, 9])
def test_greedy_decoder(limit: int, session: Any) -> None:
    cell, layer = tf.nn.rnn_cell.BasicRNNCell(UNITS), tf.layers.Dense(CLASSES, use_bias=False)
    helper = seq2seq().GreedyEmbeddingHelper(TABLE, [1, 1, 2], 0)
    start = tf.constant(R.randn(BATCH, UNITS).astype(np.float32))
    decoder = seq2seq().BasicDecoder(cell, helper, start, layer)
    outputs, _, lengths = seq2seq().dynamic_decode(decoder, maximum_iterations=limit)
    values = list(set_values(session, 1.5).values())
    found, counts, h = session.run([outputs.sample_id, lengths, start])
    ids, done = np.array([1, 1, 2]), np.zeros(BATCH, bool)
    expected, ends = [], np.zeros(BATCH, int)
    while len(expected) < limit and not done.all():
        h = np.tanh(np.concatenate([TABLE[ids], h], 1) @ values[0] + values[1])
        ids = (h @ values[2]).argmax(1)
        expected.append(ids)
        ends = np.where(done, ends, len(expected))
        done = done | (ids == 0)
    np.testing.assert_array_equal(found, np.stack(expected, 1))
    np.testing.assert_array_equal(counts, ends)


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("kind", ["luong", "bahdanau", "normed"])
def test_attention_formulas(kind: str, session: Any) -> None:
    lengths = np.array([7, 3, 5])
    if kind == "luong":
        made = seq2seq().LuongAttention(UNITS, MEMORY, lengths)
    else:
        made = seq2seq().BahdanauAttention(UNITS, MEMORY, lengths, normalize=kind == "normed")
    query = R.randn(BATCH, UNITS).astype(np.float32)
    weights, _ = made(query)
    values = set_values(session)
    inside = np.arange(7) < lengths[:, None]
    keys = (MEMORY * inside[..., None]) @ values["memory_layer/kernel"]
    if kind == "luong":
        score = (keys @ query[..., None])[..., 0]
    else:
        scope = "bahdanau_attention"
        moved = query @ values[f"{scope}/query_layer/kernel"]
        v = values[f"{scope}/attention_v"]
        offset = 0.0
        if kind == "normed":
            v = values[f"{scope}/attention_g"] * v / np.sqrt((v * v).sum())
            offset = values[f"{scope}/attention_b"]
        score = (v * np.tanh(keys + moved[:, None] + offset)).sum(-1)
    expected = softmax(np.where(inside, score, -np.inf))
    np.testing.assert_allclose(session.run(weights), expected, rtol=1e-4, atol=1e-6)


def test_attention_wrapper_in_a_decoder(session: Any) -> None:
    attention = seq2seq().LuongAttention(UNITS, MEMORY)
    cell = seq2seq().AttentionWrapper(
        tf.nn.rnn_cell.BasicLSTMCell(UNITS), attention, attention_layer_size=3
    )
    helper = seq2seq().TrainingHelper(X, LENGTHS)
    start = cell.zero_state(BATCH, tf.float32)
    decoder = seq2seq().BasicDecoder(cell, helper, start, tf.layers.Dense(CLASSES))
    outputs, state, _ = seq2seq().dynamic_decode(decoder)
    assert {v.op.name for v in tf.trainable_variables()} == {
        "memory_layer/kernel", "decoder/attention_wrapper/basic_lstm_cell/kernel",
        "decoder/attention_wrapper/basic_lstm_cell/bias",
        "decoder/attention_wrapper/attention_layer/kernel", "decoder/dense/kernel",
        "decoder/dense/bias",
    }  # fmt: skip
    loss = seq2seq().sequence_loss(
        outputs.rnn_output, np.ones((BATCH, TIME), np.int32), tf.ones([BATCH, TIME])
    )
    train = tf.train.AdamOptimizer(0.05).minimize(loss)
    session.run(tf.global_variables_initializer())
    first = session.run(loss)
    for _ in range(5):
        session.run(train)
    assert session.run(loss) < first
    np.testing.assert_allclose(session.run(state.alignments).sum(1), 1, rtol=1e-5)


def test_sequence_loss(session: Any) -> None:
    logits, targets = R.randn(2, 3, 4).astype(np.float32), R.randint(0, 4, (2, 3))
    weights = np.array([[1.0, 1.0, 0.0], [1.0, 0.5, 1.0]], np.float32)
    logs = -np.log(softmax(logits))[np.arange(2)[:, None], np.arange(3), targets] * weights
    loss = seq2seq().sequence_loss
    found = session.run(
        [loss(logits, targets, weights), loss(logits, targets, weights, True, False)]
    )
    np.testing.assert_allclose(found[0], logs.sum() / weights.sum(), rtol=1e-5)
    np.testing.assert_allclose(found[1], logs.sum(1) / weights.sum(1), rtol=1e-5)


def test_errors() -> None:
    cell = tf.nn.rnn_cell.GRUCell(UNITS)
    with pytest.raises(TypeError, match="helper must be a Helper"):
        seq2seq().BasicDecoder(cell, None, cell.zero_state(1, tf.float32))
