"""Incomplete gamma and beta functions, running sums of exponentials."""

from __future__ import annotations

import numpy as np
from graph.like_tensorflow import Case

R = np.random.RandomState(12)
A, X = R.uniform(0.2, 9, (3, 5)), R.uniform(0.1, 14, (3, 5))
B, P = R.uniform(0.2, 9, (3, 5)), R.uniform(0.05, 0.95, (3, 5))
V = R.randn(3, 5)
SMALL = tuple(a.astype(np.float32) for a in (A, B, P))

CASES: dict[str, Case] = {
    "igamma": (lambda tf, a, x: tf.igamma(a, x), (A, X[:1])),
    "!igammac": (lambda tf, a, x: tf.igammac(a, x), (A, X)),
    "betainc": (lambda tf, a, b, x: tf.betainc(a, b, x), SMALL),
    "logsumexp": (
        lambda tf, x: [
            tf.math.cumulative_logsumexp(x, axis, exclusive, reverse)
            for axis in (0, -1)
            for exclusive in (False, True)
            for reverse in (False, True)
        ],
        (V,),
    ),
    "logsumexp far": (
        lambda tf, x: tf.math.cumulative_logsumexp(x),
        (np.array([-2000.0, 3.0, 800.0, -np.inf, 801.0, 2.0]),),
    ),
}  # fmt: skip
OTHER_NAMES: dict[str, list[str]] = {}
