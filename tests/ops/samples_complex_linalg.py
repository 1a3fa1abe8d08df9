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


SAMPLES = (
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
