"""JAX: a step as one jitted function whose state is donated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax_networks import LOSSES
from losses import parameters, prepared
from prepared import Prepared
from rates import ADAM, DESCENT

VERSION: str = jax.__version__


def _adam(p: Any, m: Any, v: Any, g: Any, rate: Any) -> tuple[Any, Any, Any]:
    """Kingma, Ba, Adam, 2014, algorithm 1 in its second form."""
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g * g
    return p - rate * m / (jnp.sqrt(v) + 1e-8), m, v


def prepare(model: str, inputs: Mapping[str, Any], threads: int) -> Prepared:
    """See worker.py."""
    loss_of = LOSSES[model]

    def step(state: Any, images: Any, labels: Any) -> Any:
        values, first, second, key, count = state
        key, used = jax.random.split(key)
        loss, gradients = jax.value_and_grad(loss_of)(values, images, labels, used)
        count = count + 1.0
        if model in DESCENT:
            values = [p - DESCENT[model] * g for p, g in zip(values, gradients, strict=True)]
        else:
            rate = ADAM[model] * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
            groups = zip(values, first, second, gradients, strict=True)
            found = [_adam(*group, rate) for group in groups]
            values, first, second = (list(part) for part in zip(*found, strict=True))
        return (values, first, second, key, count), loss

    compiled = jax.jit(step, donate_argnums=0)
    values = [jnp.array(array) for array in parameters(inputs)]
    zeros = [] if model in DESCENT else values
    # XLA's own generator; JAX's usual one takes longer for a mask.
    key = jax.random.key(0, impl="rbg")
    state = [(values, *([jnp.zeros_like(p) for p in zeros] for _ in range(2)), key, jnp.float32(0))]
    images, labels = inputs["images"], inputs["labels"]

    def call() -> float:
        state[0], loss = compiled(state[0], images, labels)
        jax.block_until_ready(state[0][0])
        return float(loss)

    return prepared(call)
