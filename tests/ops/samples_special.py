"""Samples of the special functions; expectations from series of their own and from math."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import F64
from tensorkiln.compiler.ops.rules import FLOATS

_lgamma = np.vectorize(math.lgamma, otypes=[float])
_erfc = np.vectorize(math.erfc, otypes=[float])
_erf = np.vectorize(math.erf, otypes=[float])


def _digamma(x: Any) -> Any:
    # Recurrence up to x > 30, then the asymptotic series.
    found = np.zeros_like(x)
    for _ in range(40):
        found, x = found - 1 / x, x + 1
    return found + np.log(x) - 1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4) - 1 / (252 * x**6)


def _zeta(x: Any, q: Any) -> Any:
    # A long sum and the integral, half term and first derivative of the tail.
    k = 2000.0
    total = sum((q + n) ** -x for n in range(2000))
    a = q + k
    return total + a ** (1 - x) / (x - 1) + a**-x / 2 + x * a ** (-x - 1) / 12


def _polygamma(n: Any, x: Any) -> Any:
    factorial = np.vectorize(lambda v: float(math.factorial(int(v))), otypes=[float])(n)
    return (-1) ** (n + 1) * factorial * _zeta(n + 1, x)


def _bessel(order: int) -> Callable[[Any], Any]:
    def scaled(x: Any) -> Any:
        # exp(-|x|) I_n(x) = mean over angles of exp(x cos a - |x|) cos(n a).
        angle = 2 * math.pi * np.arange(512) / 512
        wave = np.exp(x[..., None] * np.cos(angle) - np.abs(x)[..., None]) * np.cos(order * angle)
        return wave.mean(-1)

    return scaled


def _erf_inv(y: Any) -> Any:
    low, high = np.full_like(y, -6.0), np.full_like(y, 6.0)
    for _ in range(100):
        middle = (low + high) / 2
        below = _erf(middle) < y
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def _cases() -> Iterator[Sample]:
    for d in FLOATS:
        positive = draw((3, 5), d, 0.1, 9)
        yield Sample("lgamma", (positive,), _lgamma, slack=4)
        yield Sample("digamma", (positive,), _digamma, slack=4)
        yield Sample("erfc", (draw((3, 5), d, -3, 3),), _erfc, slack=4)
        yield Sample("erf_inv", (draw((3, 5), d, -0.9, 0.9),), _erf_inv, slack=4)
        yield Sample("bessel_i0e", (draw((3, 5), d, -12, 12),), _bessel(0), slack=4)
        yield Sample("bessel_i1e", (draw((3, 5), d, -12, 12),), _bessel(1), slack=4)
        orders = np.arange(15).reshape(3, 5) % 4 + 1
        yield Sample(
            "polygamma", (orders.astype(d.numpy), positive), _polygamma, slack=9, differentiate=(1,)
        )
        yield Sample(
            "zeta", (draw((3, 5), d, 1.5, 5), draw((3, 5), d, 0.3, 4, 1)), _zeta, slack=9,
            differentiate=(1,),
        )  # fmt: skip
    reflected = np.array([-0.5, -1.3, -7.9, 0.25, 1.0, 2.0, 30.0])
    yield Sample("lgamma", (reflected,), _lgamma, label="reflected")
    yield Sample("digamma", (reflected[3:],), _digamma, label="points")
    poles = np.array([0.0, -1.0, np.inf, -np.inf])
    yield Sample("lgamma", (poles,), lambda x: np.full(4, np.inf), label="poles", differentiate=())
    tail = np.array([5.0, 12.0, 26.0, 40.0, -40.0, np.inf, 0.0])
    yield Sample("erfc", (tail,), _erfc, label="tail", differentiate=())
    edges = np.array([0.0, 1.0, -1.0, 0.999, -0.99])
    yield Sample(
        "erf_inv", (edges,),
        lambda x: np.array([0.0, np.inf, -np.inf, *_erf_inv(x[3:])]), label="edges", differentiate=(),
    )  # fmt: skip
    yield Sample("bessel_i1e", (np.zeros(1, F64.numpy),), _bessel(1), label="zero")


SAMPLES = tuple(_cases())
