"""JAX: the model's nodes as functions of jax.numpy and lax, compiled by XLA for the CPU.

XLA takes its number of threads from the processors that the process may use when it starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax_nodes import TABLE
from onnx_nodes import Model
from prepared import Prepared

VERSION: str = jax.__version__


def prepare(model: str, inputs: Mapping[str, Any], threads: int) -> Prepared:
    """See worker.py."""
    jax.clear_caches()  # they keep programs, whose constants are the weights of models before
    loaded = Model(model)
    loaded.check(TABLE)
    given = [inputs[name] for name in loaded.inputs]
    weights = {name: jax.device_put(array) for name, array in loaded.weights.items()}
    arrays = [jax.device_put(array) for array in given]
    # Weights are constants of the program, which XLA may turn and fold.
    step = jax.jit(lambda *values: loaded.run(TABLE, weights, values))
    found: list[Any] = []

    def call() -> None:
        found[:] = jax.block_until_ready(step(*arrays))

    def copied() -> list[Any]:
        return [np.asarray(array) for array in found]

    return Prepared(call, copied, lambda: [np.asarray(array) for array in step(*given)])
