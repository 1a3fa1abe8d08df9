"""`tf.linalg`: linear algebra."""

from tensorkiln.frontends.graph import ops_linalg as _linalg
from tensorkiln.frontends.graph import ops_matrix as _matrix
from tensorkiln.frontends.graph.clipping import global_norm
from tensorkiln.frontends.graph.linalg import adjoint, logdet, matvec, pinv, slogdet
from tensorkiln.frontends.graph.norms import cross, norm
from tensorkiln.frontends.graph.ops_einsum import einsum
from tensorkiln.frontends.graph.ops_linalg import cholesky, cholesky_solve, lu, qr, svd
from tensorkiln.frontends.graph.ops_matmul import (
    eye,
    matmul,
    matrix_diag,
    matrix_diag_part,
    tensordot,
    trace,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_normalize import l2_normalize

det, inv, solve = _linalg.matrix_determinant, _linalg.matrix_inverse, _linalg.matrix_solve
lstsq, triangular_solve = _linalg.matrix_solve_ls, _linalg.matrix_triangular_solve
eigh, eigvalsh = _linalg.self_adjoint_eig, _linalg.self_adjoint_eigvals
diag, diag_part, tensor_diag, tensor_diag_part = (
    matrix_diag, matrix_diag_part, _matrix.diag, _matrix.diag_part,
)  # fmt: skip
band_part, set_diag, transpose = (
    _matrix.matrix_band_part, _matrix.matrix_set_diag, _matrix.matrix_transpose,
)  # fmt: skip
