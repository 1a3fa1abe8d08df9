"""Samples of linear algebra with complex matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import C64, C128, DType

Array = NDArray[Any]


def _z(shape: tuple[int, ...], dtype: DType = C128, seed: int = 0) -> Array:
    return np.asarray(draw(shape, dtype, -1, 1, seed))


def _general(shape: tuple[int, ...], dtype: DType = C128) -> Array:
    return np.asarray(_z(shape, dtype) + (3 - 2j) * np.eye(shape[-1])).astype(dtype.numpy)


def _hermitian(shape: tuple[int, ...], dtype: DType = C128) -> Array:
    z = _z(shape, C128, 3)
    found = z @ np.swapaxes(z, -1, -2).conj() + np.eye(shape[-1])
    return np.asarray(found).astype(dtype.numpy)


def _cholesky(a: Array, lower: bool) -> Sample:
    def expected(a: Array) -> Array:
        found = np.linalg.cholesky(a)
        return found if lower else np.swapaxes(found, -1, -2).conj()

    # Its gradient is for one triangle, and a Hermitian matrix is given by it but for the diagonal,
    # which is real: finite differences of imaginary parts there would leave the domain.
    return Sample("cholesky", (a,), expected, {"lower": lower}, label="complex", slack=16,
                  differentiate=())  # fmt: skip


def _solve(a: Array, b: Array, adjoint: bool) -> Sample:
    def expected(a: Array, b: Array) -> Array:
        return np.linalg.solve(np.swapaxes(a, -1, -2).conj() if adjoint else a, b)

    return Sample("linear_solve", (a, b), expected, {"adjoint": adjoint}, label="complex", slack=16)


def _triangular(
    a: Array, b: Array, left: bool, lower: bool, unit: bool, transposed: bool
) -> Sample:
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

    attributes = {
        "left_side": left, "lower": lower, "unit_diagonal": unit, "transpose_a": transposed,
    }  # fmt: skip
    label = f"complex{left:d}{lower:d}{unit:d}{transposed:d}"
    return Sample("triangular_solve", (a, b), expected, attributes, label=label, slack=32)


def _coupled(dtype: DType = C128) -> Array:
    """Hermitian, a complex number in each of two pairs of rows: one rotation each, whose vectors
    have positive diagonals."""
    a = np.diag([1.0, 2.0, 3.0, 5.0]).astype(np.complex128)
    a[3, 0], a[2, 1] = 0.3 - 0.4j, 0.2 + 0.1j
    return np.asarray(a + np.tril(a, -1).conj().T).astype(dtype.numpy)


def _positive(*vectors: Array) -> tuple[Array, ...]:
    """All vectors with the phases that make the diagonal of the last positive."""
    places = np.arange(vectors[-1].shape[-1])
    found = vectors[-1][..., places, places]
    return tuple(v * (found.conj() / np.abs(found))[..., None, :] for v in vectors)


def _eigh(a: Array) -> tuple[Array, ...]:
    values, vectors = np.linalg.eigh(a, "L")
    return values, *_positive(vectors)


def _svd(a: Array) -> tuple[Array, ...]:
    u, s, v = np.linalg.svd(a, full_matrices=False)
    return s, *_positive(u, np.swapaxes(v, -1, -2).conj())


def _lu(a: Array) -> tuple[Array, Array, Array]:
    a, size = a.copy(), len(a)
    pivots, order = np.zeros(size, np.int32), np.arange(size, dtype=np.int32)
    for k in range(size):
        pivots[k] = found = k + int(np.argmax(np.abs(a[k:, k])))
        a[[k, found]], order[[k, found]] = a[[found, k]], order[[found, k]]
        a[k + 1 :, k] /= a[k, k]
        a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])
    return a, pivots, order


def _qr(a: Array, full: bool) -> Sample:
    def expected(a: Array) -> tuple[Array, Array]:
        found = np.linalg.qr(a, "complete" if full else "reduced")
        return found[0], found[1]

    smooth = None if not full or a.shape[-1] >= a.shape[-2] else ()
    return Sample("qr", (a,), expected, {"full_matrices": full}, label="complex", slack=32,
                  differentiate=smooth)  # fmt: skip


_THIN = {"full_matrices": False}

SAMPLES = (
    Sample("lu", (_z((5, 5)),), _lu, label="complex", slack=32),
    Sample("lu", (_z((4, 4), C64),), _lu, label="complex", slack=32),
    *(_qr(_z(shape), full) for shape in ((2, 4, 4), (5, 3), (2, 4)) for full in (False, True)),
    _qr(_z((3, 3), C64), False),
    # Vectors are free up to phases, which finite differences would see.
    Sample("eigh", (_coupled(),), _eigh, label="complex", slack=64, differentiate=()),
    Sample("eigh", (_coupled(C64),), _eigh, label="complex", slack=64, differentiate=()),
    Sample("svd", (_coupled()[::-1, ::-1].copy(),), _svd, _THIN, label="complex", slack=64,
           differentiate=()),
    Sample("svd", (_coupled(C64)[::-1, ::-1].copy(),), _svd, _THIN, label="complex", slack=64,
           differentiate=()),
    Sample("determinant", (_z((2, 5, 5)),), np.linalg.det, label="complex", slack=64),
    Sample("determinant", (_z((4, 4), C64),), np.linalg.det, label="complex", slack=64),
    Sample("log_determinant", (_z((2, 3, 3)),), lambda a: tuple(np.linalg.slogdet(a)),
           label="complex", slack=64),
    Sample("log_determinant", (_z((4, 4), C64),), lambda a: tuple(np.linalg.slogdet(a)),
           label="complex", slack=64),
    _cholesky(_hermitian((2, 4, 4)), True),
    _cholesky(_hermitian((5, 5), C64), False),
    _solve(_general((2, 4, 4)), _z((2, 4, 3)), False),
    _solve(_general((5, 5), C64), _z((5, 1), C64), True),
    Sample("matrix_inverse", (_general((2, 3, 3)),), np.linalg.inv, label="complex", slack=16),
    *(
        _triangular(_general((3, 3)), _z((3, 3), seed=1), left, lower, unit, transposed)
        for left in (True, False) for lower in (True, False)
        for unit, transposed in ((False, False), (True, True), (False, True))
    ),
)  # fmt: skip
