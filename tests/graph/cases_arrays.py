"""Elements rearranged, counted and combined."""

from __future__ import annotations

import numpy as np
from graph.like_tensorflow import Case

R = np.random.RandomState(5)
X = R.randn(3, 5).astype(np.float32)
Y = R.randn(5, 4).astype(np.float32)
B = R.randn(2, 3, 5).astype(np.float32)
C = R.randn(2, 5, 4).astype(np.float32)
IMAGE = R.randn(2, 6, 4, 3).astype(np.float32)
DEEP = R.randn(2, 3, 2, 8).astype(np.float32)
VOLUME = R.randn(1, 3, 4, 5, 2).astype(np.float32)
M = R.randn(2, 4, 4).astype(np.float32)
LABELS = np.array([0, 2, 1, 2, 2], np.int32)
GUESSES = np.array([0, 1, 1, 2, 0], np.int32)
LENGTHS = np.array([3, 0, 5], np.int32)

CASES: dict[str, Case] = {
    "einsum": (lambda tf, x, y: tf.einsum("ij,jk->ik", x, y), (X, Y)),
    "einsum batch": (lambda tf, b, c: tf.einsum("bij,bjk->bki", b, c), (B, C)),
    "einsum implicit": (lambda tf, x, y: tf.einsum("ij,jk", x, y), (X, Y)),
    "einsum three": (
        lambda tf, x, y, b: tf.einsum("ij,jk,bij->bk", x, y, b), (X, Y, B)
    ),
    "einsum sums": (
        lambda tf, x, y: [tf.einsum("ij->j", x), tf.einsum("ij,kl->il", x, y)], (X, Y)
    ),
    "einsum ellipsis": (lambda tf, b, y: tf.einsum("...j,jk->...k", b, y), (B, Y)),
    "einsum outer": (lambda tf, x: tf.einsum("i,j->ij", x[0], x[:, 0]), (X,)),
    "einsum trace": (lambda tf, m: tf.einsum("bii->bi", m), (M,)),
    "matrix_set_diag": (lambda tf, m, x: tf.matrix_set_diag(m, x[:2, :4]), (M, X)),
    "matrix_set_diag wide": (lambda tf, b: tf.matrix_set_diag(b, b[:, :, 0]), (B,)),
    "matrix_band_part": (
        lambda tf, m: [
            tf.matrix_band_part(m, 1, 0), tf.matrix_band_part(m, -1, 1),
            tf.matrix_band_part(m, 0, -1),
        ],
        (M,),
    ),
    "matrix_diag": (lambda tf, x: [tf.matrix_diag(x), tf.matrix_diag_part(x)], (X,)),
    "diag": (lambda tf, x: [tf.diag(x[:2, :3]), tf.diag(x[0]), tf.trace(x)], (X,)),
    "diag_part": (
        lambda tf, m: [tf.diag_part(m[0]), tf.diag_part(tf.reshape(m[0], [2, 2, 2, 2]))], (M,)
    ),
    "matrix_transpose": (lambda tf, b: tf.matrix_transpose(b), (B,)),
    "tensordot": (
        lambda tf, b, y: [tf.tensordot(b, y, 1), tf.tensordot(b, y, [[2], [0]])], (B, Y)
    ),
    "roll": (
        lambda tf, x: [
            tf.roll(x, 2, 1), tf.roll(x, [-1, 7], [0, 1]), tf.roll(x, 0, 0),
        ],
        (X,),
    ),
    "roll fed": (lambda tf, x, k: tf.roll(x, k, 1), (X, np.int32(-2))),
    "reverse_sequence": (lambda tf, x, n: tf.reverse_sequence(x, n, 1, 0), (X, LENGTHS)),
    "reverse_sequence other": (
        lambda tf, b, n: tf.reverse_sequence(b, n, seq_axis=0, batch_axis=1),
        (B, np.array([2, 1, 0], np.int64)),
    ),
    "sequence_mask": (
        lambda tf, n: [tf.sequence_mask(n, 5), tf.sequence_mask(n, 4, tf.float32)], (LENGTHS,)
    ),
    "sequence_mask longest": (
        lambda tf: tf.sequence_mask([[1, 3], [2, 0]]), ()
    ),
    "invert_permutation": (
        lambda tf, p: tf.invert_permutation(p), (np.array([3, 0, 2, 1], np.int32),)
    ),
    "meshgrid": (
        lambda tf, x, y: [
            *tf.meshgrid(x[0], y[0]), *tf.meshgrid(x[0], y[0], x[:, 1], indexing="ij"),
        ],
        (X, Y),
    ),
    "repeat": (lambda tf, x: [tf.repeat(x, 2, axis=1), tf.repeat(x, [1, 0, 2], axis=0)], (X,)),
    "unravel_index": (lambda tf, n: tf.unravel_index(n, [2, 3, 4]), (np.int32([1, 7, 23]),)),
    "searchsorted": (
        lambda tf, a, v: [
            tf.searchsorted(a, v), tf.searchsorted(a, v, side="right", out_type=tf.int64)
        ],
        (np.float32([1, 2, 2, 5]), np.float32([0, 2, 3, 6, 5])),
    ),
    "space_to_batch": (
        lambda tf, x: tf.space_to_batch(x, [[0, 0], [1, 1]], 2), (IMAGE,)
    ),
    "space_to_batch_nd": (
        lambda tf, x: tf.space_to_batch_nd(x, [3, 2], [[1, 2], [0, 0]]), (IMAGE,)
    ),
    "batch_to_space": (
        lambda tf, x: tf.batch_to_space(tf.concat([x, x], 0), [[1, 0], [0, 2]], 2), (IMAGE,)
    ),
    "required paddings": (
        lambda tf: list(tf.required_space_to_batch_paddings([5, 7], [2, 3], [[1, 0], [0, 1]])), ()
    ),
    "depth": (
        lambda tf, d, x: [tf.depth_to_space(d, 2), tf.space_to_depth(x, 2)], (DEEP, IMAGE)
    ),
    "image patches": (
        lambda tf, x: [
            tf.extract_image_patches(x, [1, 3, 2, 1], [1, 2, 1, 1], [1, 1, 1, 1], "VALID"),
            tf.extract_image_patches(x, [1, 2, 2, 1], [1, 2, 3, 1], [1, 2, 1, 1], "SAME"),
        ],
        (IMAGE,),
    ),
    "volume patches": (
        lambda tf, v: tf.extract_volume_patches(v, [1, 2, 2, 2, 1], [1, 1, 2, 3, 1], "SAME"),
        (VOLUME,),
    ),
    "confusion_matrix": (
        lambda tf, a, b: [
            tf.confusion_matrix(a, b, 3),
            tf.confusion_matrix(a, b, 4, tf.float32, weights=[1.0, 0.5, 2.0, 1.0, 1.0]),
        ],
        (LABELS, GUESSES),
    ),
    "histograms": (
        lambda tf, x: [
            tf.histogram_fixed_width(x, [-1.0, 1.0], 5),
            tf.histogram_fixed_width_bins(x, [-1.0, 1.0], 4),
        ],
        (X,),
    ),
    "bincount": (
        lambda tf, a: [
            tf.bincount(a), tf.bincount(a, minlength=6), tf.bincount(a, maxlength=2),
            tf.bincount(a, weights=[1.0, 2.0, 0.5, 0.25, 4.0]),
        ],
        (LABELS,),
    ),
    "count_nonzero": (
        lambda tf, x: [
            tf.count_nonzero(x > 0), tf.count_nonzero(tf.nn.relu(x), 1, dtype=tf.int32),
            tf.nn.zero_fraction(tf.nn.relu(x)),
        ],
        (X,),
    ),
    "deviations": (
        lambda tf, x: [
            tf.math.reduce_variance(x), tf.math.reduce_std(x, 1),
            tf.math.reduce_euclidean_norm(x, 0, True), tf.math.reduce_euclidean_norm(x),
        ],
        (X,),
    ),
    "!shapes": (
        lambda tf, x, y: [
            *tf.shape_n([x, y]), *tf.identity_n([x, y]), tf.guarantee_const(x),
            tf.ensure_shape(x, [None, 5]), tf.broadcast_dynamic_shape([3, 1], [2, 1, 5]),
            tf.stop_gradient(tf.parallel_stack([x, x])),
        ],
        (X, Y),
    ),
    "pads": (
        lambda tf, x: [
            tf.pad(x, [[1, 2], [0, 1]], constant_values=2.5),
            tf.pad(x, [[1, 2], [3, 1]], "SYMMETRIC"), tf.pad(x, [[1, 2], [4, 0]], "REFLECT"),
        ],
        (X,),
    ),
    "joins": (
        lambda tf, x: [
            tf.tile(x, [2, 1]), tf.stack([x, x], axis=-1), *tf.unstack(x), *tf.split(x, [2, 3], 1),
            tf.concat([x, x], -1), tf.reverse(x, [0, -1]),
        ],
        (X,),
    ),
    "ranges": (
        lambda tf: [
            tf.range(3, 18, 3), tf.range(3.0, 1.0, -0.5), tf.linspace(2.0, 5.0, 5), tf.range(5),
        ],
        (),
    ),
    "one_hot": (
        lambda tf, n: [
            tf.one_hot(n, 3), tf.one_hot(n, 4, 5, -1, axis=0), tf.one_hot(n, 2, True, False),
        ],
        (LABELS,),
    ),
}  # fmt: skip
# Where TensorFlow's versions differ, the names are version 1's or the plainest ones.
OTHER_NAMES = {
    "repeat": ["Repeat/GatherV2:0", "Repeat_1/GatherV2:0"],
    "einsum three": ["einsum/Einsum:0"],
    "searchsorted": ["searchsorted/LowerBound:0", "searchsorted_1/UpperBound:0"],
    "bincount": [f"bincount{end}/Bincount:0" for end in ("", "_1", "_2", "_3")],
    "ranges": ["range:0", "range_1:0", "LinSpace:0", "range_2:0"],
}
