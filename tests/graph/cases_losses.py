"""tf.losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from graph.like_tensorflow import Case

R = np.random.RandomState(4)
X = R.randn(3, 4).astype(np.float32)
P = (1 / (1 + np.exp(-R.randn(3, 4)))).astype(np.float32)
Y = (R.randn(3, 4) > 0).astype(np.float32)
WEIGHTS = np.array([[0.5], [0.0], [2.0]], np.float32)


def every(name: str, *first: Any) -> Callable[..., Any]:
    """A loss with weights of each kind and with every reduction."""

    def case(tf: Any, y: Any, x: Any) -> list[Any]:
        loss = getattr(tf.losses, name)
        kinds = tf.losses.Reduction
        return [
            loss(y, x, *first),
            loss(y, x, *first, weights=2.0),
            loss(y, x, *first, weights=WEIGHTS),
            *(
                loss(y, x, *first, weights=WEIGHTS, reduction=kind)
                for kind in (kinds.NONE, kinds.SUM, kinds.MEAN, kinds.SUM_OVER_BATCH_SIZE)
            ),
        ]

    return case


CASES: dict[str, Case] = {
    **{
        name: (every(name), (Y, X))
        for name in ("absolute_difference", "mean_squared_error", "huber_loss", "hinge_loss")
    },
    "log_loss": (every("log_loss"), (Y, P)),
    "cosine_distance": (every("cosine_distance", 1), (P, X)),
    "sigmoid_cross_entropy": (
        lambda tf, y, x: [
            tf.losses.sigmoid_cross_entropy(y, x), tf.losses.sigmoid_cross_entropy(y, x, 1.0, 0.2),
        ],
        (Y, X),
    ),
    "softmax_cross_entropy": (
        lambda tf, x: [
            tf.losses.softmax_cross_entropy(np.eye(4)[[1, 0, 3]], x),
            tf.losses.softmax_cross_entropy(np.eye(4)[[1, 0, 3]], x, label_smoothing=0.1),
            tf.losses.softmax_cross_entropy(np.eye(4)[[1, 0, 3]], x, [1.0, 0.0, 3.0]),
        ],
        (X,),
    ),
    "sparse_softmax_cross_entropy": (
        lambda tf, x: [
            tf.losses.sparse_softmax_cross_entropy([1, 0, 3], x),
            tf.losses.sparse_softmax_cross_entropy([[1], [0], [3]], x, [[1.0], [0.0], [3.0]]),
        ],
        (X,),
    ),
    "pairs": (
        lambda tf, y, x: [
            tf.losses.mean_pairwise_squared_error(y, x),
            tf.losses.mean_pairwise_squared_error(y, x, WEIGHTS),
        ],
        (Y, X),
    ),
    "collections": (
        lambda tf, y, x: [
            tf.losses.mean_squared_error(y, x, scope="only/a"),
            tf.losses.log_loss(y, tf.sigmoid(x), scope="only/b"),
            tf.losses.get_total_loss(scope="only"),
        ],
        (Y, X),
    ),
}  # fmt: skip
OTHER_NAMES: dict[str, list[str]] = {}
