"""Learning rates at several steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from graph.like_tensorflow import Case


def rates(tf: Any, step: Any) -> list[Any]:
    t = tf.train
    return [
        t.exponential_decay(0.1, step, 5, 0.5, staircase=True), t.exponential_decay(0.1, step, 5, 0.5),
        t.natural_exp_decay(0.1, step, 5, 0.5, staircase=True),
        t.inverse_time_decay(0.1, step, 5, 0.5), t.polynomial_decay(0.1, step, 10, power=0.5),
        t.polynomial_decay(0.1, step, 10, power=0.5, cycle=True),
        t.piecewise_constant(step, [3, 12], [0.1, 0.2, 0.3]), t.cosine_decay(0.1, step, 20, 0.1),
        t.cosine_decay_restarts(0.1, step, 5), t.cosine_decay_restarts(0.1, step, 5, 1.0, 0.9, 0.1),
        t.linear_cosine_decay(0.1, step, 20),
    ]  # fmt: skip


CASES: dict[str, Case] = {f"step {n}": (rates, (np.int32(n),)) for n in (0, 3, 12, 27)}
# Scopes are those of version 1, which wraps no function in a call.
_NAMES = [
    "ExponentialDecay:0", "ExponentialDecay_1:0", "NaturalExpDecay:0", "InverseTimeDecay:0",
    "PolynomialDecay:0", "PolynomialDecay_1:0", "PiecewiseConstant/Select_1:0", "CosineDecay:0",
    "SGDRDecay:0", "SGDRDecay_1:0", "LinearCosineDecay:0",
]  # fmt: skip
OTHER_NAMES = dict.fromkeys(CASES, _NAMES)
