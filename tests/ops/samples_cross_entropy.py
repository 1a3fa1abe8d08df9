"""Samples of the cross-entropy; its gradient is the derivative where labels add up to one."""

from __future__ import annotations

from typing import Any

import numpy as np
from ops.samples import Sample, draw

from tensorkiln.compiler.ops.rules import FLOATS


def _expected(axis: int) -> Any:
    def loss(x: Any, labels: Any) -> Any:
        return -(labels * (x - np.log(np.exp(x).sum(axis, keepdims=True)))).sum(axis)

    return loss


def _labels(axis: int) -> Any:
    """Parts of one that every dtype holds exactly, along the axis."""
    parts = {0: [0.25, 0.75], 1: [0.5, 0.0625, 0.125, 0.25, 0.0625], 2: [0.25, 0.5, 0.25]}[axis]
    shape = [len(parts) if k == axis else 1 for k in range(3)]
    return np.broadcast_to(np.array(parts).reshape(shape), (2, 5, 3)).copy()


def _samples() -> list[Sample]:
    found = []
    for dtype in FLOATS:
        for axis in (0, 1, 2):
            arrays = (draw((2, 5, 3), dtype, -2, 2), _labels(axis).astype(dtype.numpy))
            name = "softmax_cross_entropy"
            found.append(Sample(name, arrays, _expected(axis), {"axis": axis}, slack=4))
    return found


SAMPLES = tuple(_samples())
