"""Samples of the incomplete gamma and beta functions; expectations from plain sums of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import F32

_TERMS = 3000
_lgamma = np.vectorize(math.lgamma, otypes=[float])


def _igamma(a: Any, x: Any) -> Any:
    # All terms are positive: x^a exp(-x) / Gamma(a + 1) times 1 + x / (a + 1) + ...
    term = np.exp(a * np.log(x) - x - _lgamma(a + 1)).astype(np.longdouble)
    total = np.zeros_like(term)
    for k in range(1, _TERMS):
        total, term = total + term, term * x / (a + k)
    return total.astype(np.float64)


def _igammac(a: Any, x: Any) -> Any:
    return 1 - _igamma(a, x)


def _slope(a: Any, x: Any) -> Any:
    # The same sum's logarithmic derivative, term by term.
    term = np.exp(a * np.log(x) - x - _lgamma(a + 1)).astype(np.longdouble)
    slope = np.log(x) - _digamma(a + 1)
    total = np.zeros_like(term)
    for k in range(1, _TERMS):
        total, term, slope = total + term * slope, term * x / (a + k), slope - 1 / (a + k)
    return total.astype(np.float64)


def _digamma(x: Any) -> Any:
    found = np.zeros_like(x)
    for _ in range(40):
        found, x = found - 1 / x, x + 1
    return found + np.log(x) - 1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4) - 1 / (252 * x**6)


def _betainc(a: Any, b: Any, x: Any) -> Any:
    # x^a (1 - x)^b / (a B(a, b)) times 1 + x (a + b) / (a + 1) + ...: positive terms.
    start = a * np.log(x) + b * np.log1p(-x) + _lgamma(a + b) - _lgamma(a + 1) - _lgamma(b)
    term = np.exp(start).astype(np.longdouble)
    total = np.zeros_like(term)
    for k in range(1, _TERMS):
        total, term = total + term, term * x * (a + b + k - 1) / (a + k)
    return total.astype(np.float64)


def _cases() -> Iterator[Sample]:
    # Few, since they take seconds to compile.
    pair = draw((2, 3), F32, 0.1, 9), draw((2, 3), F32, 0.1, 14, 1)
    yield Sample("igamma", pair, _igamma, slack=9)
    triple = draw((2, 3), F32, 0.1, 9), draw((2, 3), F32, 0.1, 9, 1), draw((2, 3), F32, 0.1, 0.9, 2)
    yield Sample("betainc", triple, _betainc, slack=9, differentiate=(2,))
    # About a = 200 the way of computing changes; far and near x = a.
    a = np.array([0.2, 7.5, 201.0, 250.0, 900.0])
    x = a * np.array([0.7, 1.3, 0.99, 1.5, 1.05])
    for op, expected in (("igamma", _igamma), ("igammac", _igammac), ("igamma_grad_a", _slope)):
        yield Sample(op, (a, x), expected, slack=40)
    places = np.array([0.04, 0.52, 0.9])
    large = np.array([300.0, 500.0, 20.0])
    beside = np.array([5000.0, 500.0, 2.5])
    yield Sample("betainc", (large, beside, places), _betainc, label="large", slack=200,
                 differentiate=(2,))  # fmt: skip
    ends = np.array([[1, 1, 1, -1, 0, 2, 2, np.nan], [0, np.inf, -1, 1, 1, np.inf, 0, 1.0]])
    upper = np.array([1, 0, np.nan, np.nan, np.nan, 0, 1, np.nan])
    yield Sample("igammac", tuple(ends), lambda a, x: upper, label="ends", differentiate=())
    edges = np.array([[1, 2, 0, 1, 1], [1, 3, 1, -1, 1], [0, 1, 0.5, 0.5, 2.0]])
    wanted = np.array([0, 1, np.nan, np.nan, np.nan])
    yield Sample("betainc", tuple(edges), lambda *_: wanted, label="ends", differentiate=())


SAMPLES = tuple(_cases())
