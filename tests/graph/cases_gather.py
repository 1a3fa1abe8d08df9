"""Reading and writing at indices, running folds, segments, and what depends on values in its size."""

from __future__ import annotations

import numpy as np
from graph.like_tensorflow import Case

R = np.random.RandomState(5)
X = R.randn(4, 5).astype(np.float32)
T = R.randn(2, 3, 4).astype(np.float32)
V = np.array([1.5, -2.0, 0.5, 3.0, 2.0], np.float32)
Z = np.array([1.5, 0.0, 0.5, 2.0, -1.0], np.float32)
N = np.array([3, 1, 4, 1, 5, 9, 2, 6], np.int32)
AT = np.array([3, 0, 3], np.int32)
PAIRS = np.array([[1, 2], [0, 0], [1, 2]], np.int32)
EACH = np.array([[2, 0], [1, 1]], np.int32)
IDS = np.array([0, 0, 2, 3], np.int32)
MIXED = np.array([2, -1, 0, 2], np.int64)
MASK = np.array([True, False, True, True])


def _variable(tf: object, kind: str, *arguments: object) -> object:
    """A variable's value after it was changed."""
    start = tf.constant(np.arange(2.0, 7.0, dtype=np.float32))  # type: ignore[attr-defined]
    variable = tf.Variable(start, name=f"v_{kind}", trainable=False)  # type: ignore[attr-defined]
    with tf.control_dependencies([variable.initializer]):  # type: ignore[attr-defined]
        changed = getattr(tf, kind)(variable, *arguments)
    with tf.control_dependencies([changed]):  # type: ignore[attr-defined]
        return tf.identity(variable.read_value(), name=kind)  # type: ignore[attr-defined]


CASES: dict[str, Case] = {
    "cumsum": (lambda tf, x: [tf.cumsum(x, 1), tf.cumsum(x, exclusive=True, reverse=True)], (X,)),
    "cumprod": (
        lambda tf, x: [tf.cumprod(x, -1), tf.cumprod(x, 0, exclusive=True, name="p")], (X,)
    ),
    "int cumsum": (lambda tf, n: [tf.cumsum(n), tf.cumprod(n, reverse=True)], (N,)),
    "gather": (
        lambda tf, x, i: [tf.gather(x, i), tf.gather(x, i, axis=1), tf.gather(x, 2, axis=-1)],
        (X, AT),
    ),
    "gather batch": (
        lambda tf, t, i: [
            tf.gather(t, i, batch_dims=1), tf.gather(t, i, axis=2, batch_dims=1),
            tf.gather(t, i, axis=2, batch_dims=-1),
        ],
        (T, EACH),
    ),
    "gather_nd": (
        lambda tf, t, p: [
            tf.gather_nd(t, p), tf.gather_nd(t, [[1], [0]]), tf.gather_nd(t, [[[1, 2, 3]]]),
        ],
        (T, PAIRS),
    ),
    "embedding": (lambda tf, x, e: tf.nn.embedding_lookup(x, e), (X, EACH)),
    "scatter_nd": (
        lambda tf, v, t: [
            tf.scatter_nd([[1], [3], [1], [0], [2]], v, [6]),
            tf.scatter_nd([[4], [0]], t, [5, 3, 4]),
            tf.scatter_nd([[0, 1], [2, 0]], v[:2], [3, 2]),
        ],
        (V, T),
    ),
    "tensor_scatter": (
        lambda tf, v, u: [
            tf.tensor_scatter_update(v, [[1], [3]], u), tf.tensor_scatter_add(v, [[1], [1]], u),
            tf.tensor_scatter_sub(v, [[4], [3]], u),
        ],
        (V, np.float32([5, 7])),
    ),
    "!tensor_scatter extremes": (
        lambda tf, v, u: [
            tf.tensor_scatter_nd_min(v, [[1], [3]], u), tf.tensor_scatter_nd_max(v, [[1], [3]], u),
        ],
        (V, np.float32([2.5, 1])),
    ),
    "one_hot": (lambda tf, i: tf.one_hot(i, 4, 2.0, -1.0, axis=0), (AT,)),
    "!scatter rows": (
        lambda tf, u: [
            _variable(tf, "scatter_update", [1, 4], u), _variable(tf, "scatter_add", [1, 1], u),
            _variable(tf, "scatter_sub", [0, 4], u), _variable(tf, "scatter_mul", [2, 3], u),
            _variable(tf, "scatter_div", [2, 3], u), _variable(tf, "scatter_min", [2, 3], u),
            _variable(tf, "scatter_max", [0, 3], 4.5),
        ],
        (np.float32([3, -0.5]),),
    ),
    "!scatter nd": (
        lambda tf, u: [
            _variable(tf, "scatter_nd_update", [[1], [4]], u),
            _variable(tf, "scatter_nd_add", [[1], [1]], u),
            _variable(tf, "scatter_nd_sub", [[0], [4]], u),
        ],
        (np.float32([3, -0.5]),),
    ),
    "segments": (
        lambda tf, x: [
            tf.segment_sum(x, IDS), tf.segment_mean(x, IDS), tf.segment_max(x, IDS),
            tf.segment_min(x, IDS),
        ],
        (X,),
    ),
    "segments fed": (lambda tf, x, i: [tf.segment_sum(x, i), tf.segment_max(x, i)], (X, IDS)),
    "!segment prod": (lambda tf, x, i: tf.segment_prod(x, i), (X, IDS)),
    "unsorted": (
        lambda tf, x, i: [
            tf.unsorted_segment_sum(x, i, 4), tf.unsorted_segment_max(x, i, 3),
            tf.unsorted_segment_min(x, i, 3), tf.unsorted_segment_mean(x, i, 3),
            tf.unsorted_segment_sqrt_n(x, i, 3),
        ],
        (X, MIXED),
    ),
    "unsorted product": (lambda tf, z, i: tf.unsorted_segment_prod(z[:4], i, 3), (Z, MIXED)),
    "unsorted 2d ids": (
        lambda tf, t: tf.unsorted_segment_sum(t, [[0, 1, 0], [2, 1, -1]], 3), (T,),
    ),
    "int segments": (
        lambda tf, n: [
            tf.segment_sum(n, [0, 0, 1, 1, 1, 3, 3, 3]),
            tf.unsorted_segment_max(n, [0, 0, 1, 1, 1, 3, 3, 3], 5),
        ],
        (N,),
    ),
    "sparse segments": (
        lambda tf, x: [
            tf.sparse_segment_sum(x, [0, 2, 2], [0, 0, 1]),
            tf.sparse_segment_mean(x, [0, 2, 3], [0, 0, 2]),
            tf.sparse_segment_sqrt_n(x, [0, 2, 3], [0, 0, 2]),
        ],
        (X,),
    ),
    "sparse segments numbered": (
        lambda tf, x: [
            tf.sparse_segment_sum(x, [0, 2, 2], [0, 0, 1], num_segments=3),
            tf.sparse_segment_mean(x, [0, 2, 2], [0, 0, 3], num_segments=5),
        ],
        (X,),
    ),
    "partition": (lambda tf, x, i: tf.dynamic_partition(x, i, 4), (X, IDS)),
    "partition 2d": (lambda tf, t: tf.dynamic_partition(t, [[0, 1, 0], [1, 1, 0]], 3), (T,)),
    "stitch": (
        lambda tf, x, y: [
            tf.dynamic_stitch([[4, 0], [2, 1, 5], 3], [x[:2], x[1:], y]),
        ],
        (X, V),
    ),
    # TensorFlow sends a cotangent to slices that were overwritten as well, so only values here.
    "!stitch twice": (
        lambda tf, x, i: [
            tf.dynamic_stitch([[1, 0], [2, 1, 2]], [x[:2], x[1:]]),
            tf.dynamic_stitch([i, [1]], [x[:3], x[3:]]),
        ],
        (X, np.int32([2, 0, 2])),
    ),
    "stitch inverse": (
        lambda tf, x, i: tf.dynamic_stitch(
            tf.dynamic_partition(tf.range(4), i, 4), tf.dynamic_partition(x * 2.0, i, 4)
        ),
        (X, IDS),
    ),
    "boolean_mask": (
        lambda tf, x, m: [
            tf.boolean_mask(x, m), tf.boolean_mask(x, [True, False, False, True, True], axis=1),
            tf.boolean_mask(x, x > 0),
        ],
        (X, MASK),
    ),
    "where": (lambda tf, x, m: [tf.where(m), tf.where(x > 0.5)], (X, MASK)),
    "unique": (
        lambda tf, n: [
            *tf.unique(n), *tf.unique(n, out_idx=tf.int64), *tf.unique_with_counts(n),
            *tf.setdiff1d(n, [1, 9]),
        ],
        (N,),
    ),
}  # fmt: skip
