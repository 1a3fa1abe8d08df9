"""Arrays compared bit by bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.function import Array


def same_bits(a: Array, b: Array) -> bool:
    """True for arrays of one dtype, shape and content, NaNs and signs of zeros included."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a is b or a.__array_interface__ == b.__array_interface__:  # views of the same memory
        return True
    return np.array_equal(_bits(a), _bits(b))


def _bits(array: Array) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
