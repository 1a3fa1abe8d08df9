"""Functions of linear algebra that are made of others."""

from __future__ import annotations

from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import float64
from tensorkiln.frontends.graph.ops_elementwise import greater, log, multiply, reciprocal
from tensorkiln.frontends.graph.ops_linalg import (
    LogMatrixDeterminant,
    Svd,
    cholesky,
    log_matrix_determinant,
    svd,
)
from tensorkiln.frontends.graph.ops_matmul import matmul, matrix_diag_part
from tensorkiln.frontends.graph.ops_matrix import matrix_transpose
from tensorkiln.frontends.graph.ops_reduce import reduce_max, reduce_sum
from tensorkiln.frontends.graph.ops_select import where
from tensorkiln.frontends.graph.ops_shape import expand_dims, squeeze
from tensorkiln.frontends.graph.tensor import Tensor


def adjoint(matrix: object, name: str | None = None) -> Tensor:
    """Matrices transposed, and conjugated if they are complex."""
    with graph_of([matrix]).name_scope(name or "adjoint"):
        return matrix_transpose(convert_to_tensor(matrix, name="matrix"), conjugate=True)


def slogdet(input: object, name: str | None = None) -> LogMatrixDeterminant:
    """The signs of determinants and the logarithms of their sizes."""
    with graph_of([input]).name_scope(name or "slogdet"):
        return log_matrix_determinant(input)


def logdet(matrix: object, name: str | None = None) -> Tensor:
    """The logarithms of the determinants of symmetric positive definite matrices."""
    with graph_of([matrix]).name_scope(name or "logdet"):
        factor = cholesky(matrix)
        return 2.0 * reduce_sum(log(matrix_diag_part(factor)), [-1])


def matvec(
    a: object, b: object, transpose_a: bool = False, adjoint_a: bool = False,
    a_is_sparse: bool = False, b_is_sparse: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """Matrices times vectors, which are the last dim of `b`."""
    with graph_of([a, b]).name_scope(name or "MatVec"):
        columns = expand_dims(convert_to_tensor(b, name="b"), -1)
        found = matmul(a, columns, transpose_a=transpose_a, adjoint_a=adjoint_a)
        return squeeze(found, [-1])


def pinv(
    a: object, rcond: float | None = None, validate_args: bool = False, name: str | None = None
) -> Tensor:
    """The Moore-Penrose inverses; singular values up to `rcond` times the greatest are zeros.

    `rcond` is 10 times the larger number of rows or columns times the precision unless given.
    """
    with graph_of([a]).name_scope(name or "pinv"):
        matrix = convert_to_tensor(a, name="a")
        if matrix.sizes is None or len(matrix.sizes) < 2 or None in matrix.sizes[-2:]:
            raise ValueError(f"pinv needs matrices of known sizes, not {matrix}")
        rows, columns = matrix.sizes[-2:]
        kind = matrix.dtype.base_dtype
        if rcond is None:
            precision = 2.0**-52 if kind == float64 else 2.0**-23
            rcond = 10.0 * max(rows or 0, columns or 0) * precision
        found = svd(matrix)
        assert isinstance(found, Svd)
        s, u, v = found
        limit = float(rcond) * reduce_max(s, [-1], keepdims=True)
        kept = greater(s, limit)
        ones, zeros = make("OnesLike", (s,), dtype=kind), make("ZerosLike", (s,), dtype=kind)
        inverse = where(kept, reciprocal(where(kept, s, ones)), zeros)
        return matmul(multiply(v, expand_dims(inverse, -2)), u, adjoint_b=True)
