"""Hashes of strings of every length that a hash treats differently; nothing is differentiated."""

from __future__ import annotations

import numpy as np
from graph.like_tensorflow import Case

LENGTHS = (*range(34), 48, 63, 64, 65, 66, 100, 127, 128, 129, 200, 257, 1000)
TEXTS = [bytes((7 * k * k + 13 * k + n) % 251 for k in range(n)) for n in LENGTHS]
LARGE = 2**62

CASES: dict[str, Case] = {
    "!fast": (
        lambda tf: [
            tf.string_to_hash_bucket_fast(TEXTS, LARGE),
            tf.strings.to_hash_bucket_fast([["a", "b"]], 10, name="named"),
        ],
        (),
    ),
    "!old": (lambda tf: [tf.string_to_hash_bucket(TEXTS, LARGE)], ()),
    "!strong": (
        lambda tf: [
            tf.string_to_hash_bucket_strong(TEXTS, LARGE, [1, 2**40 + 7]),
            tf.strings.to_hash_bucket_strong("kiln", 1000, key=[0, 0]),
        ],
        (),
    ),
    "!fingerprint": (
        lambda tf: [
            tf.fingerprint(TEXTS), tf.fingerprint([["a", "bc"], ["d", ""]]),
            tf.fingerprint(np.arange(12, dtype=np.float32).reshape(3, 4)),
            tf.fingerprint(np.array([1, 2], np.int64)),
        ],
        (),
    ),
}  # fmt: skip
