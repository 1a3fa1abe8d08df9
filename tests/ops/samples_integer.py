"""Samples of products of bytes: those of dot_general and convolution with 8-bit operands."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw
from ops.samples_contract import SAMPLES as WIDE

from tensorkiln.compiler.ir.dtypes import I8, U8, DType

Array: TypeAlias = NDArray[Any]
_NAMES = {"dot_general": "integer_dot", "convolution": "integer_convolution"}


def _of_bytes(wide: Sample, lhs: DType, rhs: DType) -> Sample:
    def expected(a: Array, b: Array) -> Array:
        found: Array = np.asarray(wide.expected(a.astype(np.int64), b.astype(np.int64)))
        return found

    arrays = tuple(
        np.array(draw(array.shape, dtype, -128, 256 if dtype is U8 else 128, seed=seed))
        for seed, (array, dtype) in enumerate(zip(wide.arrays, (lhs, rhs), strict=True))
    )
    return Sample(
        _NAMES[wide.op], arrays, expected, wide.attributes, label=wide.label, raw=True, exact=True
    )


_PAIRS = ((U8, I8), (I8, I8), (U8, U8), (I8, U8))
SAMPLES = tuple(
    _of_bytes(wide, *_PAIRS[number % len(_PAIRS)] if number % 3 else (U8, I8))
    for number, wide in enumerate(WIDE)
)
