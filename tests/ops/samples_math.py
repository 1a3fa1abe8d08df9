"""Samples of roots, exponentials, trigonometry, erf and rounding; expectations are numpy's f64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import F32, F64
from tensorkiln.compiler.ops.rules import FLOATS

SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-30, -40.0, 80.0])
HALVES = np.array([-2.5, -1.5, -0.5, -0.2, 0.3, 0.49999997, 0.5, 1.5, 2.5, 8388609.0])


def _math(op: str, numpy: Callable[..., Any], low: float = -2, high: float = 2) -> list[Sample]:
    general = [Sample(op, (draw((3, 7), d, low, high),), numpy, slack=4) for d in FLOATS]
    special = [
        Sample(
            op, (SPECIAL.astype(d.numpy),), numpy, label="special", slack=4, differentiate=()
        )
        for d in (F32, F64)
    ]  # fmt: skip
    return general + special


def _steps(op: str, numpy: Callable[..., Any]) -> list[Sample]:
    samples = [
        Sample(op, (values.astype(d.numpy),), numpy, label=label)
        for label, values in (("halves", HALVES), ("special", SPECIAL))
        for d in (F32, F64)
    ]
    return samples + [Sample(op, (draw((9,), d, -4, 4),), numpy) for d in FLOATS]


def _round_away(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.where(np.isfinite(x), np.sign(x) * np.floor(np.abs(x) + 0.5), x)


def _logistic(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _atan2() -> list[Sample]:
    values = np.array([0.0, -0.0, 1.0, -2.0, np.inf, -np.inf, np.nan], np.float32)
    y, x = map(np.ascontiguousarray, np.meshgrid(values, values))
    drawn = [
        Sample("atan2", (draw((9,), d, -2, 2), draw((9,), d, 0.5, 2, 1)), np.arctan2)
        for d in FLOATS
    ]
    return [*drawn, Sample("atan2", (y, x), np.arctan2, label="special", differentiate=())]


SAMPLES = (
    *_math("sqrt", np.sqrt, 0.25, 4),
    *_math("rsqrt", lambda x: 1 / np.sqrt(x), 0.25, 4),
    *_math("cbrt", np.cbrt, 0.25, 4),
    *_math("exponential", np.exp),
    *_math("exponential_minus_one", np.expm1),
    *_math("log", np.log, 0.25, 4),
    *_math("log_plus_one", np.log1p, -0.5, 4),
    *_math("logistic", _logistic),
    *_math("sine", np.sin),
    *_math("cosine", np.cos),
    *_math("tan", np.tan, -1, 1),
    *_math("tanh", np.tanh),
    *_math("erf", np.vectorize(math.erf, otypes=[np.float64])),
    *_atan2(),
    *_steps("ceil", np.ceil),
    *_steps("floor", np.floor),
    *_steps("round_nearest_even", np.round),
    *_steps("round_nearest_afz", _round_away),
)
