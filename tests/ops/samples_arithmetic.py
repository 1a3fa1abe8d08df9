"""Samples of elementwise arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ops.samples import Numbers, Sample, draw

from tensorkiln.compiler.ir.dtypes import BOOL, F32, F64, DType
from tensorkiln.compiler.ops.rules import FLOATS, INTEGERS, SIGNED

SPECIAL = (0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan)


def pair(
    dtype: DType, low: float = -3, high: float = 3, apart: float = 0
) -> tuple[Numbers, Numbers]:
    """Two drawn operands; the second is `apart` further from zero."""
    x = draw((3, 4), dtype, low, high)
    y = draw((3, 4), dtype, low, high, seed=1)
    return x, (y + np.sign(y) * y.dtype.type(apart)).astype(dtype.numpy) if apart else y


def grid(dtype: DType) -> tuple[Numbers, Numbers]:
    """All pairs of special floats."""
    values = np.array(SPECIAL, dtype.numpy)
    x, y = np.meshgrid(values, values)
    return np.ascontiguousarray(x), np.ascontiguousarray(y)


def edges(dtype: DType) -> tuple[Numbers, Numbers]:
    """All pairs of an integer type's least, greatest and small numbers."""
    info = np.iinfo(dtype.numpy.str)
    values = [info.min, info.min + 1, 0, 1, 2, 3, 7, info.max - 1, info.max]
    if info.min < 0:
        values += [-1, -2, -7]
    x, y = np.meshgrid(np.array(values, dtype.numpy), np.array(values, dtype.numpy))
    return np.ascontiguousarray(x), np.ascontiguousarray(y)


def exactly(function: Callable[[int, int], int]) -> Callable[[Numbers, Numbers], Numbers]:
    """Python's integers, wrapped to the operands' type."""

    def run(x: Numbers, y: Numbers) -> Numbers:
        bits = x.dtype.itemsize * 8
        found = [
            function(int(a), int(b)) % (1 << bits) for a, b in zip(x.flat, y.flat, strict=True)
        ]
        return np.array(found, f"u{x.dtype.itemsize}").reshape(x.shape).view(x.dtype)

    return run


def truncating_divide(a: int, b: int) -> int:
    return -1 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def truncating_remainder(a: int, b: int) -> int:
    return a if b == 0 else a - b * truncating_divide(a, b)


def integer_power(a: int, b: int) -> int:
    if b >= 0:
        return pow(a, b, 1 << 64)
    return {1: 1, -1: -1 if b % 2 else 1}.get(a, 0)


def _floats(op: str, numpy: Callable[..., Any], **options: Any) -> list[Sample]:
    """The op on every float dtype, in general and on special numbers."""
    kept = {"apart": options.pop("apart", 0), "low": options.pop("low", -3)}
    samples = [Sample(op, pair(dtype, **kept), numpy, **options) for dtype in FLOATS]
    special = [
        Sample(op, grid(dtype), numpy, label="special", differentiate=(), **options)
        for dtype in (F32, F64)
    ]
    return samples + special


def _integers(op: str, function: Callable[[int, int], int]) -> list[Sample]:
    return [
        Sample(op, edges(dtype), exactly(function), label="edges", raw=True) for dtype in INTEGERS
    ]


def _bools(op: str, numpy: Callable[..., Any]) -> Sample:
    x = np.array([False, False, True, True])
    y = np.array([False, True, False, True])
    return Sample(op, (x, y), numpy)


def _maximum(x: Numbers, y: Numbers) -> Numbers:
    return np.where(np.isnan(x) | np.isnan(y), np.nan, np.where(x > y, x, y))


def _minimum(x: Numbers, y: Numbers) -> Numbers:
    return np.where(np.isnan(x) | np.isnan(y), np.nan, np.where(x < y, x, y))


def _unary(op: str, numpy: Callable[..., Any], python: Callable[[int], int]) -> list[Sample]:
    x = np.array([-2.5, -1.0, -0.25, 0.5, 1.0, 3.0])
    floats = [Sample(op, (x.astype(dtype.numpy),), numpy) for dtype in FLOATS]
    special = np.array(SPECIAL, np.float32)
    integers = [d for d in INTEGERS if d in SIGNED or op == "negate"]
    wrapped = exactly(lambda a, b: python(a))
    return [
        *floats,
        Sample(op, (special,), numpy, label="special", differentiate=()),
        *(
            Sample(op, (edges(d)[0],), lambda x: wrapped(x, x), raw=True, label="edges")
            for d in integers
        ),
    ]


SAMPLES = (
    *_floats("add", np.add),
    *_integers("add", lambda a, b: a + b),
    _bools("add", np.logical_or),
    *_floats("subtract", np.subtract),
    *_integers("subtract", lambda a, b: a - b),
    *_floats("multiply", np.multiply),
    *_integers("multiply", lambda a, b: a * b),
    _bools("multiply", np.logical_and),
    *_floats("divide", np.divide, apart=0.5),
    *_integers("divide", truncating_divide),
    *_floats("remainder", np.fmod, apart=0.5),
    *_integers("remainder", truncating_remainder),
    *_floats("power", np.power, low=0.25, slack=4),
    *_integers("power", integer_power),
    *_floats("maximum", _maximum),
    *_integers("maximum", max),
    _bools("maximum", np.logical_or),
    *_floats("minimum", _minimum),
    *_integers("minimum", min),
    _bools("minimum", np.logical_and),
    *_unary("abs", np.abs, abs),
    *_unary("negate", np.negative, lambda a: -a),
    *_unary("sign", np.sign, lambda a: (a > 0) - (a < 0)),
    Sample("add", (draw((), F64), draw((), F64, seed=1)), np.add, label="scalar"),
    Sample("add", (draw((0, 3), F32), draw((0, 3), F32)), np.add, label="empty"),
    Sample("maximum", (draw((2, 2), BOOL), draw((2, 2), BOOL, seed=1)), np.logical_or),
)
