"""Decompositions have the properties that define them, interpreted and compiled.

Matrices without full rank, with equal eigenvalues, with zeros and of odd shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from ops.samples import draw
from ops.samples_linalg import matrices, positive

from tensorkiln.compiler import pipeline
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F32, F64, dtype_of
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.linalg_eigen import eigh, svd
from tensorkiln.compiler.ops.linalg_qr import qr
from tensorkiln.compiler.ops.linalg_solve import inverse, solve

Array = NDArray[Any]
Run = Callable[[Function, Sequence[Array]], list[Array]]


def _interpreted(function: Function, arrays: Sequence[Array]) -> list[Array]:
    return list(evaluate(function, arrays))


def _compiled(function: Function, arrays: Sequence[Array]) -> list[Array]:
    names = [v.name for v in function.parameters]
    executable = pipeline.jit(function, threads=2)
    one = executable.run(dict(zip(names, arrays, strict=True)), threads=1)
    two = executable.run(dict(zip(names, arrays, strict=True)), threads=2)
    assert [a.tobytes() for a in one] == [a.tobytes() for a in two]
    return list(one)


RUNS = [pytest.param(_interpreted, id="interpreted"), pytest.param(_compiled, id="compiled")]


def _function(build: Callable[..., Sequence[Value]], *arrays: Array) -> Function:
    builder = Builder(REGISTRY)
    kinds = [TensorType(a.shape, dtype_of(a.dtype)) for a in arrays]
    operands = [builder.parameter(f"x{k}", kind) for k, kind in enumerate(kinds)]
    return builder.finish(list(build(builder, *operands)))


def _tolerance(a: Array) -> float:
    return 1e-11 if a.dtype == np.float64 else 2e-5


def _flip(a: Array) -> Array:
    return np.swapaxes(a, -1, -2)


def _orthonormal(q: Array) -> None:
    wanted = np.broadcast_to(np.eye(q.shape[-1]), (*q.shape[:-2], q.shape[-1], q.shape[-1]))
    np.testing.assert_allclose(_flip(q) @ q, wanted, atol=_tolerance(q))


def _rank_one(rows: int, columns: int) -> Array:
    return np.asarray(np.outer(draw((rows,), F64, seed=1), draw((columns,), F64, seed=2)))


HARD = [
    pytest.param(draw((2, 13, 7), F64), id="tall"),
    pytest.param(draw((7, 13), F32), id="wide"),
    pytest.param(draw((17, 17), F32), id="square"),
    pytest.param(_rank_one(6, 4), id="rank_one"),
    pytest.param(_rank_one(3, 5), id="rank_one_wide"),
    pytest.param(np.zeros((4, 3)), id="zeros"),
    pytest.param(np.eye(5), id="identity"),
    pytest.param(-np.ones((1, 1)), id="one"),
    pytest.param(np.zeros((3, 0)), id="empty"),
    pytest.param(np.diag([3.0, 0.0, 1e-200, 5.0]), id="scales"),
]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("a", HARD)
def test_qr(a: Array, full: bool, run: Run) -> None:
    q, r = run(_function(lambda b, x: qr(b, x, full), a), [a])
    np.testing.assert_allclose(q @ r, a, atol=_tolerance(a) * 4)
    np.testing.assert_array_equal(r, np.triu(r))
    _orthonormal(q)
    assert q.shape[-1] == (a.shape[-2] if full else min(a.shape[-2:]))


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("a", HARD)
def test_svd(a: Array, full: bool, run: Run) -> None:
    s, u, v = run(_function(lambda b, x: svd(b, x, full), a), [a])
    count = min(a.shape[-2:])
    product = (u[..., :count] * s[..., None, :]) @ _flip(v[..., :count])
    np.testing.assert_allclose(product, a, atol=_tolerance(a) * 8)
    np.testing.assert_allclose(s, np.linalg.svd(a, compute_uv=False), atol=_tolerance(a) * 8)
    _orthonormal(u)
    _orthonormal(v)
    assert u.shape[-1] == (a.shape[-2] if full else count)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize(
    "a",
    [
        pytest.param(positive((2, 13, 13)), id="positive"),
        pytest.param(draw((19, 19), F32), id="lower_triangle"),
        pytest.param(np.ones((6, 6)), id="equal_values"),
        pytest.param(np.zeros((3, 3)), id="zeros"),
        pytest.param(np.fliplr(np.eye(4)), id="zero_diagonal"),
        pytest.param(np.array([[1e-30, 0.0], [1e10, 1e-30]]), id="scales"),
        pytest.param(np.ones((1, 1), np.float32), id="one"),
    ],
)
def test_eigh(a: Array, run: Run) -> None:
    w, v = run(_function(eigh, a), [a])
    low = np.tril(a)
    whole = low + _flip(np.tril(a, -1))
    scale = max(1.0, float(np.abs(a).max()))
    np.testing.assert_allclose(whole @ v / scale, v * w[..., None, :] / scale, atol=_tolerance(a))
    np.testing.assert_allclose(w / scale, np.linalg.eigvalsh(whole) / scale, atol=_tolerance(a))
    _orthonormal(v)


@pytest.mark.parametrize("run", RUNS)
def test_numbers_that_are_none_end_and_spread(run: Run) -> None:
    a = np.array([[1.0, 2.0], [np.nan, 3.0]])
    w, _ = run(_function(eigh, a), [a])
    assert np.isnan(w).any()
    s, _, _ = run(_function(svd, a), [a])
    assert np.isnan(s).any()


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("scale", [1e36, 1e-36])
def test_squares_out_of_range_do_no_harm(scale: float, run: Run) -> None:
    a = (draw((5, 3), F64) * scale).astype(np.float32)
    q, r, s = run(_function(lambda b, x: [*qr(b, x), svd(b, x)[0]], a), [a])
    np.testing.assert_allclose(q @ r / scale, a / scale, atol=1e-5)
    np.testing.assert_allclose(s / scale, np.linalg.svd(a / scale)[1], rtol=1e-5)


@pytest.mark.parametrize("run", RUNS)
def test_a_singular_matrix_has_no_finite_solution(run: Run) -> None:
    a, b = np.ones((2, 3, 3)), np.ones((2, 3, 1))
    a[0] = np.eye(3)
    (found,) = run(_function(lambda b, x, y: [solve(b, x, y)], a, b), [a, b])
    np.testing.assert_array_equal(found[0], b[0])
    assert not np.isfinite(found[1]).all()


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("size", [0, 1, 31, 67])
def test_inverse(size: int, run: Run) -> None:
    a = matrices((size, size))
    (found,) = run(_function(lambda b, x: [inverse(b, x)], a), [a])
    np.testing.assert_allclose(found @ a, np.eye(size), atol=1e-10)
