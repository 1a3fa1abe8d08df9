"""The ops eigh and svd: eigenvalues of symmetric matrices and singular values of any.

Of the operand of eigh, the lower triangle is read.  Vectors are determined up to sign, and those
of equal values up to a rotation; their gradients are where values differ.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.along import take_along
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import expect
from tensorkiln.compiler.ops.formula import Formula, formulas
from tensorkiln.compiler.ops.linalg_qr import qr
from tensorkiln.compiler.ops.matrices import (
    Cotangents,
    as_columns,
    check_matrices,
    diagonal,
    flip,
    in_range,
    mirrored_gradient,
    on_diagonal,
    product,
)
from tensorkiln.compiler.ops.record import Composite, Cost, FromBody, OpRecord, Types, bytes_moved
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    concat,
    full_like,
    slice_axis,
    squeeze,
    zeros_like,
)
from tensorkiln.compiler.ops.sort import argsort
from tensorkiln.runtime.errors import UnsupportedError


def eigh(builder: Builder, a: Value) -> tuple[Value, Value]:
    """The eigenvalues, ascending, and the eigenvectors as columns."""
    values, vectors = builder.op("eigh", (a,))
    return values, vectors


def svd(builder: Builder, a: Value, full_matrices: bool = False) -> tuple[Value, Value, Value]:
    """s, u and v with a = u diag(s) v^T and s descending."""
    s, u, v = builder.op("svd", (a,), {"full_matrices": full_matrices})
    return s, u, v


def _ordered(
    builder: Builder, values: Value, rows: Sequence[Value], descending: bool
) -> tuple[Value, list[Value]]:
    """Values in order, and the rows that go with them."""
    order = argsort(builder, values, -1, descending)
    rank = values.type.rank + 1
    moved = []
    for matrix in rows:
        places = broadcast_in_dim(builder, order, matrix.shape, range(rank - 1))
        moved.append(take_along(builder, matrix, places, -2))
    return take_along(builder, values, order, -1), moved


def _reciprocal(x: Formula) -> Formula:
    """1/x, and 0 where x is 0."""
    nothing = x.compare("EQ", 0.0)
    ones = Formula(x.builder, full_like(x.builder, x.value, 1))
    return nothing.drop(1.0 / nothing.select(ones, x))


def _gaps(builder: Builder, values: Value) -> Formula:
    """1 / (values[j] - values[i]) at (i, j), and 0 where those are equal."""
    rank = values.type.rank + 1
    shape = (*values.shape, values.shape[-1])
    across = broadcast_in_dim(builder, values, shape, (*range(rank - 2), rank - 1))
    down = broadcast_in_dim(builder, values, shape, range(rank - 1))
    return _reciprocal(Formula(builder, across) - Formula(builder, down))


# eigh


def _eigh_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operand holds square matrices of f32 or f64."""
    (a,) = expect(types, 1)
    check_matrices(a, "C1", square=True)
    return a.with_shape(a.shape[:-1]), a


def _eigh_body(builder: Builder, op: Op) -> Sequence[Value]:
    rotated, rows = builder.op("jacobi_eigen", op.operands)
    values, (vectors,) = _ordered(builder, diagonal(builder, rotated), [rows], False)
    return [values, flip(builder, vectors)]


def _eigh_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """v (diag(w') + f * (v^T v')) v^T with f = 1 / (w[j] - w[i]) off the diagonal (Giles, Collected
    matrix derivative results for forward and reverse mode AD, 2008, section 3.1)."""
    w_bar, v_bar = cotangents
    if w_bar is None and v_bar is None:
        return [None]
    w, v = op.results
    inner = zeros_like(builder, v)
    if v_bar is not None:
        found = Formula(builder, product(builder, flip(builder, v), v_bar))
        inner = (_gaps(builder, w) * found).value
    if w_bar is not None:
        inner = on_diagonal(builder, as_columns(builder, w_bar, v.shape), inner)
    found_a = product(builder, product(builder, v, inner), flip(builder, v))
    return [mirrored_gradient(builder, found_a)]


# svd


def _svd_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operand holds matrices of f32 or f64."""
    (a,) = expect(types, 1)
    check_matrices(a, "C1")
    rows, columns = a.sizes[-2:]
    outer, count = a.shape[:-2], min(rows, columns)
    left, right = (rows, columns) if attributes["full_matrices"] else (count, count)
    return (
        a.with_shape((*outer, count)),
        a.with_shape((*outer, rows, left)),
        a.with_shape((*outer, columns, right)),
    )


def _svd_body(builder: Builder, op: Op) -> Sequence[Value]:
    full = op.flag("full_matrices")
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
    s, (ordered, v) = _ordered(builder, norms, [rows, turned], True)
    units, spread = formulas(builder, ordered, as_columns(builder, s, ordered.shape))
    columns = flip(builder, (units * _reciprocal(spread)).value)
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
    """With f = 1 / (s[j]^2 - s[i]^2) off the diagonal, j = f * (u^T u') and k = f * (v^T v'):

        a' = u ((j + j^T) s + s (k + k^T) + diag(s')) v^T
             + (1 - u u^T) u' s^-1 v^T + u s^-1 v'^T (1 - v v^T)

    (Townsend, Differentiating the singular value decomposition, 2016).
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
    down, across = as_columns(builder, s, square), _as_rows(builder, s, square)
    gaps = _gaps(builder, builder.one("multiply", (s, s)))
    inner = Formula(builder, full_like(builder, down, 0))
    if u_bar is not None:
        j = (gaps * Formula(builder, product(builder, flip(builder, u), u_bar))).value
        both = builder.one("add", (j, flip(builder, j)))
        inner = inner + Formula(builder, builder.one("multiply", (both, across)))
    if v_bar is not None:
        k = (gaps * Formula(builder, product(builder, flip(builder, v), v_bar))).value
        both = builder.one("add", (k, flip(builder, k)))
        inner = inner + Formula(builder, builder.one("multiply", (both, down)))
    middle = inner.value
    if s_bar is not None:
        # The sums of j and k have nothing on their diagonals.
        middle = on_diagonal(builder, as_columns(builder, s_bar, square), middle)
    total = product(builder, product(builder, u, middle), flip(builder, v))
    if u_bar is not None:
        rest = _outside(builder, u, u_bar, s)
        total = builder.one("add", (total, product(builder, rest, flip(builder, v))))
    if v_bar is not None:
        rest = _outside(builder, v, v_bar, s)
        total = builder.one("add", (total, product(builder, u, flip(builder, rest))))
    return [total]


def _as_rows(builder: Builder, x: Value, shape: tuple[int, ...]) -> Value:
    rank = len(shape)
    return broadcast_in_dim(builder, x, shape, (*range(rank - 2), rank - 1))


def _outside(builder: Builder, u: Value, u_bar: Value, s: Value) -> Value:
    """(1 - u u^T) u' s^-1"""
    along = product(builder, u, product(builder, flip(builder, u), u_bar))
    rest, scale = formulas(
        builder,
        builder.one("subtract", (u_bar, along)),
        _as_rows(builder, s, u.shape),
    )
    return (rest * _reciprocal(scale)).value


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
