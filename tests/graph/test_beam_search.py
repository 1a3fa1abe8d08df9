"""Beam search against all sequences, and against a loop in numpy; attention in it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

R = np.random.RandomState(11)
BATCH, UNITS, DEPTH, CLASSES, END = 2, 3, 2, 4, 0
TABLE = (R.randn(CLASSES, DEPTH) * 2).astype(np.float32)
START = R.randn(BATCH, UNITS).astype(np.float32)


def seq2seq() -> Any:
    return tf.contrib.seq2seq


def decoder(width: int, penalty: float = 0.0, batch: int | None = BATCH) -> Any:
    cell = tf.nn.rnn_cell.BasicRNNCell(UNITS)
    state = seq2seq().tile_batch(tf.constant(START), width)
    tokens = tf.fill([BATCH], 1) if batch else tf.placeholder_with_default([1, 1], [None])
    layer = tf.layers.Dense(CLASSES)
    return seq2seq().BeamSearchDecoder(
        cell, TABLE, tokens, END, state, width, layer, length_penalty_weight=penalty
    )


def load(session: Any) -> list[Any]:
    random, values = np.random.RandomState(2), []
    for variable in tf.global_variables():
        value = np.asarray(random.standard_normal(variable.shape.as_list()) * 1.3, np.float32)
        variable.load(value, session)
        values.append(value)
    return values


def log_chance(values: list[Any], row: int, words: tuple[int, ...]) -> float:
    kernel, bias, layer, offset = values
    h, total, word = START[row], 0.0, 1
    for following in words:
        h = np.tanh(np.concatenate([TABLE[word], h]) @ kernel + bias)
        logits = h @ layer + offset
        total += float(logits[following] - np.log(np.exp(logits).sum()))
        word = following
        if word == END:
            break
    return total


def ways(steps: int) -> set[tuple[int, ...]]:
    """All sequences, with nothing but ends after an end."""
    found = set()
    for words in itertools.product(range(CLASSES), repeat=steps):
        cut = words.index(END) if END in words else steps
        found.add(words[:cut] + (END,) * (steps - cut))
    return found


@pytest.mark.parametrize("penalty", [0.0, 0.7])
def test_a_wide_beam_finds_the_best_of_all(penalty: float, any_session: Any) -> None:
    steps, width = 3, 40
    outputs, state, _ = seq2seq().dynamic_decode(decoder(width, penalty), maximum_iterations=steps)
    values = load(any_session)
    ids, scores, lengths, logs = any_session.run(
        [outputs.predicted_ids, outputs.beam_search_decoder_output.scores, state.lengths,
         state.log_probs]
    )  # fmt: skip
    assert ids.shape == (BATCH, steps, width)

    def length(words: tuple[int, ...]) -> int:
        # The end counts once it is behind the beam, not in the step that comes to it.
        if END not in words:
            return steps
        return words.index(END) + (words.index(END) < steps - 1)

    for row in range(BATCH):
        chances = {w: log_chance(values, row, w) for w in ways(steps)}
        ranked = sorted(chances, key=lambda w: -chances[w] / ((5 + length(w)) / 6) ** penalty)
        for place in range(10):
            words = tuple(ids[row, :, place])
            assert words == ranked[place]
            expected = chances[words] / ((5 + length(words)) / 6) ** penalty
            np.testing.assert_allclose(scores[row, -1, place], expected, rtol=1e-4)
            np.testing.assert_allclose(logs[row, place], chances[words], rtol=1e-4)
            assert lengths[row, place] == (words.index(END) + 1 if END in words else steps)


def test_a_beam_of_one_is_greedy_and_stops_by_itself(session: Any) -> None:
    made = decoder(1, batch=None)
    outputs, _, _ = seq2seq().dynamic_decode(made)
    greedy = seq2seq().GreedyEmbeddingHelper(TABLE, [1, 1], END)
    with tf.variable_scope("decoder", reuse=True):
        basic = seq2seq().BasicDecoder(made._cell, greedy, tf.constant(START), made._layer)
    with tf.variable_scope(tf.get_variable_scope(), reuse=True):
        expected, _, _ = seq2seq().dynamic_decode(basic, maximum_iterations=30, scope="decoder")
    load(session)
    ids, sampled = session.run([outputs.predicted_ids, expected.sample_id])
    assert ids.shape == (*sampled.shape, 1)
    ended = np.cumsum(sampled == END, 1) > 0
    np.testing.assert_array_equal(ids[..., 0], np.where(ended, END, sampled))


def test_attention_with_its_history(session: Any) -> None:
    width, memory = 3, R.randn(BATCH, 5, UNITS).astype(np.float32)
    tile = seq2seq().tile_batch
    attention = seq2seq().LuongAttention(UNITS, tile(memory, width), tile(np.array([5, 3]), width))
    cell = seq2seq().AttentionWrapper(tf.nn.rnn_cell.GRUCell(UNITS), attention, UNITS)
    start = cell.zero_state(BATCH * width, tf.float32).clone(cell_state=tile(START, width))
    made = seq2seq().BeamSearchDecoder(
        cell, TABLE, [1, 1], END, start, width, tf.layers.Dense(CLASSES)
    )
    outputs, state, _ = seq2seq().dynamic_decode(made, maximum_iterations=4)
    load(session)
    ids, weights = session.run([outputs.predicted_ids, state.cell_state.alignments])
    assert ids.shape[::2] == (BATCH, width)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(weights[1, :, 3:], 0)


def test_alignment_history(session: Any) -> None:
    memory = R.randn(BATCH, 5, UNITS).astype(np.float32)
    attention = seq2seq().BahdanauAttention(UNITS, memory)
    cell = seq2seq().AttentionWrapper(
        tf.nn.rnn_cell.GRUCell(UNITS), attention, alignment_history=True
    )
    helper = seq2seq().TrainingHelper(R.randn(BATCH, 4, DEPTH).astype(np.float32), [4, 2])
    decoder = seq2seq().BasicDecoder(cell, helper, cell.zero_state(BATCH, tf.float32))
    _, state, _ = seq2seq().dynamic_decode(decoder)
    history = state.alignment_history.stack()
    load(session)
    found, last = session.run([history, state.alignments])
    assert found.shape == (4, BATCH, 5)
    np.testing.assert_array_equal(found[-1], last)


def test_gather_tree(session: Any) -> None:
    ids = np.array([[[1, 2]], [[3, 4]], [[5, 0]]], np.int32)
    parents = np.array([[[0, 0]], [[1, 0]], [[1, 0]]], np.int32)
    tree = seq2seq().gather_tree(ids, parents, [3], 0)
    np.testing.assert_array_equal(session.run(tree)[:, 0], [[1, 2], [4, 3], [5, 0]])
    cut = session.run(seq2seq().gather_tree(ids, parents, [2], 9))
    np.testing.assert_array_equal(cut[:, 0], [[2, 1], [3, 4], [9, 9]])


def test_errors() -> None:
    cell = tf.nn.rnn_cell.GRUCell(UNITS)
    make = seq2seq().BeamSearchDecoder
    with pytest.raises(ValueError, match="tile_batch"):
        make(cell, TABLE, [1, 1], END, tf.constant(START), 3)
    with pytest.raises(ValueError, match="start_tokens must be a vector"):
        make(cell, TABLE, 1, END, tf.constant(START), 1)
    with pytest.raises(TypeError, match="Expected decoder to be type Decoder"):
        seq2seq().dynamic_decode(cell)
