"""Prints the coefficients of compiler/kernel/math: minimax fits by the Remez exchange.

Run as a program (it needs mpmath): `python tests/kernel/math/fit.py [name ...]`.
A fit minimises max |weight(x) * (f(x) - sum c_k x^k)|.  For f32 the coefficients are rounded one
after the other, lowest power first, and the rest is fitted again after each rounding.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mpmath import mp, mpf

mp.dps = 50
Function = Callable[[mpf], mpf]
LN2 = mp.log(2)


@dataclass(frozen=True)
class Fit:
    """A function on an interval, what an error weighs there, and the degree per dtype."""

    function: Function
    weight: Function
    low: mpf
    high: mpf
    degrees: dict[str, int]


def remez(function: Function, weight: Function, low: mpf, high: mpf, powers: range) -> list[mpf]:
    """The coefficients of `powers` with the smallest weighted error (Remez 1934)."""
    count = len(powers) + 1
    grid_size = 24 * count
    grid = [
        (low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * k / grid_size)
        for k in range(grid_size + 1)
    ]
    values, weights = [function(x) for x in grid], [abs(weight(x)) for x in grid]
    monomials = [[x**p for p in powers] for x in grid]

    def errors_of(coefficients: list[mpf]) -> list[mpf]:
        return [
            w * (v - sum(c * m for c, m in zip(coefficients, ms, strict=True)))
            for v, w, ms in zip(values, weights, monomials, strict=True)
        ]

    # The extrema of the least-squares fit are a start that avoids zeros of the weight.
    table = mp.matrix([[m * w for m in ms] for ms, w in zip(monomials, weights, strict=True)])
    targets = mp.matrix([v * w for v, w in zip(values, weights, strict=True)])
    coefficients = list(mp.lu_solve(table, targets))
    chosen: list[int] = []
    for _ in range(30):
        extrema = _alternating(errors_of(coefficients), count)
        if extrema is None or extrema == chosen:
            break
        chosen = extrema
        matrix = mp.matrix(
            [
                [*(m * weights[k] for m in monomials[k]), mpf((-1) ** row)]
                for row, k in enumerate(chosen)
            ]
        )
        right = mp.matrix([values[k] * weights[k] for k in chosen])
        coefficients = list(mp.lu_solve(matrix, right))[:-1]
    return coefficients


def _alternating(errors: list[mpf], count: int) -> list[int] | None:
    """One extremum of each run of equal signs, the `count` neighbours with the largest."""
    runs: list[int] = []
    for k, error in enumerate(errors):
        if abs(error) < 1e-30:  # the weight vanishes here and the rest is noise
            continue
        if runs and (errors[runs[-1]] > 0) == (error > 0):
            if abs(error) > abs(errors[runs[-1]]):
                runs[-1] = k
        else:
            runs.append(k)
    while len(runs) > count:
        runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
    return runs if len(runs) == count else None


def rounded(fit: Fit, dtype: str) -> tuple[list[float], float]:
    """The coefficients rounded to `dtype`, and log2 of the largest weighted error."""
    degree = fit.degrees[dtype]
    best = remez(fit.function, fit.weight, fit.low, fit.high, range(degree + 1))
    coefficients = [float(c) for c in best]
    if dtype == "f32":
        coefficients = _rounded_to_f32(fit, best)
    points = [fit.low + (fit.high - fit.low) * k / 600 for k in range(601)]
    errors = [
        fit.weight(x) * (fit.function(x) - sum(c * x**p for p, c in enumerate(coefficients)))
        for x in points
    ]
    return coefficients, float(mp.log(max(map(abs, errors)), 2))


def _rounded_to_f32(fit: Fit, best: list[mpf]) -> list[float]:
    # Corrections to the exact fit, so that float64 least squares is precise enough.
    nodes = [
        (fit.low + fit.high) / 2 - (fit.high - fit.low) / 2 * mp.cos(mp.pi * (k + 0.5) / 200)
        for k in range(200)
    ]
    weights = np.array([float(fit.weight(x)) for x in nodes])
    table = np.array([[float(x**p) for p in range(len(best))] for x in nodes]) * weights[:, None]
    correction = np.zeros(len(best))
    for p in range(len(best)):
        exact = best[p] + mpf(correction[p])
        correction[p] = float(mpf(float(np.float32(float(exact)))) - best[p])
        done = table[:, : p + 1] @ correction[: p + 1]
        if p + 1 < len(best):
            correction[p + 1 :] = np.linalg.lstsq(table[:, p + 1 :], -done, rcond=None)[0]
    return [float(np.float32(float(b + mpf(c)))) for b, c in zip(best, correction, strict=True)]


def _odd(f: Function) -> tuple[Function, Function]:
    """For f(x) = x + x^3 P(x^2): P as a function of t = x^2, and the weight of relative error."""
    return (
        lambda t: (f(mp.sqrt(t)) - mp.sqrt(t)) / (t * mp.sqrt(t)),
        lambda t: t * mp.sqrt(t) / f(mp.sqrt(t)),
    )


TINY = mpf(10) ** -12
EIGHTH = mp.tan(mp.pi / 8) ** 2
QUARTER = (mp.pi / 4 * mpf("1.0001")) ** 2

FITS: dict[str, Fit] = {
    # exp(r) = 1 + r + r^2 P(r)
    "exp": Fit(
        lambda r: (mp.exp(r) - 1 - r) / r**2 if r else mpf("0.5"),
        lambda r: r**2 / mp.exp(r),
        -LN2 * mpf("1.0001"),
        LN2 * mpf("1.0001"),
        {"f32": 5, "f64": 11},
    ),
    # expm1(r) = r + r^2 P(r)
    "expm1": Fit(
        lambda r: (mp.expm1(r) - r) / r**2 if r else mpf("0.5"),
        lambda r: r**2 / mp.expm1(r) if r else mpf(0),
        -LN2 / 2 * mpf("1.0001"),
        LN2 / 2 * mpf("1.0001"),
        {"f32": 4, "f64": 9},
    ),
    # 2^f = P(f)
    "exp2": Fit(
        lambda f: mpf(2) ** f,
        lambda f: mpf(2) ** -f,
        mpf("-0.5001"),
        mpf("0.5001"),
        {"f32": 6, "f64": 11},
    ),
    # log(1 + f) = f + f^2 P(f)
    "log": Fit(
        lambda f: (mp.log1p(f) - f) / f**2 if f else mpf("-0.5"),
        lambda f: f**2 / mp.log1p(f) if f else mpf(0),
        mp.sqrt(mpf("0.5")) - 1,
        mp.sqrt(2) - 1,
        {"f32": 8},
    ),
    # 2 atanh(s) = 2 s + s^3 P(s^2)
    "atanh": Fit(
        lambda z: (2 * mp.atanh(mp.sqrt(z)) - 2 * mp.sqrt(z)) / (z * mp.sqrt(z)),
        lambda z: z * mp.sqrt(z) / (2 * mp.atanh(mp.sqrt(z))),
        TINY,
        ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2,
        {"f64": 6},
    ),
    # log(1 + f) = f P(f), to the precision that pow of f32 needs in f64
    "log_short": Fit(
        lambda f: mp.log1p(f) / f if f else mpf(1),
        lambda f: f / mp.log1p(f) if f else mpf(1),
        mp.sqrt(mpf("0.5")) - 1,
        mp.sqrt(2) - 1,
        {"f64": 12},
    ),
    # exp(r) = P(r), likewise
    "exp_short": Fit(
        mp.exp,
        lambda r: mp.exp(-r),
        -LN2 / 2 * mpf("1.0001"),
        LN2 / 2 * mpf("1.0001"),
        {"f64": 6},
    ),
    # 2 atanh(s) = 2 s + s^3 (2/3 + s^2 P(s^2)), for pow of f64
    "atanh_tail": Fit(
        lambda z: (2 * mp.atanh(mp.sqrt(z)) - 2 * mp.sqrt(z) * (1 + z / 3)) / (z * z * mp.sqrt(z)),
        lambda z: z * z * mp.sqrt(z) / (2 * mp.atanh(mp.sqrt(z))),
        mpf(10) ** -9,
        ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2,
        {"f64": 7},
    ),
    "tanh": Fit(*_odd(mp.tanh), TINY, mpf("0.5501") ** 2, {"f32": 4, "f64": 9}),
    "sin": Fit(*_odd(mp.sin), TINY, QUARTER, {"f32": 2, "f64": 5}),
    # cos(x) = 1 - x^2/2 + x^4 P(x^2)
    "cos": Fit(
        lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2,
        lambda z: z**2 / mp.cos(mp.sqrt(z)),
        mpf(10) ** -9,
        QUARTER,
        {"f32": 2, "f64": 5},
    ),
    # erf(x) = x + x P(x^2)
    "erf": Fit(
        lambda t: mp.erf(mp.sqrt(t)) / mp.sqrt(t) - 1,
        lambda t: mp.sqrt(t) / mp.erf(mp.sqrt(t)),
        TINY,
        mpf("0.8751") ** 2,
        {"f32": 5, "f64": 10},
    ),
    # erfc(x) = 2^P(x)
    "erfc": Fit(
        lambda x: mp.log(mp.erfc(x), 2),
        lambda x: mp.erfc(x) * LN2 / mp.erf(x),
        mpf("0.8749"),
        mpf("3.93"),
        {"f32": 6},
    ),
    "erfc_long": Fit(
        lambda x: mp.log(mp.erfc(x), 2),
        lambda x: mp.erfc(x) * LN2 / mp.erf(x),
        mpf("0.8749"),
        mpf("5.93"),
        {"f64": 17},
    ),
    "atan": Fit(*_odd(mp.atan), TINY, mpf(1), {"f32": 8}),
    "atan_eighth": Fit(*_odd(mp.atan), TINY, EIGHTH, {"f64": 10}),
    # cbrt(m) = P(m) roughly
    "cbrt": Fit(mp.cbrt, lambda m: 1 / mp.cbrt(m), mpf(1), mpf(2), {"f32": 3, "f64": 6}),
}


if __name__ == "__main__":
    for name in sys.argv[1:] or FITS:
        for dtype in FITS[name].degrees:
            coefficients, error = rounded(FITS[name], dtype)
            print(f"{name} {dtype}: error 2^{error:.1f}")
            print("    " + ", ".join(map(repr, coefficients)))
