"""Roots, exponentials, logarithms, trigonometry, erf and rounding, on floats."""

from __future__ import annotations

import math

import numpy as np

from tensorkiln.compiler.ops.elementwise import STEPS, Numbers, binary, unary
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.record import OpRecord
from tensorkiln.compiler.ops.rules import FLOATS

ROOT = 8
TRANSCENDENTAL = 16

_erf = np.frompyfunc(math.erf, 1, 1)


def _numpy_erf(x: Numbers) -> Numbers:
    found: Numbers = np.asarray(_erf(x), x.dtype)
    return found


def _numpy_logistic(x: Numbers) -> Numbers:
    # 1 / (1 + e^-x) for x >= 0 and e^x / (1 + e^x) below: the exponential never overflows.
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(np.signbit(x), small, 1) / (1 + small))


def _numpy_rsqrt(x: Numbers) -> Numbers:
    return np.asarray(1 / np.sqrt(x))


def _numpy_round_away(x: Numbers) -> Numbers:
    # Half away from zero; x + 0.5 would round 0.49999997 up.
    whole = np.trunc(x)
    return whole + np.where(np.abs(x - whole) >= 0.5, np.copysign(1, x), 0)


def _atan2_gradient(
    a: Formula, b: Formula, y: Formula, g: Formula
) -> tuple[Formula | None, Formula | None]:
    scale = g / (a * a + b * b)
    return b * scale, -a * scale


def _steps(name: str, kernel: str, numpy: np.ufunc) -> OpRecord:
    return unary(name, kernel, numpy, STEPS, FLOATS)


RECORDS = (
    unary("sqrt", "sqrt", np.sqrt, lambda x, y, g: g * 0.5 / y, FLOATS, ROOT),
    unary("rsqrt", "rsqrt", _numpy_rsqrt, lambda x, y, g: g * -0.5 * (y * y * y), FLOATS, ROOT),
    unary("cbrt", "cbrt", np.cbrt, lambda x, y, g: g / (3.0 * y * y), FLOATS, TRANSCENDENTAL),
    unary("exponential", "exp", np.exp, lambda x, y, g: g * y, FLOATS, TRANSCENDENTAL),
    unary(
        "exponential_minus_one",
        "expm1",
        np.expm1,
        lambda x, y, g: g * x.apply("exponential"),
        FLOATS,
        TRANSCENDENTAL,
    ),
    unary("log", "log", np.log, lambda x, y, g: g / x, FLOATS, TRANSCENDENTAL),
    unary("log_plus_one", "log1p", np.log1p, lambda x, y, g: g / (1.0 + x), FLOATS, TRANSCENDENTAL),
    unary(
        "logistic",
        "logistic",
        _numpy_logistic,
        lambda x, y, g: g * y * (1.0 - y),
        FLOATS,
        TRANSCENDENTAL,
    ),
    unary("sine", "sin", np.sin, lambda x, y, g: g * x.apply("cosine"), FLOATS, TRANSCENDENTAL),
    unary("cosine", "cos", np.cos, lambda x, y, g: -g * x.apply("sine"), FLOATS, TRANSCENDENTAL),
    unary("tan", "tan", np.tan, lambda x, y, g: g * (1.0 + y * y), FLOATS, TRANSCENDENTAL),
    unary("tanh", "tanh", np.tanh, lambda x, y, g: g * (1.0 - y * y), FLOATS, TRANSCENDENTAL),
    binary("atan2", "atan2", np.arctan2, _atan2_gradient, FLOATS, TRANSCENDENTAL),
    unary(
        "erf",
        "erf",
        _numpy_erf,
        lambda x, y, g: g * (2 / math.sqrt(math.pi)) * (-x * x).apply("exponential"),
        FLOATS,
        TRANSCENDENTAL,
    ),
    _steps("ceil", "ceil", np.ceil),
    _steps("floor", "floor", np.floor),
    _steps("round_nearest_even", "round_even", np.rint),
    unary("round_nearest_afz", "round_away", _numpy_round_away, STEPS, FLOATS),
)
