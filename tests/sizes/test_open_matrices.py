"""Linear algebra and Fourier transforms where stacks, and most matrices, are of open size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from sizes.open_functions import ONE_PART, SYMBOLS, Make, check, check_interpreted, function_of

from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops import shorthand as op
from tensorkiln.compiler.ops.fft import fft
from tensorkiln.compiler.ops.linalg_cholesky import cholesky
from tensorkiln.compiler.ops.linalg_eigen import eigh, svd
from tensorkiln.compiler.ops.linalg_qr import qr
from tensorkiln.compiler.ops.linalg_solve import determinant, inverse, log_determinant, solve
from tensorkiln.compiler.ops.linalg_triangular import triangular_solve
from tensorkiln.compiler.ops.matrices import identity, product
from tensorkiln.compiler.sizes.bound import bound
from tensorkiln.runtime.errors import UnsupportedError


def _floats(builder: Builder, *shape: int) -> Value:
    return builder.parameter(f"x{len(builder.parameters)}", TensorType(shape, F32))


def _definite(builder: Builder, x: Value) -> Value:
    """Symmetric positive definite matrices."""
    square = product(builder, x, op.transpose(builder, x, (0, 2, 1)))
    return op.binary(builder, "add", square, identity(builder, square.shape, F32))


def _both(builder: Builder, a: Value, b: Value) -> Sequence[Value]:
    lower = cholesky(builder, a)
    return [
        lower,
        cholesky(builder, a, lower=False),
        triangular_solve(builder, lower, b, True, True, False, False),
        triangular_solve(builder, lower, b, True, True, False, True),
        solve(builder, a, b),
        solve(builder, a, b, adjoint=True),
        inverse(builder, a),
        determinant(builder, a),
        *log_determinant(builder, a),
    ]


def stacks(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """An open number of matrices, with an open number of right sides."""
    a = _definite(builder, _floats(builder, n, 6, 6))
    return _both(builder, a, _floats(builder, n, 6, b))


def sizes(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Matrices of open size, stacks of them as well."""
    a = _definite(builder, _floats(builder, b, n, n))
    return _both(builder, a, _floats(builder, b, n, 3))


def orthogonal(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Q R, of stacks, of open rows (not fewer than columns) and of open columns."""
    tall, narrow = _floats(builder, b, n + 4, 4), _floats(builder, n, 6, b)
    q, r = qr(builder, tall)
    whole, above = qr(builder, tall, full_matrices=True)
    # where no row is left, the sign of a reflection is that of rounding: products tell no signs
    return [q, r, product(builder, whole, above), *qr(builder, narrow)]


def spectra(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Eigenvalues and singular values of open stacks and sizes; vectors by what they make up."""
    a = _definite(builder, _floats(builder, b, n, n))
    values, vectors = eigh(builder, a)
    shape = a.shape
    scaled = op.binary(
        builder, "multiply", vectors, op.broadcast_in_dim(builder, values, shape, (0, 2))
    )
    again = product(builder, scaled, op.transpose(builder, vectors, (0, 2, 1)))
    singular, _, _ = svd(builder, _floats(builder, n, 3, 4))
    return [values, again, singular]


def transforms(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Stacks of signals, real and complex, forward and back."""
    x = _floats(builder, n, b, 12)
    spectrum = fft(builder, x, "RFFT", (12,))
    both = builder.one("complex", (x, op.reverse(builder, x, (2,))))
    turned = fft(builder, both, "FFT", (12,))
    parts = [builder.one(name, (v,)) for v in (spectrum, turned) for name in ("real", "imag")]
    return [*parts, fft(builder, spectrum, "IRFFT", (12,))]


CASES: Mapping[str, Make] = {
    "stacks": stacks,
    "sizes": sizes,
    "orthogonal": orthogonal,
    "spectra": spectra,
    "transforms": transforms,
}
POINTS = ((1, 2), (2, 3), (7, 5), (9, 4))


@pytest.mark.parametrize("name", CASES)
def test_interpreted(name: str) -> None:
    check_interpreted(CASES[name], 5e-4, POINTS)


@pytest.mark.parametrize("name", CASES)
def test_compiled(name: str) -> None:
    check(CASES[name], 5e-4, POINTS[1:], ONE_PART)


def test_transforms_of_open_length_are_refused_with_the_reason() -> None:
    def make(builder: Builder, n: int, b: int) -> Sequence[Value]:
        spectrum = fft(builder, _floats(builder, b, n), "RFFT", (n,))
        return [builder.one("real", (spectrum,))]

    with pytest.raises(UnsupportedError, match=r"fft.* range of n, b: dim 1 is transformed"):
        bound(lambda p: function_of(make, p), SYMBOLS, {"n": 9, "b": 5})
