"""Candidate samplers of given seeds, and losses over sampled classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from graph.like_tensorflow import Case

R = np.random.RandomState(9)
WEIGHTS, BIASES, X = (R.randn(*s).astype(np.float32) for s in ((20, 4), (20,), (3, 4)))
LABELS = np.array([[3], [0], [11]], np.int64)
UNIGRAMS = (1.0, 20.0, 3.0, 0.5, 7.0, 7.0, 2.0, 90.0, 1.0, 4.0, 11.0, 6.0)
PAIRS = np.array([[3, 5], [0, 1], [11, 3]], np.int64)


def drawn(tf: Any, labels: Any, count: int = 6, seed: int = 5) -> Any:
    return tf.nn.log_uniform_candidate_sampler(labels, labels.shape[1], count, True, 20, seed)


CASES: dict[str, Case] = {
    "log uniform": (
        lambda tf, y: [
            *tf.nn.log_uniform_candidate_sampler(y, 1, 8, True, 20, seed=1),
            *tf.nn.log_uniform_candidate_sampler(y, 1, 30, False, 1000, seed=2),
        ],
        (LABELS,),
    ),
    "uniform": (
        lambda tf, y: [
            *tf.nn.uniform_candidate_sampler(y, 2, 8, True, 20, seed=1),
            *tf.nn.uniform_candidate_sampler(y, 2, 30, False, 64, seed=2),
        ],
        (PAIRS,),
    ),
    "fixed unigrams": (
        lambda tf, y: [
            *tf.nn.fixed_unigram_candidate_sampler(
                y, 2, 7, True, 12, unigrams=UNIGRAMS, distortion=0.75, seed=1
            ),
            *tf.nn.fixed_unigram_candidate_sampler(
                y, 2, 40, False, 14, unigrams=UNIGRAMS, num_reserved_ids=2, seed=2
            ),
            *tf.nn.fixed_unigram_candidate_sampler(
                y[:2], 2, 9, False, 6, unigrams=UNIGRAMS, num_shards=2, shard=1, seed=3
            ),
        ],
        (PAIRS,),
    ),
    "learned unigrams": (
        lambda tf, y: [
            *tf.nn.learned_unigram_candidate_sampler(y, 2, 8, True, 20, seed=1),
            *tf.random.learned_unigram_candidate_sampler(y, 2, 30, False, 15, seed=2),
        ],
        (PAIRS,),
    ),
    "all candidates": (lambda tf, y: [*tf.nn.all_candidate_sampler(y, 2, 12, True)], (PAIRS,)),
    "accidental hits": (
        lambda tf, y: [*tf.nn.compute_accidental_hits(y, [3, 7, 0, 5, 3], 2)], (PAIRS,),
    ),
    "sampled softmax": (
        lambda tf, w, b, x: [
            tf.nn.sampled_softmax_loss(w, b, LABELS, x, 6, 20, sampled_values=drawn(tf, LABELS)),
            tf.nn.sampled_softmax_loss(w, b, PAIRS, x, 6, 20, 2, drawn(tf, PAIRS), False),
            tf.nn.sampled_softmax_loss(w, b, LABELS, x, 6, 20, seed=3),
        ],
        (WEIGHTS, BIASES, X),
    ),
    "nce": (
        lambda tf, w, b, x: [
            tf.nn.nce_loss(w, b, LABELS, x, 6, 20, sampled_values=drawn(tf, LABELS)),
            tf.nn.nce_loss(w, b, PAIRS, x, 12, 20, 2, drawn(tf, PAIRS, 12), True),
        ],
        (WEIGHTS, BIASES, X),
    ),
}  # fmt: skip
OTHER_NAMES: dict[str, list[str]] = {}
