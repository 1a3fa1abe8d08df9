"""Decompositions of complex matrices have the properties that define them, interpreted and compiled.

Matrices without full rank, with equal eigenvalues, with zeros and of odd shapes; gradients of what
does not depend on the free phases of vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from ops.samples import draw
from ops.test_decompositions import Run, _compiled, _function, _interpreted

from tensorkiln.compiler.differentiate import differentiate
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import C64, C128, dtype_of
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.linalg_eigen import eigh, svd
from tensorkiln.compiler.ops.linalg_qr import qr
from tensorkiln.compiler.ops.matrices import adjoint, product
from tensorkiln.compiler.ops.shorthand import broadcast_in_dim, convert, reduce_sum

Array = NDArray[Any]


def _z(shape: tuple[int, ...], seed: int = 0) -> Array:
    return np.asarray(draw(shape, C128, -1, 1, seed))


def _h(a: Array) -> Array:
    return np.swapaxes(a, -1, -2).conj()


def _tolerance(a: Array) -> float:
    return 1e-11 if a.dtype == np.complex128 else 2e-5


def _orthonormal(q: Array) -> None:
    np.testing.assert_allclose(_h(q) @ q, np.zeros_like(q[..., :1, :1]) + np.eye(q.shape[-1]),
                               atol=_tolerance(q))  # fmt: skip


HARD = [
    pytest.param(_z((2, 7, 4)), id="tall"),
    pytest.param(draw((4, 7), C64), id="wide"),
    pytest.param(np.outer(_z((5,)), _z((3,), 1)), id="rank_one"),
    pytest.param(np.outer(_z((3,)), _z((5,), 1)), id="rank_one_wide"),
    pytest.param(np.zeros((4, 3), np.complex128), id="zeros"),
    pytest.param(1j * np.eye(3), id="turned"),
    pytest.param(np.array([[0.6 - 0.8j]]), id="one"),
    pytest.param(np.zeros((3, 0), np.complex128), id="empty"),
    pytest.param(np.diag([3.0j, 0.0, 1e-160, 5.0]), id="scales"),
]


# Compiling takes a second or two, so that machine code sees some of them.
CASES = [
    *(pytest.param(p.values[0], full, _interpreted, id=f"{p.id}-{full}")
      for p in HARD for full in (True, False)),
    pytest.param(HARD[0].values[0], True, _compiled, id="tall-compiled"),
    pytest.param(HARD[3].values[0], False, _compiled, id="rank_one_wide-compiled"),
    pytest.param(HARD[8].values[0], False, _compiled, id="scales-compiled"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "full", "run"), CASES)
def test_svd_and_qr(a: Array, full: bool, run: Run) -> None:
    s, u, v, q, r = run(_function(lambda b, x: [*svd(b, x, full), *qr(b, x, full)], a), [a])
    count = min(a.shape[-2:])
    found = (u[..., :count] * s[..., None, :]) @ _h(v[..., :count])
    np.testing.assert_allclose(found, a, atol=_tolerance(a) * 8)
    np.testing.assert_allclose(s, np.linalg.svd(a, compute_uv=False), atol=_tolerance(a) * 8)
    np.testing.assert_allclose(q @ r, a, atol=_tolerance(a) * 4)
    np.testing.assert_array_equal(r, np.triu(r))
    for x in (u, v, q):
        _orthonormal(x)
    assert u.shape[-1] == q.shape[-1] == (a.shape[-2] if full else count)


@pytest.mark.parametrize(
    ("a", "run"),
    [
        pytest.param(_z((2, 7, 7)), _interpreted, id="lower_triangle"),
        pytest.param(_z((2, 7, 7)), _compiled, id="compiled"),
        pytest.param(draw((8, 8), C64), _interpreted, id="single"),
        pytest.param(np.ones((6, 6)) + 0j, _interpreted, id="equal_values"),
        pytest.param(np.ones((6, 6)) + 0j, _compiled, id="equal_values-compiled"),
        pytest.param(np.zeros((3, 3), np.complex128), _interpreted, id="zeros"),
        pytest.param(np.fliplr(np.diag([1j, 1j, -1j, -1j])), _interpreted, id="zero_diagonal"),
        pytest.param(np.zeros((2, 0, 0), np.complex128), _interpreted, id="empty"),
    ],
)
def test_eigh(a: Array, run: Run) -> None:
    w, v = run(_function(eigh, a), [a])
    low = np.tril(a)
    places = np.arange(a.shape[-1])
    low[..., places, places] = low[..., places, places].real
    whole = low + _h(np.tril(a, -1))
    np.testing.assert_allclose(whole @ v, v * w[..., None, :], atol=_tolerance(a) * 4)
    np.testing.assert_allclose(w, np.linalg.eigvalsh(whole), atol=_tolerance(a) * 4)
    _orthonormal(v)


@pytest.mark.parametrize("run", [_interpreted, _compiled])
def test_numbers_that_are_none_end_and_spread(run: Run) -> None:
    a = np.array([[1.0, 2.0], [complex(0, np.nan), 3.0]])
    w, _ = run(_function(eigh, a), [a])
    s, _, _ = run(_function(svd, a), [a])
    assert np.isnan(w).any()
    assert np.isnan(s).any()


# Gradients


def _spread(b: Builder, s: Value, like: Value) -> Value:
    """Real numbers along the last dim of complex matrices."""
    rank = like.type.rank
    dims = (*range(rank - 2), rank - 1)
    return broadcast_in_dim(b, convert(b, s, like.dtype), like.shape, dims)


def _power(b: Builder, x: Value) -> Value:
    """v exp(w) v^H"""
    w, v = eigh(b, x)
    scaled = b.one("multiply", (v, _spread(b, b.one("exponential", (w,)), v)))
    return product(b, scaled, adjoint(b, v))


def _polar(b: Builder, x: Value) -> Value:
    """u (s + s^2) v^H"""
    s, u, v = svd(b, x)
    grown = b.one("add", (s, b.one("multiply", (s, s))))
    scaled = b.one("multiply", (u, _spread(b, grown, u)))
    return product(b, scaled, adjoint(b, v))


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (_power, (4, 4)),
        (_power, (2, 3, 3)),
        (_polar, (4, 4)),
        (_polar, (5, 3)),
        (_polar, (2, 2, 4)),
    ],
)
def test_gradients_are_finite_differences(
    build: Callable[[Builder, Value], Value], shape: tuple[int, ...]
) -> None:
    a = _z(shape)

    def loss(b: Builder, x: Value) -> Value:
        found = build(b, x)
        weighted = b.one("multiply", (found, b.constant(_z(found.shape, 9))))
        return reduce_sum(b, b.one("real", (weighted,)))

    def value(x: Array) -> float:
        return float(evaluate(_function(lambda b, p: [loss(b, p)], x), [x])[0])

    def gradient(b: Builder, x: Value) -> Sequence[Value]:
        (found,) = differentiate(b, [loss(b, x)], [x])
        assert found is not None
        return [found]

    (found,) = evaluate(_function(gradient, a), [a])
    for seed in (3, 4):
        way = _z(shape, seed)
        slope = (value(a + 1e-6 * way) - value(a - 1e-6 * way)) / 2e-6
        assert np.vdot(way, found).real == pytest.approx(slope, 1e-5, 1e-6)


def test_kinds_of_results() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((2, 3, 3), C64))
    assert eigh(builder, x)[0].dtype == dtype_of(np.dtype(np.float32))
    assert svd(builder, x)[0].dtype == dtype_of(np.dtype(np.float32))
    sign, size = builder.op("log_determinant", (x,))
    assert (sign.dtype, size.dtype) == (C64, dtype_of(np.dtype(np.float32)))
