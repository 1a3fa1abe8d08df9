"""Operands of random functions: small integers, so that sums are exact in any order."""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.ir.dtypes import BOOL
from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.compiler.ir.types import TensorType

SIZES = (1, 2, 3, 4, 5, 7, 8, 11, 13, 16, 17, 19, 32, 33, 0)
MOST = 3000  # elements of a value
# Images in several layouts, matrices, and rows longer than a few vectors.
SHAPES = (
    (2, 16, 7, 7), (1, 32, 5, 9), (1, 3, 11, 10), (1, 7, 6, 16), (2, 8, 13), (1, 4, 12, 12),
    (17, 33), (40, 48), (64, 40), (2, 9, 21), (5, 257), (3, 130), (1, 700), (2048,), (37, 64),
)  # fmt: skip
LIMIT = 4


def feeds(function: Function, seed: int = 0) -> list[Array]:
    """Small integers, in the dtype of each parameter."""
    return [numbers(value.type, seed + k) for k, value in enumerate(function.parameters)]


def numbers(kind: TensorType, seed: int) -> Array:
    """Small integers of a type."""
    low = -LIMIT if kind.dtype.is_signed else 0
    high = 1 if kind.dtype == BOOL else LIMIT
    found = np.random.default_rng(seed).integers(low, high + 1, kind.sizes)
    return np.asarray(found).astype(kind.dtype.numpy)
