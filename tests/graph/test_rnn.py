"""Recurrent cells against their formulas, and nets in loops against nets unrolled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

R = np.random.RandomState(2)
BATCH, TIME, DEPTH, UNITS = 3, 5, 2, 4
X = R.randn(BATCH, TIME, DEPTH).astype(np.float32)
LENGTHS = np.array([5, 2, 0], np.int32)
CELLS: dict[str, Callable[[], Any]] = {
    "rnn": lambda: tf.nn.rnn_cell.BasicRNNCell(UNITS),
    "gru": lambda: tf.nn.rnn_cell.GRUCell(UNITS),
    "basic lstm": lambda: tf.nn.rnn_cell.BasicLSTMCell(UNITS),
    "lstm": lambda: tf.nn.rnn_cell.LSTMCell(UNITS, use_peepholes=True, num_proj=3, cell_clip=0.5),
    "joined lstm": lambda: tf.nn.rnn_cell.BasicLSTMCell(UNITS, state_is_tuple=False),
    "layers": lambda: tf.nn.rnn_cell.MultiRNNCell(
        [tf.nn.rnn_cell.GRUCell(3), tf.nn.rnn_cell.BasicLSTMCell(UNITS)]
    ),
    "residual": lambda: tf.nn.rnn_cell.ResidualWrapper(tf.nn.rnn_cell.BasicRNNCell(DEPTH)),
}  # fmt: skip
NAMES = {
    "rnn": ["rnn/basic_rnn_cell/kernel:0", "rnn/basic_rnn_cell/bias:0"],
    "gru": [
        "rnn/gru_cell/gates/kernel:0", "rnn/gru_cell/gates/bias:0",
        "rnn/gru_cell/candidate/kernel:0", "rnn/gru_cell/candidate/bias:0",
    ],
    "basic lstm": ["rnn/basic_lstm_cell/kernel:0", "rnn/basic_lstm_cell/bias:0"],
    "lstm": [
        f"rnn/lstm_cell/{name}:0"
        for name in ("kernel", "bias", "w_f_diag", "w_i_diag", "w_o_diag", "projection/kernel")
    ],
    "layers": [
        *(
            f"rnn/multi_rnn_cell/cell_0/gru_cell/{part}/{kind}:0"
            for part in ("gates", "candidate")
            for kind in ("kernel", "bias")
        ),
        "rnn/multi_rnn_cell/cell_1/basic_lstm_cell/kernel:0",
        "rnn/multi_rnn_cell/cell_1/basic_lstm_cell/bias:0",
    ],
    "residual": ["rnn/basic_rnn_cell/kernel:0", "rnn/basic_rnn_cell/bias:0"],
}  # fmt: skip


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def flat(structure: Any) -> list[Any]:
    if isinstance(structure, tuple):
        return [leaf for part in structure for leaf in flat(part)]
    return [structure]


def set_values(session: Any) -> list[Any]:
    """Values of a fixed seed for all variables, by their names' order."""
    random = np.random.RandomState(3)
    values = []
    for variable in tf.global_variables():
        value = random.randn(*variable.shape.as_list()).astype(np.float32) * 0.5
        variable.load(value, session)
        values.append(value)
    return values


@pytest.mark.parametrize("name", NAMES)
def test_names_of_variables(name: str) -> None:
    tf.nn.dynamic_rnn(CELLS[name](), tf.constant(X), dtype=tf.float32)
    assert [v.name for v in tf.trainable_variables()] == NAMES[name]


def test_basic_lstm_formula(session: Any) -> None:
    outputs, state = tf.nn.dynamic_rnn(CELLS["basic lstm"](), X, dtype=tf.float32)
    kernel, bias = set_values(session)
    c = h = np.zeros((BATCH, UNITS))
    steps = []
    for t in range(TIME):
        i, j, f, o = np.split(np.concatenate([X[:, t], h], 1) @ kernel + bias, 4, 1)
        c = c * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
        h = np.tanh(c) * sigmoid(o)
        steps.append(h)
    found, last = session.run([outputs, state])
    np.testing.assert_allclose(found, np.stack(steps, 1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(last.c, c, rtol=1e-4, atol=1e-6)
    assert outputs.shape.as_list() == [BATCH, TIME, UNITS]


def test_gru_formula(session: Any) -> None:
    outputs, _ = tf.nn.dynamic_rnn(CELLS["gru"](), X, dtype=tf.float32)
    gates, gate_bias, kernel, bias = set_values(session)
    h = np.zeros((BATCH, UNITS))
    for t in range(TIME):
        r, u = np.split(sigmoid(np.concatenate([X[:, t], h], 1) @ gates + gate_bias), 2, 1)
        c = np.tanh(np.concatenate([X[:, t], r * h], 1) @ kernel + bias)
        h = u * h + (1 - u) * c
    np.testing.assert_allclose(session.run(outputs)[:, -1], h, rtol=1e-4, atol=1e-6)


def test_lstm_with_peepholes_formula(session: Any) -> None:
    outputs, _ = tf.nn.dynamic_rnn(CELLS["lstm"](), X, dtype=tf.float32)
    kernel, bias, w_f, w_i, w_o, projection = set_values(session)
    c, m = np.zeros((BATCH, UNITS)), np.zeros((BATCH, 3))
    for t in range(TIME):
        i, j, f, o = np.split(np.concatenate([X[:, t], m], 1) @ kernel + bias, 4, 1)
        c = sigmoid(f + 1 + w_f * c) * c + sigmoid(i + w_i * c) * np.tanh(j)
        c = np.clip(c, -0.5, 0.5)
        m = (sigmoid(o + w_o * c) * np.tanh(c)) @ projection
    np.testing.assert_allclose(session.run(outputs)[:, -1], m, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize("name", CELLS)
def test_loop_as_unrolled(name: str, lengths: Any, session: Any) -> None:
    """Outputs, last states and gradients of a loop are those of the steps one by one."""
    cell = CELLS[name]()
    x = tf.constant(X)
    looped, state = tf.nn.dynamic_rnn(cell, x, lengths, dtype=tf.float32)
    with tf.variable_scope(tf.get_variable_scope(), reuse=True):
        rows, end = tf.nn.static_rnn(
            cell, tf.unstack(x, axis=1), dtype=tf.float32, sequence_length=lengths
        )
    unrolled = tf.stack(rows, 1)
    set_values(session)
    weights = np.cos(np.arange(np.prod(unrolled.shape.as_list()))).reshape(unrolled.shape.as_list())
    variables = tf.trainable_variables()
    results = []
    for outputs, last in ((looped, state), (unrolled, end)):
        loss = tf.reduce_sum(outputs * weights.astype(np.float32)) + tf.add_n(
            [tf.reduce_sum(part) for part in flat(last)]
        )
        results.append([outputs, *flat(last), *tf.gradients(loss, [x, *variables])])
    for a, b in zip(*session.run(results), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["gru", "layers"])
def test_compiled(name: str, any_session: Any) -> None:
    outputs, state = tf.nn.dynamic_rnn(CELLS[name](), X, LENGTHS, dtype=tf.float32)
    loss = tf.reduce_sum(tf.square(outputs)) + tf.reduce_sum(flat(state)[0])
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    set_values(any_session)
    before = any_session.run(loss)
    any_session.run(train)
    assert any_session.run(loss) < before


def test_time_major_and_initial_state(session: Any) -> None:
    cell = CELLS["rnn"]()
    start = tf.constant(R.randn(BATCH, UNITS).astype(np.float32))
    rows, _ = tf.nn.dynamic_rnn(cell, X, initial_state=start)
    columns, _ = tf.nn.dynamic_rnn(cell, X.transpose(1, 0, 2), initial_state=start, time_major=True)
    set_values(session)
    a, b = session.run([rows, columns])
    np.testing.assert_allclose(a, b.transpose(1, 0, 2), rtol=1e-6)


@pytest.mark.parametrize("lengths", [None, np.array([5, 2, 3])])
def test_bidirectional(lengths: Any, session: Any) -> None:
    make = CELLS["basic lstm"]
    (fw, bw), _ = tf.nn.bidirectional_dynamic_rnn(
        make(), make(), X, sequence_length=lengths, dtype=tf.float32
    )
    assert [v.name for v in tf.global_variables()][::2] == [
        "bidirectional_rnn/fw/basic_lstm_cell/kernel:0",
        "bidirectional_rnn/bw/basic_lstm_cell/kernel:0",
    ]
    with tf.variable_scope("other"):
        joined, _, _ = tf.nn.static_bidirectional_rnn(
            make(), make(), tf.unstack(tf.constant(X), axis=1), dtype=tf.float32,
            sequence_length=lengths,
        )  # fmt: skip
    values = [R.randn(*v.shape.as_list()) for v in tf.global_variables()[:4]]
    for variable, value in zip(tf.global_variables(), values * 2, strict=True):
        variable.load(value, session)
    a, b, c = session.run([fw, bw, tf.stack(joined, 1)])
    np.testing.assert_allclose(np.concatenate([a, b], 2), c, rtol=1e-4, atol=1e-6)


def test_dropout_wrapper(session: Any) -> None:
    cell = tf.nn.rnn_cell.DropoutWrapper(CELLS["rnn"](), output_keep_prob=0.5, seed=1)
    outputs, _ = tf.nn.dynamic_rnn(cell, X, dtype=tf.float32)
    set_values(session)
    values = session.run(outputs)
    assert 0.2 < (values == 0).mean() < 0.8
    masks = [(values[:, t] == 0) for t in range(TIME)]
    assert any((masks[0] != mask).any() for mask in masks[1:])


def test_errors() -> None:
    with pytest.raises(ValueError, match="you must give a dtype"):
        tf.nn.dynamic_rnn(CELLS["rnn"](), X)
    with pytest.raises(TypeError, match="is not an RNNCell"):
        tf.nn.dynamic_rnn(object(), X, dtype=tf.float32)
    with pytest.raises(ValueError, match="vector of length batch_size"):
        tf.nn.dynamic_rnn(CELLS["rnn"](), X, [[1]], dtype=tf.float32)
