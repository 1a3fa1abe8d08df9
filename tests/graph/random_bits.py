"""Random programs whose numbers are TensorFlow's bit by bit, and how the bits are kept.

`python tests/graph/random_bits.py`, where TensorFlow is installed, runs them under its compat.v1 (on
one thread: its multinomial gives every thread a stream of its own) and writes `recorded/random_bits.json`.
"""

from __future__ import annotations

import importlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RECORDED = Path(__file__).parent / "recorded" / "random_bits.json"
RUNS = 3  # of one session
FLOATS = ("float16", "bfloat16", "float32", "float64")
ALPHAS = [0.001, 0.3, 0.9, 1.0, 1.5, 2.5, 30.0]
RATES = [0.0, 0.5, 3.0, 9.9, 10.0, 11.0, 97.5]


def _of_dtype(name: str) -> Callable[[Any], list[Any]]:
    def make(tf: Any) -> list[Any]:
        dtype = getattr(tf, name)
        drawn = [
            tf.random_normal([1001], dtype=dtype, seed=1),
            tf.random_normal([7, 3], 1.5, 0.7, dtype, seed=2),
            tf.truncated_normal([1003], dtype=dtype, seed=3),
            tf.truncated_normal([2], -1.0, 3.0, dtype, seed=4),
            tf.random_uniform([1002], dtype=dtype, seed=5),
            tf.random_uniform([3, 1], -1.5, 0.7, dtype, seed=6),
            tf.random.stateless_normal([501], [1, 2], dtype=dtype),
            tf.random.stateless_truncated_normal([502], [3, -4], dtype=dtype),
            tf.random.stateless_uniform([503], [5, 2**30], dtype=dtype),
        ]
        if name == "bfloat16":
            return [tf.cast(x, tf.float32) for x in drawn]
        return drawn

    return make


def _drawn_one_by_one(tf: Any) -> list[Any]:
    found = []
    for name in ("float16", "float32", "float64"):
        dtype = getattr(tf, name)
        alphas, rates = (tf.constant(x, dtype) for x in (ALPHAS, RATES))
        found += [
            tf.random_gamma([40], alphas, dtype=dtype, seed=1),
            tf.random_poisson(rates, [50], dtype, seed=2),
        ]
    return [
        *found,
        tf.random_poisson(tf.constant(RATES), [11], tf.int32, seed=3),
        tf.random_poisson(5.0, [], seed=7), tf.random_poisson(5.0, [0], seed=7),
        tf.random_shuffle(tf.range(1001), seed=4), tf.random_shuffle(tf.range(5), seed=5),
        tf.random_shuffle(tf.reshape(tf.range(20), [4, 5]), seed=6),
    ]  # fmt: skip


def _whole_numbers(tf: Any) -> list[Any]:
    logits = tf.constant(np.sin(np.arange(91.0)).reshape(7, 13), tf.float32)
    return [
        tf.random_uniform([1001], -1500, 7777, tf.int32, seed=1),
        tf.random_uniform([1001], -1500, 2**40, tf.int64, seed=2),
        tf.random.stateless_uniform([33], [5, 6], -5, 77777, tf.int32),
        tf.random.stateless_uniform([33], [5, 6], -5, 2**50, tf.int64),
        tf.multinomial(logits, 501, seed=3), tf.multinomial(logits[:3, :5], 6, seed=4),
        tf.random.categorical(tf.cast(logits, tf.float64), 7, tf.int32, seed=5),
        tf.random.stateless_multinomial(logits, 9, [3, 4]),
        tf.random_crop(tf.reshape(tf.range(100), [20, 5]), [3, 2], seed=6),
    ]  # fmt: skip


def _built_of_others(tf: Any) -> list[Any]:
    square, rows = [6, 5], [2, 3, 4]
    initializers = [
        tf.random_normal_initializer(0.5, 2.0, seed=1),
        tf.truncated_normal_initializer(0.5, 2.0, seed=2),
        tf.random_uniform_initializer(-0.3, 0.9, seed=3),
        tf.glorot_normal_initializer(seed=4), tf.glorot_uniform_initializer(seed=5),
        tf.variance_scaling_initializer(2.0, "fan_avg", "untruncated_normal", seed=6),
        tf.uniform_unit_scaling_initializer(1.5, seed=7), tf.initializers.he_normal(seed=8),
        tf.initializers.lecun_uniform(seed=9),
    ]  # fmt: skip
    made = [initializer(shape) for initializer in initializers for shape in (square, rows)]
    ones = tf.ones([33, 3])
    dropped = [
        tf.nn.dropout(ones, rate=0.25, seed=10), tf.nn.dropout(ones, keep_prob=0.5, seed=11),
        tf.nn.dropout(ones, rate=0.5, noise_shape=[33, 1], seed=12),
    ]  # fmt: skip
    return [*made, *dropped]


def _candidates(tf: Any) -> list[Any]:
    truth = tf.constant([[1], [7]], tf.int64)
    drawn = [
        sampler(truth, 1, 5, unique, 50, seed=4)
        for sampler in (
            tf.random.uniform_candidate_sampler, tf.random.log_uniform_candidate_sampler,
            tf.random.learned_unigram_candidate_sampler,
        )
        for unique in (True, False)
    ]  # fmt: skip
    return [part for parts in drawn for part in parts]


PROGRAMS: dict[str, Callable[[Any], list[Any]]] = {
    **{name: _of_dtype(name) for name in FLOATS},
    "one by one": _drawn_one_by_one,
    "whole numbers": _whole_numbers,
    "built of others": _built_of_others,
    "candidates": _candidates,
}


def draw(tf: Any, name: str, open_session: Callable[[], Any]) -> list[list[Any]]:
    """For each output of the program and each run, what is kept of its bits."""
    with tf.Graph().as_default():
        tf.set_random_seed(54)
        outputs = PROGRAMS[name](tf)
        with open_session() as session:
            runs = [session.run(outputs) for _ in range(RUNS)]
    return [[digest(run[k]) for run in runs] for k in range(len(outputs))]


def digest(array: Any) -> str:
    """The number of elements, a checksum of all bits, and the bits of the first three elements."""
    dense = np.ascontiguousarray(array)
    first = dense.reshape(-1)[:3].tobytes().hex(" ", dense.itemsize)
    return f"{dense.size} {zlib.crc32(dense.tobytes()):08x} {first}"


def main() -> None:
    """Records what TensorFlow draws."""
    tf = importlib.import_module("tensorflow.compat.v1")
    tf.disable_v2_behavior()
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    kept = {name: draw(tf, name, lambda: tf.Session(config=config)) for name in PROGRAMS}
    RECORDED.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
