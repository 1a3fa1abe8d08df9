"""`tf.test.compute_gradient`: Jacobians by differentiation and by central differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.ops_constant import placeholder
from tensorkiln.frontends.graph.ops_gradient import gradients
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.stack import get_default_session
from tensorkiln.frontends.graph.tensor import Tensor

Matrix = npt.NDArray[np.float64]


def compute_gradient(
    x: Tensor,
    x_shape: Sequence[int],
    y: Tensor,
    y_shape: Sequence[int],
    x_init_value: object = None,
    delta: float = 1e-3,
    init_targets: object = None,
) -> tuple[Matrix, Matrix]:
    """The Jacobian [elements of x, elements of y] of `y` by `x`, differentiated and numeric.

    In the default session (ValueError if there is none), which first runs `init_targets`, at
    `x_init_value` or random values; `delta` is half the width of the central differences.
    """
    session: Any = get_default_session()
    if session is None:
        raise ValueError("compute_gradient needs a default session: `with sess.as_default():`")
    if init_targets is not None:
        session.run(init_targets)
    if x_init_value is None:
        start = np.random.default_rng(0).uniform(size=tuple(x_shape))
    else:
        start = np.asarray(x_init_value)
    start = start.astype(base(x).numpy)
    weight = placeholder(base(y), tuple(y_shape))
    (slope,) = gradients(y, x, [weight])
    rows = int(np.prod(x_shape, dtype=np.int64)), int(np.prod(y_shape, dtype=np.int64))
    exact, numeric = np.zeros(rows), np.zeros(rows)
    for column in range(rows[1] if slope is not None else 0):
        chosen = np.zeros(rows[1], base(y).numpy)
        chosen[column] = 1
        feeds = {x: start, weight: chosen.reshape(tuple(y_shape))}
        exact[:, column] = np.asarray(session.run(convert_to_tensor(slope), feeds)).reshape(-1)
    for row in range(rows[0]):
        ends = []
        for step in (delta, -delta):
            moved = start.copy()
            moved.reshape(-1)[row] += step
            value = np.asarray(session.run(y, {x: moved}), np.float64)
            ends.append(value.reshape(-1))
        numeric[row] = (ends[0] - ends[1]) / (2 * delta)
    return exact, numeric


def compute_gradient_error(
    x: Tensor,
    x_shape: Sequence[int],
    y: Tensor,
    y_shape: Sequence[int],
    x_init_value: object = None,
    delta: float = 1e-3,
    init_targets: object = None,
) -> float:
    """The largest difference between the two Jacobians of compute_gradient."""
    exact, numeric = compute_gradient(x, x_shape, y, y_shape, x_init_value, delta, init_targets)
    return float(np.abs(exact - numeric).max(initial=0.0))
