"""Random numbers of given seeds, over two draws where a case fetches them together."""

from __future__ import annotations

from typing import Any

import numpy as np
from graph.like_tensorflow import Case

R = np.random.RandomState(5)
X = R.randn(7, 2).astype(np.float32)
LOGITS = np.array([[0.1, 2.0, -1.0, 0.3], [-np.inf, 1.0, 1.0, 0.0]], np.float32)
ALPHA = np.array([0.3, 1.0, 2.5, 20.0], np.float32)
RATES = np.array([0.5, 3.0, 11.0, 200.0], np.float32)


def by_initializer(name: str, *arguments: Any, **options: Any) -> Any:
    return lambda tf: getattr(tf, name)(*arguments, **options)([4, 4])


CASES: dict[str, Case] = {
    "shuffle": (
        lambda tf, x: [
            tf.stop_gradient(tf.random_shuffle(x, seed=1)), tf.random_shuffle(x[:, 0] > 0, seed=2),
            tf.stop_gradient(tf.random_shuffle(x[0], seed=7)),
        ],
        (X,),
    ),
    "crop": (lambda tf, x: tf.random_crop(x, [3, 1], seed=4), (X,)),
    "multinomial": (
        lambda tf, x: [
            tf.multinomial(x, 9, seed=3), tf.multinomial(x[:1], 2, seed=5, output_dtype=tf.int32),
            tf.random.categorical(x, 5, seed=6),
        ],
        (LOGITS,),
    ),
    "!gamma": (
        lambda tf, a: [
            tf.random_gamma([3], a, seed=2), tf.random_gamma([2], a, [2.0], seed=9),
            tf.random_gamma([5, 2], 0.7, dtype=tf.float64, seed=1),
        ],
        (ALPHA,),
    ),
    "!poisson": (
        lambda tf, r: [
            tf.random_poisson(r, [20], seed=2), tf.random_poisson(4.0, [3], tf.int32, seed=9),
        ],
        (RATES,),
    ),
    "stateless": (
        lambda tf: [
            tf.random.stateless_normal([5], [1, 2]), tf.random.stateless_uniform([2, 3], [7, 8]),
            tf.random.stateless_uniform([6], [7, -8], 3, 90, tf.int32),
            tf.random.stateless_truncated_normal([9], [3, 4], 1.0, 2.0),
            tf.random.stateless_normal([3], [1, 2], dtype=tf.float64),
            tf.random.stateless_uniform([3], np.array([2**40, 5]), dtype=tf.float64),
        ],
        (),
    ),
    "stateless classes": (
        lambda tf, x: tf.random.stateless_multinomial(x, 6, [1, 5]), (LOGITS,)
    ),
    "dtypes": (
        lambda tf: [
            tf.random_normal([5], dtype=tf.float64, seed=1),
            tf.random_uniform([5], dtype=tf.float16, seed=1),
            tf.random_normal([5], dtype=tf.float16, seed=1),
            tf.truncated_normal([9], dtype=tf.float64, seed=1),
            tf.random_uniform([5], -3, 2**40, tf.int64, seed=4),
        ],
        (),
    ),
    **{
        f"initial {name}": (by_initializer(name, *arguments, **options), ())
        for name, arguments, options in (
            ("glorot_uniform_initializer", (), {"seed": 3}),
            ("glorot_normal_initializer", (), {"seed": 3}),
            ("orthogonal_initializer", (2.0,), {"seed": 3}),
            ("uniform_unit_scaling_initializer", (1.5,), {"seed": 3}),
            ("random_normal_initializer", (0.5, 2.0), {"seed": 3}),
            ("truncated_normal_initializer", (), {"stddev": 0.1, "seed": 3}),
            ("variance_scaling_initializer", (2.0, "fan_out", "uniform"), {"seed": 1}),
            ("constant_initializer", (2.5,), {}),
        )
    },
    "initializers": (
        lambda tf: [
            getattr(tf.initializers, name)(seed=5)([3, 4])
            for name in ("he_normal", "he_uniform", "lecun_normal", "lecun_uniform")
        ],
        (),
    ),
    "identity": (lambda tf: tf.initializers.identity(2.0)([3, 3]), ()),
}  # fmt: skip
OTHER_NAMES = {
    "dtypes": [
        "random_normal:0", "random_uniform:0", "random_normal_1:0", "truncated_normal:0",
        "random_uniform_1:0",
    ],
}  # fmt: skip
