"""Samples of cumulative."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import BF16, BOOL, F16, F32, F64, I8, I32, I64, U8, DType
from tensorkiln.compiler.ops.reducers import identity

Array: TypeAlias = NDArray[Any]
FUNCTIONS: dict[str, Any] = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
}


def _scan(
    x: Array,
    dtype: DType,
    reducer: str,
    axis: int,
    exclusive: bool = False,
    reverse: bool = False,
    label: str = "",
) -> Sample:
    def expected(x: Array) -> Array:
        out: Array = np.empty_like(x)
        length = x.shape[axis]
        for place in np.ndindex(x.shape):
            k = place[axis]
            behind = range(k + exclusive, length) if reverse else range(k + 1 - exclusive)
            value: Any = x.dtype.type(identity(reducer, dtype))
            for j in behind:
                value = FUNCTIONS[reducer](value, x[(*place[:axis], j, *place[axis + 1 :])])
            out[place] = value
        return out

    attributes = {
        "dimension": axis,
        "reducer": reducer,
        "exclusive": exclusive,
        "reverse": reverse,
    }
    text = f"{reducer}{'_exclusive' * exclusive}{'_reverse' * reverse}{label}"
    # The identity of an extreme is infinite, which has no finite difference: see test_scan.py.
    infinite = exclusive and reducer in ("maximum", "minimum")
    differentiate = () if infinite else None
    return Sample(
        "cumulative", (x,), expected, attributes, label=text, slack=4.0, differentiate=differentiate
    )


def _zeros_at(x: Array, *places: tuple[int, ...]) -> Array:
    for place in places:
        x[place] = 0
    return x


WITH_ZEROS = _zeros_at(draw((4, 5), F64), (0, 2), (1, 0), (1, 3), (2, 4))

SAMPLES = (
    _scan(draw((19,), F64), F64, "add", 0),
    _scan(draw((3, 8), F32), F32, "add", 1),
    _scan(draw((5, 17), F32), F32, "add", 0, exclusive=True),
    _scan(draw((3, 9, 2), F64), F64, "add", 1, reverse=True),
    _scan(draw((2, 23), F64), F64, "add", 1, exclusive=True, reverse=True),
    _scan(draw((2, 37), F16), F16, "add", 1),
    _scan(draw((7, 3), BF16), BF16, "add", 0, reverse=True),
    _scan(draw((3, 0, 2), F32), F32, "add", 1, label="_nothing"),
    _scan(draw((0, 3), F32), F32, "add", 1, label="_empty"),
    _scan(draw((1, 1), F32), F32, "add", 1, exclusive=True, label="_one"),
    _scan(draw((2, 3, 700), F32), F32, "add", 1, label="_strips"),
    _scan(draw((9, 11), I8, -120, 120), I8, "add", 1),
    _scan(draw((9, 11), I64, -120, 120), I64, "add", 0, exclusive=True),
    _scan(draw((11,), U8, 0, 200), U8, "add", 0, reverse=True),
    _scan(WITH_ZEROS, F64, "multiply", 1, label="_zeros"),
    _scan(WITH_ZEROS, F64, "multiply", 1, exclusive=True, label="_zeros"),
    _scan(WITH_ZEROS, F64, "multiply", 0, reverse=True, label="_zeros"),
    _scan(draw((11,), F32), F32, "multiply", 0, exclusive=True, reverse=True),
    _scan(draw((13,), I32, -9, 9), I32, "multiply", 0),
    _scan(draw((4, 19), F64), F64, "maximum", 1),
    _scan(draw((4, 19), F64), F64, "minimum", 1, reverse=True),
    _scan(draw((13, 3), F64), F64, "maximum", 0, exclusive=True),
    _scan(draw((13, 3), F64), F64, "minimum", 0, exclusive=True, reverse=True),
    _scan(draw((21,), I32, -90, 90), I32, "minimum", 0),
    _scan(draw((21,), BOOL), BOOL, "or", 0, reverse=True),
    _scan(draw((5, 4), U8, 0, 255), U8, "and", 0),
)
