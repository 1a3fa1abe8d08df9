"""Top-level names of sorting, linear algebra, complex numbers and Fourier transforms."""

from tensorkiln.frontends.graph.ops_linalg import (
    cholesky,
    cholesky_solve,
    log_matrix_determinant,
    matrix_determinant,
    matrix_inverse,
    matrix_solve,
    matrix_solve_ls,
    matrix_triangular_solve,
    qr,
    self_adjoint_eig,
    self_adjoint_eigvals,
    svd,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_sort import argsort, sort
from tensorkiln.frontends.graph.ops_spectral import (
    angle,
    complex_,
    conj,
    fft,
    fft2d,
    fft3d,
    ifft,
    ifft2d,
    ifft3d,
    imag,
    real,
)  # fmt: skip

complex = complex_
