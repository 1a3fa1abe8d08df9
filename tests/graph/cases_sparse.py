"""Functions of sparse tensors, and embeddings of features that may be missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from graph.like_tensorflow import Case

R = np.random.RandomState(21)
PLACES = [[0, 1], [0, 3], [2, 0], [2, 3]]
VALUES = R.randn(4).astype(np.float32)
OTHER = R.randn(3).astype(np.float32)
TABLE = R.randn(6, 3).astype(np.float32)


def first(tf: Any, values: Any) -> Any:
    return tf.SparseTensor(PLACES, values, [3, 4])


def second(tf: Any, values: Any) -> Any:
    return tf.SparseTensor([[0, 3], [1, 1], [2, 0]], values, [3, 4])


def parts(*tensors: Any) -> list[Any]:
    return [part for t in tensors for part in (t.indices, t.values, t.dense_shape)]


def deep(tf: Any, values: Any) -> Any:
    return tf.SparseTensor([[0, 0, 1], [0, 2, 0], [1, 1, 1], [1, 2, 1]], values, [2, 3, 2])


def ids(tf: Any, values: Sequence[int] = (1, -1, 4, 0)) -> Any:
    return tf.SparseTensor([[0, 0], [0, 2], [2, 0], [3, 1]], tf.constant(values, tf.int64), [5, 3])


CASES: dict[str, Case] = {
    "order": (
        lambda tf, v: parts(
            tf.sparse_reorder(tf.SparseTensor([[2, 3], [0, 1], [2, 0], [0, 3]], v, [3, 4])),
            tf.sparse_transpose(first(tf, v)),
            tf.sparse_transpose(deep(tf, v), [2, 0, 1]),
        ),
        (VALUES,),
    ),
    "!join": (
        lambda tf, v, w: parts(
            tf.sparse_concat(1, [first(tf, v), second(tf, w)]),
            tf.sparse_concat(0, [second(tf, w), first(tf, v), second(tf, w)]),
        ),
        (VALUES, OTHER),
    ),
    "!split": (
        lambda tf, v: parts(*tf.sparse_split(sp_input=first(tf, v), num_split=3, axis=1)),
        (VALUES,),
    ),
    "cut": (
        lambda tf, v: parts(
            tf.sparse_slice(first(tf, v), [0, 1], [2, 9]),
            tf.sparse_retain(first(tf, v), [True, False, False, True]),
            tf.sparse_reshape(first(tf, v), [2, -1, 3]),
            tf.sparse_reset_shape(tf.sparse_slice(first(tf, v), [0, 0], [2, 4])),
            tf.sparse_reset_shape(first(tf, v), [7, 5]),
        ),
        (VALUES,),
    ),
    "fill": (
        lambda tf, v: [
            *parts(tf.sparse_fill_empty_rows(first(tf, v), 7.0)[0]),
            tf.sparse_fill_empty_rows(first(tf, v), 7.0)[1],
        ],
        (VALUES,),
    ),
    "add": (
        lambda tf, v, w: [
            *parts(tf.sparse_add(first(tf, v), second(tf, w))),
            tf.sparse_add(first(tf, v), tf.ones([3, 4])),
        ],
        (VALUES, OTHER),
    ),
    "!elementwise": (
        lambda tf, v, w: parts(
            tf.sparse_maximum(first(tf, v), second(tf, w)),
            tf.sparse_minimum(first(tf, v), second(tf, w)),
        ),
        (VALUES, OTHER),
    ),
    "reduce": (
        lambda tf, v: [
            tf.sparse_reduce_sum(first(tf, v)),
            tf.sparse_reduce_sum(first(tf, v), 0),
            tf.sparse_reduce_sum(deep(tf, v), [0, -1]),
            tf.sparse_reduce_sum(deep(tf, v), 1, keepdims=True),
        ],
        (VALUES,),
    ),
    "!reduce": (
        lambda tf, v: [
            tf.sparse_reduce_max(first(tf, v), 1),
            tf.sparse_reduce_max(deep(tf, v), 0),
            *parts(tf.sparse_reduce_sum_sparse(deep(tf, v), 1)),
            *parts(tf.sparse_reduce_max_sparse(first(tf, v), 0)),
        ],
        (VALUES,),
    ),
    "softmax": (
        lambda tf, v: parts(tf.sparse_softmax(first(tf, v)), tf.sparse_softmax(deep(tf, v))),
        (VALUES,),
    ),
    "!merge": (
        lambda tf, v: [
            *parts(tf.sparse_merge(ids(tf, (1, 5, 4, 0)), second_like(tf, v), 7)),
            tf.sparse_to_indicator(ids(tf, (1, 5, 4, 0)), 7),
            tf.sparse_matmul(tf.reshape(v, [2, 2]), tf.reshape(v, [2, 2]), transpose_b=True),
        ],
        (VALUES,),
    ),
    "!distance": (
        lambda tf: [
            tf.edit_distance(words(tf, hypothesis), words(tf, truth), normalize)
            for hypothesis, truth in (((3, 4, 5, 6), (3, 5, 5, 7)),)
            for normalize in (True, False)
        ],
        (),
    ),
    "safe": (
        lambda tf, m, w: [
            tf.nn.safe_embedding_lookup_sparse([m], ids(tf)),
            tf.nn.safe_embedding_lookup_sparse([m], ids(tf), second_like(tf, w), "sqrtn", 2),
            tf.nn.safe_embedding_lookup_sparse([m[:3], m[3:]], ids(tf), None, "sum"),
        ],
        (TABLE, np.array([1.0, 2.0, -1.0, 3.0], np.float32)),
    ),
}  # fmt: skip


def second_like(tf: Any, values: Any) -> Any:
    return tf.SparseTensor([[0, 0], [0, 2], [2, 0], [3, 1]], values, [5, 3])


def words(tf: Any, letters: Sequence[int]) -> Any:
    return tf.SparseTensor([[0, 0], [0, 1], [1, 0], [2, 0]][: len(letters)], list(letters), [4, 3])


# Places and values are found by ops of their own, so outputs are not those of one op.
OWN_NAMES = True
