"""Cells of tf.contrib.rnn, nets whose states are kept, scheduled sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

R = np.random.RandomState(3)
X, C, H = (R.randn(3, n).astype(np.float32) for n in (4, 5, 5))
KERNEL = R.randn(9, 20).astype(np.float32)


def logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def one_step(cell: Any, session: Any, values: dict[str, Any]) -> Any:
    state = tf.nn.rnn_cell.LSTMStateTuple(tf.constant(C), tf.constant(H))
    output, after = cell(tf.constant(X), state)
    session.run(tf.global_variables_initializer())
    for variable in tf.global_variables():
        key = variable.op.name.partition("/")[2]
        if key in values:
            variable.load(values[key], session)
    return session.run([output, after.c, after.h])


def test_block_cells_are_basic_cells(session: Any) -> None:
    bias = R.randn(20).astype(np.float32)
    values = {"kernel": KERNEL, "bias": bias}
    found = one_step(tf.contrib.rnn.LSTMBlockCell(5), session, values)
    expected = one_step(tf.contrib.rnn.BasicLSTMCell(5), session, values)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    names = [v.name for v in tf.global_variables()][:2]
    assert names == ["lstm_cell/kernel:0", "lstm_cell/bias:0"]


def test_block_cells_with_peepholes_and_clipping(session: Any) -> None:
    diagonals = {f"w_{gate}_diag": R.randn(5).astype(np.float32) for gate in "ifo"}
    cell = tf.contrib.rnn.LSTMBlockCell(5, forget_bias=0.5, cell_clip=0.3, use_peephole=True)
    output, memory, again = one_step(cell, session, {"kernel": KERNEL, **diagonals})
    i, j, f, o = np.split(np.concatenate([X, H], 1) @ KERNEL, 4, 1)
    i, f = i + C * diagonals["w_i_diag"], f + 0.5 + C * diagonals["w_f_diag"]
    c = np.clip(np.tanh(j) * logistic(i) + C * logistic(f), -0.3, 0.3)
    h = np.tanh(c) * logistic(o + c * diagonals["w_o_diag"])
    np.testing.assert_allclose(memory, c, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(output, h, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(output, again)


def normalized(x: Any, gain: float, shift: float) -> Any:
    mean, variance = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-12) * gain + shift


def test_cells_with_layer_normalisation(session: Any) -> None:
    cell = tf.contrib.rnn.LayerNormBasicLSTMCell(5, norm_gain=0.9, norm_shift=0.1)
    output, memory, _ = one_step(cell, session, {"kernel": KERNEL})
    parts = np.split(np.concatenate([X, H], 1) @ KERNEL, 4, 1)
    i, j, f, o = (normalized(part, 0.9, 0.1) for part in parts)
    c = normalized(C * logistic(f + 1) + logistic(i) * np.tanh(j), 0.9, 0.1)
    np.testing.assert_allclose(memory, c, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(output, np.tanh(c) * logistic(o), rtol=1e-4, atol=1e-5)
    names = [v.op.name.partition("/")[2] for v in tf.trainable_variables()]
    places = ("input", "transform", "forget", "output", "state")
    assert names == ["kernel", *(f"{p}/{n}" for p in places for n in ("gamma", "beta"))]


def test_cells_with_dropout_and_no_norm(session: Any) -> None:
    cell = tf.contrib.rnn.LayerNormBasicLSTMCell(
        5, layer_norm=False, dropout_keep_prob=0.5, dropout_prob_seed=1
    )
    one_step(cell, session, {"kernel": KERNEL})
    assert [v.op.name.partition("/")[2] for v in tf.trainable_variables()] == ["kernel", "bias"]


class Keeper:
    """Keeps states in variables."""

    def __init__(self, **sizes: int) -> None:
        self.kept = {
            name: tf.get_variable(f"kept_{name}", [3, size], initializer=tf.zeros_initializer())
            for name, size in sizes.items()
        }

    def state(self, name: str) -> Any:
        return self.kept[name].read_value()

    def save_state(self, name: str, value: Any) -> Any:
        return tf.assign(self.kept[name], value)


def test_states_are_kept_from_batch_to_batch(session: Any) -> None:
    cell, keeper = tf.nn.rnn_cell.BasicLSTMCell(5), Keeper(c=5, h=5)
    steps = [tf.constant(R.randn(3, 4).astype(np.float32)) for _ in range(4)]
    with tf.variable_scope("net"):
        outputs, _ = tf.nn.static_state_saving_rnn(cell, steps[:2], keeper, ("c", "h"), scope="r")
    with tf.variable_scope("net", reuse=True):
        expected, _ = tf.nn.static_rnn(cell, steps[:2] * 2, dtype=tf.float32, scope="r")
    session.run(tf.global_variables_initializer())
    found = [session.run(outputs[-1]) for _ in range(2)]
    wanted = session.run([expected[1], expected[3]])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="do not agree"):
        tf.nn.static_state_saving_rnn(cell, steps, keeper, "c")


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_scheduled_sampling_at_its_limits(chance: float, session: Any) -> None:
    """Never: the inputs as they are; always: what was said, as the samples show."""
    seq2seq = tf.contrib.seq2seq
    inputs = tf.constant(R.randn(2, 4, 6).astype(np.float32))
    table = tf.constant(R.randn(7, 6).astype(np.float32))
    helpers = [
        seq2seq.ScheduledEmbeddingTrainingHelper(inputs, [4, 3], table, chance, seed=1),
        seq2seq.TrainingHelper(inputs, [4, 3]),
    ]
    found = []
    cell = tf.nn.rnn_cell.GRUCell(7)
    for helper in helpers:
        decoder = seq2seq.BasicDecoder(cell, helper, cell.zero_state(2, tf.float32))
        outputs, _, lengths = seq2seq.dynamic_decode(decoder)
        found.append((outputs.rnn_output, outputs.sample_id, lengths))
    session.run(tf.global_variables_initializer())
    (scheduled, ids, lengths), (plain, _, _) = session.run(found)
    assert lengths.tolist() == [4, 3]
    if chance == 0:
        np.testing.assert_allclose(scheduled, plain, rtol=1e-5, atol=1e-6)
        assert (ids[0] == -1).all()
    else:
        assert (ids[0] >= 0).all()
        assert np.abs(scheduled[:, 1:] - plain[:, 1:]).max() > 1e-3


def test_scheduled_outputs(session: Any) -> None:
    seq2seq = tf.contrib.seq2seq
    inputs, more = tf.ones([2, 3, 5]), tf.ones([2, 3, 1])
    helper = seq2seq.ScheduledOutputTrainingHelper(inputs, [3, 3], 1.0, auxiliary_inputs=more)
    cell = tf.nn.rnn_cell.BasicRNNCell(5)
    decoder = seq2seq.BasicDecoder(cell, helper, cell.zero_state(2, tf.float32))
    outputs, _, _ = seq2seq.dynamic_decode(decoder)
    session.run(tf.global_variables_initializer())
    assert session.run(outputs.sample_id).tolist() == [[1] * 3] * 2
    with pytest.raises(ValueError, match="either a scalar or a vector"):
        seq2seq.ScheduledOutputTrainingHelper(inputs, [3, 3], [[1.0]])
