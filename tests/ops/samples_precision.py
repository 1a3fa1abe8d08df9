"""Samples of reduce_precision: conversions to narrow formats and back say what is right."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import BF16, F16, F32, F64, DType

Array = NDArray[Any]
_EDGES = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 65504, 65519.99, 65520, 6.1e-5, 6.0e-5,
                   1 + 2.0**-11, 1 + 2.0**-10, 1 + 3 * 2.0**-11, -1e-30, 3e38, 1e-45])  # fmt: skip


def _through(narrow: Any) -> Any:
    """There and back; what the narrow format holds as a subnormal number is zero."""

    def expected(x: Array) -> Array:
        found = x.astype(narrow).astype(x.dtype)
        tiny = float(ml_dtypes.finfo(narrow).smallest_normal)
        return np.where(np.abs(found) < tiny, np.copysign(0, x), found).astype(x.dtype)

    return expected


def _sample(x: Array, narrow: Any, exponent: int, mantissa: int, label: str = "") -> Sample:
    attributes = {"exponent_bits": exponent, "mantissa_bits": mantissa}
    return Sample(
        "reduce_precision", (x,), _through(narrow), attributes, label=label, raw=True, exact=True,
        differentiate=(),
    )  # fmt: skip


def _drawn(dtype: DType) -> Array:
    return np.asarray(draw((37,), dtype, seed=4) * draw((37,), dtype, seed=5) * 3).astype(
        dtype.numpy
    )


def _identity(dtype: DType) -> Sample:
    attributes = {"exponent_bits": 11, "mantissa_bits": 52}
    return Sample("reduce_precision", (_drawn(dtype),), lambda x: x, attributes, label="wide",
                  raw=True, exact=True)  # fmt: skip


SAMPLES = (
    _identity(F64),
    _identity(F32),
    _sample(_EDGES.astype(np.float32), np.float16, 5, 10, "edges"),
    _sample(_EDGES, np.float16, 5, 10, "edges"),
    _sample(_drawn(F32), ml_dtypes.bfloat16, 8, 7),
    _sample(_drawn(F64), np.float32, 8, 23),
    _sample(_drawn(F16), ml_dtypes.float8_e5m2, 5, 2),
    _sample(_drawn(BF16), ml_dtypes.float8_e5m2, 5, 2),
)
