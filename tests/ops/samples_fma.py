"""Samples of the fused multiply-add; expectations are exact sums, rounded once."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import F32, F64, DType


def _exact(a: NDArray[Any], b: NDArray[Any], c: NDArray[Any]) -> NDArray[Any]:
    triples = zip(*(x.reshape(-1).tolist() for x in (a, b, c)), strict=True)
    sums = [Fraction(x) * Fraction(y) + Fraction(z) for x, y, z in triples]
    if a.dtype == np.float64:
        return np.array([float(s) for s in sums]).reshape(a.shape)
    return np.array([_rounded_to_f32(s) for s in sums], np.float32).reshape(a.shape)


def _rounded_to_f32(x: Fraction) -> np.float32:
    """The nearest of three candidates; the drawn numbers make no ties."""
    near = np.float32(float(x))
    around = [np.nextafter(near, np.float32(end)) for end in (-np.inf, np.inf)]
    return min([near, *around], key=lambda y: abs(Fraction(float(y)) - x))


def _cancelling(dtype: DType) -> Sample:
    # a * b - round(a * b): what is left is what rounding took off.
    a, b = (draw((17,), dtype, 0.5, 2, seed) for seed in range(2))
    return Sample(
        "fused_multiply_add", (a, b, -(a * b)), _exact, label="cancelling", raw=True, exact=True,
        differentiate=(),
    )  # fmt: skip


SAMPLES = (
    *(
        Sample(
            "fused_multiply_add", tuple(draw((5, 7), d, -2, 2, seed) for seed in range(3)), _exact,
            raw=True, exact=True,
        )
        for d in (F32, F64)
    ),
    _cancelling(F32),
    _cancelling(F64),
)  # fmt: skip
