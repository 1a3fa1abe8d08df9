"""CTC, and sparse tensors made dense."""

from __future__ import annotations

from typing import Any

import numpy as np
from graph.like_tensorflow import Case

R = np.random.RandomState(6)
LOGITS = (R.randn(7, 3, 5) * 2).astype(np.float32)
LENGTHS = np.array([7, 5, 3], np.int32)
M = R.randn(4, 2).astype(np.float32)
VALUES = R.randn(3).astype(np.float32)


def labels(tf: Any) -> Any:
    places = [[0, 0], [0, 1], [0, 2], [1, 0], [2, 0], [2, 1]]
    return tf.SparseTensor(places, tf.constant([1, 1, 3, 0, 2, 0], tf.int32), [3, 3])


def decoded(tf: Any, x: Any, n: Any, **options: Any) -> list[Any]:
    (found,), sums = tf.nn.ctc_greedy_decoder(x, n, **options)
    return [found.indices, found.values, found.dense_shape, sums]


def beams(tf: Any, x: Any, n: Any, **options: Any) -> list[Any]:
    found, scores = tf.nn.ctc_beam_search_decoder(x, n, **options)
    return [*(part for s in found for part in (s.indices, s.values, s.dense_shape)), scores]


def matrix(tf: Any, values: Any) -> Any:
    return tf.SparseTensor([[0, 1], [2, 0], [2, 3]], values, [3, 4])


def ids(tf: Any, values: Any = None) -> Any:
    given = tf.constant([3, 0, 3, 1], tf.int64) if values is None else values
    return tf.SparseTensor([[0, 0], [0, 2], [1, 1], [2, 0]], given, [3, 3])


CASES: dict[str, Case] = {
    "ctc": (
        lambda tf, x: [
            tf.nn.ctc_loss(labels(tf), x, LENGTHS),
            tf.nn.ctc_loss(labels(tf), tf.transpose(x, [1, 0, 2]), LENGTHS, time_major=False),
        ],
        (LOGITS,),
    ),
    "!greedy": (
        lambda tf, x, n: [*decoded(tf, x, n), *decoded(tf, x, n, merge_repeated=False)],
        (LOGITS, LENGTHS),
    ),
    "!beam": (
        lambda tf, x, n: [
            *beams(tf, x, n),
            *beams(tf, x, n, beam_width=4, top_paths=3),
            *beams(tf, x, n, beam_width=2, top_paths=2, merge_repeated=False),
        ],
        (LOGITS, LENGTHS),
    ),
    "to dense": (
        lambda tf, v: [
            tf.sparse_tensor_to_dense(matrix(tf, v)),
            tf.sparse_to_dense([[0, 1], [2, 0]], [3, 2], [5, 6], -1),
            tf.sparse_to_dense([1, 3], [5], 1.0),
        ],
        (VALUES,),
    ),
    "embedding": (
        lambda tf, m, w: [
            tf.nn.embedding_lookup_sparse(
                m, ids(tf), None if plain else ids(tf, w), combiner=combiner
            )
            for combiner in ("sum", "mean", "sqrtn")
            for plain in (True, False)
        ],
        (M, np.array([1.0, 2.0, 0.5, 3.0], np.float32)),
    ),
    "matmul": (
        lambda tf, v, m: [
            tf.sparse_tensor_dense_matmul(matrix(tf, v), m),
            tf.sparse_tensor_dense_matmul(matrix(tf, v), m[:3], adjoint_a=True),
        ],
        (VALUES, M),
    ),
}  # fmt: skip
OTHER_NAMES: dict[str, list[str]] = {}
