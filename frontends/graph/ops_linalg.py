"""Linear algebra on stacks of matrices: factors, determinants, inverses, equations, spectra."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import (
    linalg_cholesky,
    linalg_eigen,
    linalg_lu,
    linalg_qr,
    shorthand,
)
from tensorkiln.compiler.ops import linalg_solve as equations
from tensorkiln.compiler.ops import linalg_triangular as triangles
from tensorkiln.compiler.ops.formula import formulas
from tensorkiln.compiler.ops.linalg_least_squares import least_squares
from tensorkiln.compiler.ops.matrices import diagonal, flip, mirrored_lower, triangle
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dimension import Size
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import ShapeError, Sizes
from tensorkiln.frontends.graph.singular import (
    SYSTEM_NOT_INVERTIBLE,
    check_invertible,
    check_spectrum,
    check_square,
    check_system,
)
from tensorkiln.frontends.graph.tensor import Tensor

Values = Sequence[Value]


class Qr(NamedTuple):
    """Orthonormal columns and an upper triangle whose product is the input."""

    q: Tensor
    r: Tensor


class LogMatrixDeterminant(NamedTuple):
    """The signs of determinants and the logarithms of their sizes."""

    sign: Tensor
    log_abs_determinant: Tensor


class Lu(NamedTuple):
    """Both triangular factors in one matrix, and where the rows of their product come from."""

    lu: Tensor
    p: Tensor


class SelfAdjointEig(NamedTuple):
    """Eigenvalues, ascending, and eigenvectors as columns."""

    e: Tensor
    v: Tensor


class Svd(NamedTuple):
    """Singular values, descending, and left and right singular vectors as columns."""

    s: Tensor
    u: Tensor
    v: Tensor


# Shapes


def _matrices(sizes: Sizes) -> tuple[tuple[Size, ...], Size, Size] | None:
    """The dims of the stack, rows and columns; None where the rank is unknown."""
    if sizes is None:
        return None
    if len(sizes) < 2:
        raise ShapeError(f"Shape must be at least rank 2 but is rank {len(sizes)}")
    return sizes[:-2], sizes[-2], sizes[-1]


def _same(a: Size, b: Size) -> Size:
    if a is not None and b is not None and a != b:
        raise ShapeError(f"Dimensions must be equal, but are {a} and {b}")
    return b if a is None else a


def _square(op: Operation) -> tuple[DType, Sizes, Size]:
    """The dtype, the dims of the stack, and the size of the matrices of the first input."""
    tensor = op.inputs[0]
    known = _matrices(tensor.sizes)
    if known is None:
        return base(tensor), None, None
    stack, rows, columns = known
    return base(tensor), stack, _same(rows, columns)


def _with(stack: Sizes, *sizes: Size) -> Sizes:
    return None if stack is None else (*stack, *sizes)


def _square_infer(op: Operation) -> Sequence[Result]:
    dtype, stack, size = _square(op)
    return [(dtype, _with(stack, size, size))]


def _number_infer(op: Operation) -> Sequence[Result]:
    dtype, stack, _ = _square(op)
    return [(dtype, stack)] * (2 if op.type == "LogMatrixDeterminant" else 1)


def _system_infer(op: Operation) -> Sequence[Result]:
    dtype, stack, size = _square(op)
    right = _matrices(op.inputs[1].sizes)
    if stack is None or right is None:
        return [(dtype, None)]
    return [(dtype, (*_same_stacks(stack, right[0]), _same(size, right[1]), right[2]))]


def _same_stacks(a: Sequence[Size], b: Sequence[Size]) -> tuple[Size, ...]:
    if len(a) != len(b):
        raise ShapeError(f"Shapes must be equal rank, but are {len(a) + 2} and {len(b) + 2}")
    return tuple(map(_same, a, b))


def _least_squares_infer(op: Operation) -> Sequence[Result]:
    left, right = (_matrices(tensor.sizes) for tensor in op.inputs[:2])
    if left is None or right is None:
        return [(base(op.inputs[0]), None)]
    _same(left[1], right[1])
    return [(base(op.inputs[0]), (*_same_stacks(left[0], right[0]), left[2], right[2]))]


def _least(a: Size, b: Size) -> Size:
    return None if a is None or b is None else min(a, b)


def _qr_infer(op: Operation) -> Sequence[Result]:
    dtype, known = base(op.inputs[0]), _matrices(op.inputs[0].sizes)
    if known is None:
        return [(dtype, None), (dtype, None)]
    stack, rows, columns = known
    inner = rows if op.flag("full_matrices") else _least(rows, columns)
    return [(dtype, (*stack, rows, inner)), (dtype, (*stack, inner, columns))]


def _lu_infer(op: Operation) -> Sequence[Result]:
    dtype, stack, size = _square(op)
    index = op.attributes["output_idx_type"]
    assert isinstance(index, DType)
    return [(dtype, _with(stack, size, size)), (index, _with(stack, size))]


def _eigen_infer(op: Operation) -> Sequence[Result]:
    dtype, stack, size = _square(op)
    vectors: Sizes = _with(stack, size, size) if op.flag("compute_v") else (0,)
    return [(dtype, _with(stack, size)), (dtype, vectors)]


def _svd_infer(op: Operation) -> Sequence[Result]:
    dtype, known = base(op.inputs[0]), _matrices(op.inputs[0].sizes)
    if known is None:
        return [(dtype, None)] * 3
    stack, rows, columns = known
    count = _least(rows, columns)
    if not op.flag("compute_uv"):
        return [(dtype, (*stack, count)), (dtype, (0,)), (dtype, (0,))]
    left, right = (rows, columns) if op.flag("full_matrices") else (count, count)
    return [
        (dtype, (*stack, count)),
        (dtype, (*stack, rows, left)),
        (dtype, (*stack, columns, right)),
    ]


# Lowerings


def _cholesky_lower(lowering: Lowering, op: Operation, values: Values) -> Values:
    """The lower triangle is read, and gradients are symmetric, as TensorFlow's are: so the value
    is that of the mirrored triangle, and the gradient goes through the mean of both triangles.
    Where there is no factor, the whole triangle is NaN."""
    builder, (x,) = lowering.builder, values
    check_square(op, x)
    if x.dtype.is_complex:
        return [linalg_cholesky.cholesky(builder, x)]
    a, turned, mirrored = formulas(builder, x, flip(builder, x), mirrored_lower(builder, x))
    mean = (a + turned) * 0.5
    whole = mean + (mirrored - mean).apply("stop_gradient")
    factor = linalg_cholesky.cholesky(builder, whole.value)
    if 0 in factor.shape:
        return [factor]
    # A pivot that is not positive makes all later ones NaN, the last one too.
    pivots = diagonal(builder, factor)
    last = shorthand.slice_axis(builder, pivots, -1, factor.shape[-1] - 1, factor.shape[-1])
    failed = shorthand.compare(builder, "NE", last, last)
    size = factor.type.rank
    everywhere = shorthand.broadcast_in_dim(builder, failed, factor.shape, range(size - 1))
    nan = shorthand.full_like(builder, factor, math.nan)
    return [shorthand.select(builder, everywhere, triangle(builder, nan, lower=True), factor)]


def _triangular_lower(lowering: Lowering, op: Operation, values: Values) -> Values:
    lower, adjoint = op.flag("lower"), op.flag("adjoint")
    a, b = values
    a = _conjugate(lowering, a) if adjoint else a
    return [triangles.triangular_solve(lowering.builder, a, b, True, lower, False, adjoint)]


def _inverse_lower(lowering: Lowering, op: Operation, values: Values) -> Values:
    check_square(op, values[0])
    check_invertible(lowering, op, values[0])
    found = equations.inverse(lowering.builder, values[0])
    return [_conjugate(lowering, flip(lowering.builder, found)) if op.flag("adjoint") else found]


def _conjugate(lowering: Lowering, x: Value) -> Value:
    return lowering.builder.one("conjugate", (x,)) if x.dtype.is_complex else x


def _solve_lower(lowering: Lowering, op: Operation, values: Values) -> Values:
    check_system(op, values[0], values[1])
    check_invertible(lowering, op, values[0], SYSTEM_NOT_INVERTIBLE)
    return [equations.solve(lowering.builder, values[0], values[1], op.flag("adjoint"))]


def _determinant_lower(lowering: Lowering, op: Operation, values: Values) -> Values:
    if op.type == "MatrixDeterminant":
        return [equations.determinant(lowering.builder, values[0])]
    return equations.log_determinant(lowering.builder, values[0])


def _lu_lower(lowering: Lowering, op: Operation, values: Values) -> Values:
    check_square(op, values[0])
    check_invertible(lowering, op, values[0])
    factors, _, permutation = linalg_lu.lu(lowering.builder, values[0])
    kind = op.outputs[1].dtype.ir
    return [factors, lowering.builder.one("convert", (permutation,), dtype=kind)]


def _qr_lower(lowering: Lowering, op: Operation, values: Values) -> Values:
    return linalg_qr.qr(lowering.builder, values[0], op.flag("full_matrices"))


def _eigen_lower(lowering: Lowering, op: Operation, values: Values) -> Values:
    found = linalg_eigen.eigh(lowering.builder, values[0])
    check_spectrum(lowering, op, found[0])
    return found if op.flag("compute_v") else [found[0], _nothing(lowering, op)]


def _svd_lower(lowering: Lowering, op: Operation, values: Values) -> Values:
    full = op.flag("full_matrices")
    if op.flag("compute_uv"):
        return linalg_eigen.svd(lowering.builder, values[0], full)
    return [
        linalg_eigen.svd(lowering.builder, values[0])[0],
        _nothing(lowering, op),
        _nothing(lowering, op),
    ]


def _nothing(lowering: Lowering, op: Operation) -> Value:
    """The empty vector that stands for what was not asked for."""
    kind = base(op.inputs[0]).ir
    return lowering.builder.one("iota", (), shape=(0,), dtype=kind, dimension=0)


def _least_squares_lower(lowering: Lowering, op: Operation, values: Values) -> Values:
    a, b, regularizer = values
    return [least_squares(lowering.builder, a, b, regularizer, op.flag("fast"))]


# Functions


def _unary(kind: str, meaning: str) -> Callable[..., Tensor]:
    def function(input: object, name: str | None = None) -> Tensor:
        return make(kind, (input,), name)

    function.__doc__, function.__name__ = meaning, kind
    return function


cholesky = _unary(
    "Cholesky",
    "The lower triangular factors l, l l^T = input, of symmetric positive definite matrices; NaN"
    " for others. Only the lower triangle of the input is read.",
)
matrix_determinant = _unary("MatrixDeterminant", "The determinants of square matrices.")


def log_matrix_determinant(input: object, name: str | None = None) -> LogMatrixDeterminant:
    """The signs of the determinants of square matrices and the logarithms of their sizes."""
    return LogMatrixDeterminant(*apply_op("LogMatrixDeterminant", (input,), name).outputs)


def matrix_inverse(input: object, adjoint: bool = False, name: str | None = None) -> Tensor:
    """The inverses of square matrices (transposed if `adjoint`); a singular one is an error."""
    return make("MatrixInverse", (input,), name, adjoint=adjoint)


def matrix_solve(
    matrix: object, rhs: object, adjoint: bool = False, name: str | None = None
) -> Tensor:
    """x with matrix x = rhs (with the transposed matrix if `adjoint`)."""
    return make("MatrixSolve", (matrix, rhs), name, adjoint=adjoint)


def matrix_triangular_solve(
    matrix: object, rhs: object, lower: bool = True, adjoint: bool = False, name: str | None = None
) -> Tensor:
    """x with matrix x = rhs, of which only the lower (or upper) triangle is read."""
    return make("MatrixTriangularSolve", (matrix, rhs), name, lower=lower, adjoint=adjoint)


def cholesky_solve(chol: object, rhs: object, name: str | None = None) -> Tensor:
    """x with a x = rhs, where chol is the Cholesky factor of a."""
    with graph_of([chol, rhs]).name_scope(name or "cholesky_solve"):
        factor = convert_to_tensor(chol, name="chol")
        inner = matrix_triangular_solve(factor, rhs)
        return matrix_triangular_solve(factor, inner, adjoint=True)


def matrix_solve_ls(
    matrix: object, rhs: object, l2_regularizer: float = 0.0, fast: bool = True,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """x with the least |matrix x - rhs|^2 + l2_regularizer |x|^2.

    `fast` solves the normal equations; without it, the solution is that of least norm by singular
    values, and the regularizer is ignored, as in TensorFlow.
    """
    with graph_of([matrix, rhs]).name_scope(name or "matrix_solve_ls") as scope:
        return make("MatrixSolveLs", (matrix, rhs, float(l2_regularizer)), scope, fast=fast)


def lu(input: object, output_idx_type: object = dtypes.int32, name: str | None = None) -> Lu:
    """Triangular factors of square matrices whose rows are exchanged: input[p] = l u."""
    kind = dtypes.as_dtype(output_idx_type)
    return Lu(*apply_op("Lu", (input,), name, {"output_idx_type": kind}).outputs)


def qr(input: object, full_matrices: bool = False, name: str | None = None) -> Qr:
    """Orthonormal columns q and an upper triangle r with q r = input."""
    return Qr(*apply_op("Qr", (input,), name, {"full_matrices": full_matrices}).outputs)


def self_adjoint_eig(tensor: object, name: str | None = None) -> SelfAdjointEig:
    """Eigenvalues and eigenvectors of symmetric matrices, whose lower triangles are read."""
    attributes = {"compute_v": True}
    return SelfAdjointEig(*apply_op("SelfAdjointEigV2", (tensor,), name, attributes).outputs)


def self_adjoint_eigvals(tensor: object, name: str | None = None) -> Tensor:
    """Eigenvalues of symmetric matrices, whose lower triangles are read."""
    return apply_op("SelfAdjointEigV2", (tensor,), name, {"compute_v": False}).outputs[0]


def svd(
    tensor: object, full_matrices: bool = False, compute_uv: bool = True, name: str | None = None
) -> Svd | Tensor:
    """s, u and v with tensor = u diag(s) v^T, or s alone without `compute_uv`."""
    attributes = {"compute_uv": compute_uv, "full_matrices": full_matrices}
    found = apply_op("Svd", (tensor,), name, attributes).outputs
    return Svd(*found) if compute_uv else found[0]


_FLOAT = {"T": (dtypes.float32, dtypes.float64)}
_ANY = {"T": (*_FLOAT["T"], dtypes.complex64, dtypes.complex128)}
register(
    OpKind("Cholesky", "input:T", _square_infer, _cholesky_lower, _ANY),
    OpKind("MatrixInverse", "input:T", _square_infer, _inverse_lower, _ANY),
    OpKind("MatrixDeterminant", "input:T", _number_infer, _determinant_lower, _FLOAT),
    OpKind("LogMatrixDeterminant", "input:T", _number_infer, _determinant_lower, _FLOAT),
    OpKind("MatrixSolve", "matrix:T rhs:T", _system_infer, _solve_lower, _ANY),
    OpKind("MatrixTriangularSolve", "matrix:T rhs:T", _system_infer, _triangular_lower, _ANY),
    OpKind(
        "MatrixSolveLs", "matrix:T rhs:T l2_regularizer:float64", _least_squares_infer,
        _least_squares_lower, _FLOAT,
    ),
    OpKind("Lu", "input:T", _lu_infer, _lu_lower, _FLOAT),
    OpKind("Qr", "input:T", _qr_infer, _qr_lower, _FLOAT),
    OpKind("SelfAdjointEigV2", "input:T", _eigen_infer, _eigen_lower, _FLOAT),
    OpKind("Svd", "input:T", _svd_infer, _svd_lower, _FLOAT),
)  # fmt: skip
