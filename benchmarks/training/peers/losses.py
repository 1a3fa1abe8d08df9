"""What every engine gives the worker: its losses at first, and a step to time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from prepared import Prepared

COMPARED = 4


def parameters(inputs: Mapping[str, Any]) -> list[Any]:
    """The first values of the parameters, in order."""
    count = sum(name.startswith("parameter") for name in inputs)
    return [inputs[f"parameter{number}"] for number in range(count)]


def prepared(step: Callable[[], float]) -> Prepared:
    """`step` trains on the minibatch and gives the loss before its update."""
    losses = np.array([step() for _ in range(COMPARED)])
    return Prepared(step, lambda: [losses], lambda: [losses])
