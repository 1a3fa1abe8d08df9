"""Samples of QR, eigenvalue and singular value decompositions, against numpy's LAPACK.

Signs of vectors are free: these matrices are so near to diagonal ones that Jacobi's rotations keep
the diagonals of the vectors positive.  tests/ops/test_decompositions.py has the harder ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw
from ops.samples_linalg import matrices

from tensorkiln.compiler.ir.dtypes import F32, F64, DType

Array = NDArray[Any]


def _raw(a: Array) -> tuple[Array, Array]:
    packed, taus = np.linalg.qr(a, "raw")
    return np.swapaxes(packed, -1, -2), taus


def _householder(shape: tuple[int, ...], dtype: DType = F64, label: str = "") -> Sample:
    return Sample("householder_qr", (matrices(shape, dtype),), _raw, label=label, slack=16)


def _product(shape: tuple[int, ...], columns: int, dtype: DType = F64, label: str = "") -> Sample:
    packed, taus = (np.ascontiguousarray(x) for x in _raw(matrices(shape, dtype)))

    def expected(packed: Array, taus: Array) -> Array:
        rows = packed.shape[-2]
        q = np.eye(rows)
        for k in range(taus.shape[-1]):
            v = np.concatenate([np.zeros(k), [1.0], packed[k + 1 :, k]])
            q = q @ (np.eye(rows) - taus[k] * np.outer(v, v))
        return np.asarray(q[:, :columns])

    return Sample(
        "householder_product", (packed, taus), expected, {"columns": columns}, label=label, slack=16
    )


def _qr(shape: tuple[int, ...], full: bool = False, dtype: DType = F64, label: str = "") -> Sample:
    a = matrices(shape, dtype)

    def expected(a: Array) -> tuple[Array, Array]:
        found = np.linalg.qr(a, "complete" if full else "reduced")
        return found[0], found[1]

    smooth = None if not full or shape[-1] >= shape[-2] else ()
    return Sample(
        "qr", (a,), expected, {"full_matrices": full}, label=label, slack=32, differentiate=smooth
    )


def _near_diagonal(shape: tuple[int, ...], rising: bool, dtype: DType = F64) -> Array:
    rows, columns = shape[-2:]
    order = np.arange(1.0, max(shape[-2:]) + 1)
    big = np.diag(order if rising else order[::-1])[:rows, :columns]
    return np.asarray(big + draw(shape, F64, -0.1, 0.1, rows)).astype(dtype.numpy)


def _positive_diagonal(*vectors: Array) -> tuple[Array, ...]:
    """All vectors with the signs that make the diagonal of the first positive."""
    places = np.arange(min(v.shape[-1] for v in vectors))
    signs = np.sign(vectors[0][..., places, places])[..., None, :]
    return tuple(v * signs for v in vectors)


def _eigh(a: Array) -> tuple[Array, Array]:
    values, vectors = np.linalg.eigh(a, "L")
    return values, *_positive_diagonal(vectors)


def _svd(a: Array) -> tuple[Array, ...]:
    u, s, v = np.linalg.svd(a, full_matrices=False)
    return s, *_positive_diagonal(u, np.swapaxes(v, -1, -2))


def _jacobi_eigen(a: Array) -> tuple[Array, Array]:
    """Diagonal entries stay in place, so that they are the eigenvalues in the same order."""
    values, vectors = _eigh(a)
    return values[..., None, :] * np.eye(a.shape[-1]), np.swapaxes(vectors, -1, -2)


def _jacobi_svd(a: Array) -> tuple[Array, Array]:
    s, u, v = _svd(a)
    return s[..., None] * np.swapaxes(v, -1, -2), np.swapaxes(u, -1, -2)


_THIN = {"full_matrices": False}

SAMPLES = (
    _householder((5, 3)),
    _householder((2, 4, 7), label="wide"),
    _householder((19, 18), F32, label="lanes"),
    Sample(
        "householder_qr", (np.triu(matrices((3, 3))),), lambda a: (a, np.zeros(3)), label="upper"
    ),
    Sample(
        "householder_qr", (np.zeros((2, 0, 3)),), lambda a: (a, np.zeros((2, 0))), label="empty"
    ),
    _product((5, 3), 3),
    _product((5, 3), 5, label="whole"),
    _product((4, 6), 2, label="wide"),
    _product((21, 18), 20, F32, label="lanes"),
    _qr((5, 5)),
    _qr((2, 6, 3), label="tall"),
    _qr((3, 5), label="wide"),
    _qr((3, 5), True, label="wide_whole"),
    _qr((6, 3), True, label="whole"),
    _qr((20, 17), False, F32, label="lanes"),
    _qr((0, 4, 3), label="empty"),
    Sample("jacobi_eigen", (_near_diagonal((9, 9), True),), _jacobi_eigen, slack=64),
    Sample("jacobi_eigen", (_near_diagonal((2, 3, 3), True, F32),), _jacobi_eigen, slack=64),
    Sample("jacobi_svd", (_near_diagonal((4, 9), False),), _jacobi_svd, slack=64),
    Sample("jacobi_svd", (_near_diagonal((2, 3, 17), False, F32),), _jacobi_svd, slack=64),
    Sample("eigh", (_near_diagonal((5, 5), True),), _eigh, slack=64),
    Sample("eigh", (_near_diagonal((2, 4, 4), True, F32),), _eigh, label="stack", slack=64),
    Sample("eigh", (np.zeros((3, 0, 0)),), _eigh, label="empty"),
    Sample("svd", (_near_diagonal((5, 5), False),), _svd, _THIN, slack=64),
    Sample("svd", (_near_diagonal((2, 6, 4), False),), _svd, _THIN, label="tall", slack=64),
    Sample("svd", (_near_diagonal((3, 5), False),), _svd, _THIN, label="wide", slack=64),
    Sample("svd", (_near_diagonal((10, 9), False),), _svd, _THIN, label="lanes", slack=64),
)
