"""The ops eigh and svd: eigenvalues of symmetric (Hermitian) matrices and singular values of any.

Of the operand of eigh, the lower triangle is read.  Vectors are determined up to sign (up to a
factor of size 1 where they are complex), and those
of equal values up to a rotation; their gradients are where values differ.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import expect
from tensorkiln.compiler.ops.complex_eigen import complex_eigh, complex_svd
from tensorkiln.compiler.ops.complex_parts import join, parts
from tensorkiln.compiler.ops.formula import Formula, formulas
from tensorkiln.compiler.ops.linalg_qr import qr
from tensorkiln.compiler.ops.matrices import (
    Cotangents,
    adjoint,
    as_columns,
    check_matrices,
    diagonal,
    flip,
    in_range,
    mirrored_gradient,
    on_diagonal,
    product,
    real_dtype,
    real_part,
)
from tensorkiln.compiler.ops.record import Composite, Cost, FromBody, OpRecord, Types, bytes_moved
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    concat,
    convert,
    full_like,
    slice_axis,
    squeeze,
    zeros_like,
)
from tensorkiln.compiler.ops.spectral import gaps, ordered, reciprocal
from tensorkiln.runtime.errors import UnsupportedError


def eigh(builder: Builder, a: Value) -> tuple[Value, Value]:
    """The eigenvalues, ascending, and the eigenvectors as columns."""
    values, vectors = builder.op("eigh", (a,))
    return values, vectors


def svd(builder: Builder, a: Value, full_matrices: bool = False) -> tuple[Value, Value, Value]:
    """s, u and v with a = u diag(s) v^T and s descending."""
    s, u, v = builder.op("svd", (a,), {"full_matrices": full_matrices})
    return s, u, v


# eigh


def _eigh_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operand holds square matrices of f32, f64 or complex numbers."""
    (a,) = expect(types, 1)
    check_matrices(a, "C1", square=True)
    return a.with_shape(a.shape[:-1]).with_dtype(real_dtype(a.dtype)), a


def _eigh_body(builder: Builder, op: Op) -> Sequence[Value]:
    if op.operands[0].dtype.is_complex:
        found, both = complex_eigh(builder, parts(builder, op.operands[0]))
        return [found, join(builder, *both)]
    rotated, rows = builder.op("jacobi_eigen", op.operands)
    values, (vectors,) = ordered(builder, diagonal(builder, rotated), [rows], False)
    return [values, flip(builder, vectors)]


def _eigh_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """v (diag(w') + f * (v^H v')) v^H with f = 1 / (w[j] - w[i]) off the diagonal (Giles, Collected
    matrix derivative results for forward and reverse mode AD, 2008, section 3.1)."""
    w_bar, v_bar = cotangents
    if w_bar is None and v_bar is None:
        return [None]
    w, v = op.results
    inner = zeros_like(builder, v)
    if v_bar is not None:
        found = Formula(builder, product(builder, adjoint(builder, v), v_bar))
        inner = (gaps(builder, w).convert(v.dtype) * found).value
    if w_bar is not None:
        spread = convert(builder, as_columns(builder, w_bar, v.shape), v.dtype)
        inner = on_diagonal(builder, spread, inner)
    found_a = product(builder, product(builder, v, inner), adjoint(builder, v))
    return [mirrored_gradient(builder, found_a)]


# svd


def _svd_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operand holds matrices of f32, f64 or complex numbers."""
    (a,) = expect(types, 1)
    check_matrices(a, "C1")
    rows, columns = a.sizes[-2:]
    outer, count = a.shape[:-2], min(rows, columns)
    left, right = (rows, columns) if attributes["full_matrices"] else (count, count)
    return (
        a.with_shape((*outer, count)).with_dtype(real_dtype(a.dtype)),
        a.with_shape((*outer, rows, left)),
        a.with_shape((*outer, columns, right)),
    )


def _svd_body(builder: Builder, op: Op) -> Sequence[Value]:
    full = op.flag("full_matrices")
    if op.operands[0].dtype.is_complex:
        s, left, right = complex_svd(builder, parts(builder, op.operands[0]), full)
        return [s, join(builder, *left), join(builder, *right)]
    a, scale = in_range(builder, op.operands[0])
    if a.shape[-2] < a.shape[-1]:
        s, v, u = _tall_svd(builder, flip(builder, a), full)
    else:
        s, u, v = _tall_svd(builder, a, full)
    if scale is not None:
        s = binary(builder, "multiply", s, squeeze(builder, scale, (-1,)))
    return [s, u, v]


def _tall_svd(builder: Builder, a: Value, full: bool) -> tuple[Value, Value, Value]:
    """a = q r; the columns of r are made orthogonal; what is left of them are u and s.

    A second QR decomposition completes u where s is 0: its q is u but for signs.
    """
    size = a.shape[-1]
    q, r = qr(builder, a, full)
    square = slice_axis(builder, r, -2, 0, size)
    rows, turned = builder.op("jacobi_svd", (flip(builder, square),))
    f = Formula(builder, rows)
    norms = (f * f).sum((-1,)).apply("sqrt").value
    s, (lines, v) = ordered(builder, norms, [rows, turned], True)
    units, spread = formulas(builder, lines, as_columns(builder, s, lines.shape))
    columns = flip(builder, (units * reciprocal(spread)).value)
    complete, signs = qr(builder, columns)
    flipped = Formula(builder, diagonal(builder, signs)).compare("LT", 0.0)
    ones = Formula(builder, full_like(builder, s, 1))
    sign = flipped.select(-ones, ones).value
    rank = a.type.rank
    across = broadcast_in_dim(builder, sign, complete.shape, (*range(rank - 2), rank - 1))
    inner = builder.one("multiply", (complete, across))
    u = product(builder, slice_axis(builder, q, -1, 0, size), inner)
    if q.shape[-1] > size:
        u = concat(builder, (u, slice_axis(builder, q, -1, size, q.shape[-1])), -1)
    return s, u, flip(builder, v)


def _svd_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """With f = 1 / (s[j]^2 - s[i]^2) off the diagonal, j = f * (u^H u') and k = f * (v^H v'):

        a' = u ((j + j^H) s + s (k + k^H) + diag(s') + i diag(im(u^H u')) s^-1) v^H
             + (1 - u u^H) u' s^-1 v^H + u s^-1 v'^H (1 - v v^H)

    (Townsend, Differentiating the singular value decomposition, 2016; Wan and Zhang, Automatic
    differentiation for complex valued SVD, arXiv:1909.02659, for the imaginary diagonal).
    """
    s_bar, u_bar, v_bar = cotangents
    (a,), (s, u, v) = op.operands, op.results
    if s_bar is None and u_bar is None and v_bar is None:
        return [None]
    vectors = u_bar is not None or v_bar is not None
    if vectors and op.flag("full_matrices") and a.shape[-1] != a.shape[-2]:
        raise UnsupportedError(
            "the vectors of svd with full_matrices have no gradient unless matrices are square; "
            "use full_matrices=False"
        )
    count = s.shape[-1]
    u, v = (slice_axis(builder, x, -1, 0, count) for x in (u, v))
    square = (*s.shape, count)
    down, across = (
        convert(builder, x, a.dtype)
        for x in (as_columns(builder, s, square), _as_rows(builder, s, square))
    )
    spread = gaps(builder, builder.one("multiply", (s, s))).convert(a.dtype)
    inner = Formula(builder, full_like(builder, down, 0))
    if u_bar is not None:
        along = product(builder, adjoint(builder, u), u_bar)
        j = (spread * Formula(builder, along)).value
        both = builder.one("add", (j, adjoint(builder, j)))
        inner = inner + Formula(builder, builder.one("multiply", (both, across)))
        if a.dtype.is_complex:
            turning = builder.one("subtract", (along, real_part(builder, along)))
            turning = on_diagonal(builder, turning, full_like(builder, along, 0))
            size = reciprocal(Formula(builder, as_columns(builder, s, square))).convert(a.dtype)
            inner = inner + Formula(builder, turning) * size
    if v_bar is not None:
        k = (spread * Formula(builder, product(builder, adjoint(builder, v), v_bar))).value
        both = builder.one("add", (k, adjoint(builder, k)))
        inner = inner + Formula(builder, builder.one("multiply", (both, down)))
    middle = inner.value
    if s_bar is not None:
        given = convert(builder, as_columns(builder, s_bar, square), a.dtype)
        only = on_diagonal(builder, given, full_like(builder, middle, 0))
        middle = builder.one("add", (middle, only))
    total = product(builder, product(builder, u, middle), adjoint(builder, v))
    if u_bar is not None:
        rest = _outside(builder, u, u_bar, s)
        total = builder.one("add", (total, product(builder, rest, adjoint(builder, v))))
    if v_bar is not None:
        rest = _outside(builder, v, v_bar, s)
        total = builder.one("add", (total, product(builder, u, adjoint(builder, rest))))
    return [total]


def _as_rows(builder: Builder, x: Value, shape: tuple[int, ...]) -> Value:
    rank = len(shape)
    return broadcast_in_dim(builder, x, shape, (*range(rank - 2), rank - 1))


def _outside(builder: Builder, u: Value, u_bar: Value, s: Value) -> Value:
    """(1 - u u^H) u' s^-1"""
    along = product(builder, u, product(builder, adjoint(builder, u), u_bar))
    rest = Formula(builder, builder.one("subtract", (u_bar, along)))
    scale = reciprocal(Formula(builder, _as_rows(builder, s, u.shape)))
    return (rest * scale.convert(u.dtype)).value


def _cost(op: Op) -> Cost:
    """About 50 m n min(m, n) operations: Jacobi's rotations in some eight turns."""
    a = op.operands[0].type
    return Cost(50 * a.elements * min(a.sizes[-2:]), bytes_moved(op))


RECORDS = (
    OpRecord(
        "eigh", {}, _eigh_types, FromBody(_eigh_body), _eigh_gradient,
        Composite(_eigh_body), _cost,
    ),
    OpRecord(
        "svd", {"full_matrices": "bool"}, _svd_types, FromBody(_svd_body), _svd_gradient,
        Composite(_svd_body), _cost,
    ),
)  # fmt: skip
