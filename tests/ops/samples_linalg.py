"""Samples of linear algebra, against numpy's LAPACK."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import F32, F64, DType

Array = NDArray[Any]


def matrices(shape: tuple[int, ...], dtype: DType = F64, seed: int = 0) -> Array:
    """Well-conditioned matrices: random ones with a strong, shuffled diagonal."""
    x = draw(shape, F64, -1, 1, seed)
    rows, columns = shape[-2:]
    order = np.random.default_rng(rows * 31 + seed).permutation(max(rows, columns))
    x += 0.5 * max(rows, columns) * np.eye(max(rows, columns))[order][:rows, :columns]
    return np.asarray(x).astype(dtype.numpy)


def positive(shape: tuple[int, ...], dtype: DType = F64, seed: int = 0) -> Array:
    """Symmetric positive definite matrices."""
    x = draw(shape, F64, -1, 1, seed)
    found = x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])
    return np.asarray(found).astype(dtype.numpy)


def _cholesky(a: Array, lower: bool = True, label: str = "", slack: float = 8.0) -> Sample:
    def expected(a: Array) -> Array:
        if not lower:
            a = np.swapaxes(a, -1, -2)
        found = np.linalg.cholesky(np.tril(a) + np.swapaxes(np.tril(a, -1), -1, -2))
        return found if lower else np.swapaxes(found, -1, -2)

    return Sample("cholesky", (a,), expected, {"lower": lower}, label=label, slack=slack)


def _one_sided(a: Array, lower: bool) -> Array:
    """The matrix with its other triangle, which nobody may read, made NaN."""
    mask = np.tril(np.ones(a.shape[-2:])) if lower else np.triu(np.ones(a.shape[-2:]))
    return np.where(mask > 0, a, np.nan).astype(a.dtype)


def _half_failed(a: Array) -> Array:
    found = np.full_like(a, np.nan)
    found[0] = np.linalg.cholesky(a[0])
    found[1, :, 0] = [2.0, 2.0]
    found[1, 0, 1] = 0.0
    return found


_INDEFINITE = np.array([[[4.0, 2.0], [2.0, 3.0]], [[4.0, 4.0], [4.0, 3.0]]])


def _triangular(
    a: Array, b: Array, left: bool = True, lower: bool = True, unit: bool = False,
    transposed: bool = False, op: str = "triangular_solve", label: str = "", slack: float = 16.0,
) -> Sample:  # fmt: skip
    def expected(a: Array, b: Array) -> Array:
        a = np.tril(a) if lower else np.triu(a)
        if unit:
            places = np.arange(a.shape[-1])
            a[..., places, places] = 1
        a = np.swapaxes(a, -1, -2) if transposed else a
        if left:
            return np.linalg.solve(a, b)
        turned = np.linalg.solve(np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2))
        return np.asarray(np.swapaxes(turned, -1, -2))

    attributes = {"lower": lower, "unit_diagonal": unit, "transpose_a": transposed}
    if op == "triangular_solve":
        attributes = {"left_side": left, **attributes}
    return Sample(op, (a, b), expected, attributes, label=label, slack=slack)


def _diagonal(shape: tuple[int, ...], dtype: DType = F64) -> Array:
    x = draw(shape, F64, -1, 1, 5) / 2
    return np.asarray(x + 2 * np.eye(shape[-1])).astype(dtype.numpy)


def _lu(a: Array, label: str = "", slack: float = 8.0) -> Sample:
    """Gaussian elimination, row by row, in plain Python."""

    def expected(a: Array) -> tuple[Array, Array, Array]:
        a = a.copy()
        pivots, order = np.zeros(a.shape[:-1]), np.zeros(a.shape[:-1])
        for stack in np.ndindex(*a.shape[:-2]):
            m, rows = a[stack], list(range(a.shape[-1]))
            for k in range(len(rows)):
                best = max(range(k, len(rows)), key=lambda i: (abs(m[i, k]), -i))
                pivots[(*stack, k)] = best
                m[[k, best]], rows[k], rows[best] = m[[best, k]], rows[best], rows[k]
                for i in range(k + 1, len(rows)):
                    m[i, k] = m[i, k] / m[k, k] if m[k, k] else 0.0
                    for j in range(k + 1, len(rows)):
                        m[i, j] -= m[i, k] * m[k, j]
            order[stack] = rows
        return a, pivots, order

    return Sample("lu", (a,), expected, label=label, slack=slack)


def _solve(a: Array, b: Array, adjoint: bool = False, label: str = "", slack: float = 16) -> Sample:
    def expected(a: Array, b: Array) -> Array:
        return np.linalg.solve(np.swapaxes(a, -1, -2) if adjoint else a, b)

    return Sample("linear_solve", (a, b), expected, {"adjoint": adjoint}, label=label, slack=slack)


_SINGULAR = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]])

SAMPLES = (
    _cholesky(positive((5, 5))),
    _cholesky(positive((3, 19, 19), F32), label="stack"),
    _cholesky(positive((2, 1, 8, 8)), lower=False, label="upper"),
    _cholesky(_one_sided(positive((7, 7)), True), label="half"),
    _cholesky(_one_sided(positive((7, 7), F32), False), lower=False, label="half"),
    _cholesky(np.zeros((2, 0, 0)), label="empty"),
    _cholesky(np.array([[9.0]]), label="one"),
    Sample("cholesky", (_INDEFINITE,), _half_failed, {"lower": True}, label="indefinite",
           differentiate=()),
    *(
        _triangular(_diagonal((6, 6)), draw((6, 3), F64), True, lower, unit, transposed,
                    label=f"left{lower:d}{unit:d}{transposed:d}")
        for lower in (True, False) for unit in (True, False) for transposed in (True, False)
    ),
    _triangular(_diagonal((2, 5, 5)), draw((2, 3, 5), F64), False, label="right"),
    _triangular(_diagonal((5, 5)), draw((19, 5), F64), False, False, True, True, label="right"),
    _triangular(_diagonal((3, 17, 17), F32), draw((3, 17, 33), F32), label="stack"),
    _triangular(_diagonal((7, 7)), draw((7, 1), F64), lower=False, label="vector"),
    _triangular(_diagonal((4, 4)), draw((4, 0), F64), label="empty"),
    _triangular(_diagonal((6, 6)), draw((6, 9), F64), op="substitution"),
    _triangular(_diagonal((2, 6, 6), F32), draw((2, 6, 17), F32), lower=False, unit=True,
                transposed=True, op="substitution", label="stack"),
    _triangular(_diagonal((5, 5)), draw((5, 2), F64), lower=False, op="substitution",
                label="upper"),
    _lu(matrices((6, 6))),
    _lu(matrices((3, 18, 18), F32), label="stack"),
    _lu(matrices((1, 1)), label="one"),
    _lu(np.zeros((2, 0, 0), np.float32), label="empty"),
    Sample("lu", (np.zeros((3, 3)),), lambda a: (a, [0, 1, 2], [0, 1, 2]), label="zeros",
           differentiate=()),
    _solve(matrices((5, 5)), draw((5, 2), F64)),
    _solve(matrices((2, 7, 7)), draw((2, 7, 3), F64), adjoint=True, label="adjoint"),
    _solve(matrices((2, 17, 17), F32), draw((2, 17, 1), F32), label="vector"),
    Sample("matrix_inverse", (matrices((2, 6, 6)),), np.linalg.inv, slack=16),
    Sample("matrix_inverse", (matrices((21, 21), F32),), np.linalg.inv, slack=16),
    Sample("determinant", (matrices((3, 5, 5)),), np.linalg.det, slack=16),
    Sample("determinant", (matrices((9, 9), F32) / 4,), np.linalg.det, slack=16),
    Sample("determinant", (np.zeros((2, 0, 0)),), np.linalg.det, label="empty"),
    Sample("determinant", (_SINGULAR,), lambda a: 0.0, label="singular", differentiate=()),
    Sample("log_determinant", (matrices((3, 5, 5)),), np.linalg.slogdet, slack=16),
    Sample("log_determinant", (matrices((2, 20, 20), F32),), np.linalg.slogdet, slack=16),
    Sample("log_determinant", (np.diag([2.0, 0.0, 1.0]),), lambda a: (0.0, -np.inf),
           label="singular", differentiate=()),
)  # fmt: skip
