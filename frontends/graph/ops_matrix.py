"""Matrices by their diagonals and bands."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base, like_input
from tensorkiln.frontends.graph.shapes import ShapeError, Sizes, show
from tensorkiln.frontends.graph.tensor import Tensor


def diag(diagonal: object, name: str | None = None) -> Tensor:
    """The tensor of twice the rank that has these elements where both halves of the index agree."""
    return make("Diag", (diagonal,), name)


def _diag_infer(op: Operation) -> Sequence[Result]:
    sizes = op.inputs[0].sizes
    return [(base(op.inputs[0]), None if sizes is None else (*sizes, *sizes))]


def _diag_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x,) = lowering.builder, values
    count = x.type.elements
    flat = shorthand.reshape(builder, x, (count,))
    spread = shorthand.broadcast_in_dim(builder, flat, (count, count), (0,))
    zeros = shorthand.zeros_like(builder, spread)
    matrix = shorthand.select(builder, diagonal_mask(lowering, (count, count)), spread, zeros)
    return [shorthand.reshape(builder, matrix, (*x.shape, *x.shape))]


def diag_part(input: object, name: str | None = None) -> Tensor:
    """The elements where both halves of the index agree."""
    return make("DiagPart", (input,), name)


def _diag_part_infer(op: Operation) -> Sequence[Result]:
    sizes = op.inputs[0].sizes
    if sizes is None:
        return [(base(op.inputs[0]), None)]
    half = len(sizes) // 2
    fits = len(sizes) % 2 == 0 and all(
        x is None or y is None or x == y for x, y in zip(sizes[:half], sizes[half:], strict=False)
    )
    if not fits or not sizes:
        raise ShapeError(
            f"Input must have even and non-zero rank with equal halves, got {show(sizes)}"
        )
    kept = [y if x is None else x for x, y in zip(sizes[:half], sizes[half:], strict=True)]
    return [(base(op.inputs[0]), tuple(kept))]


def _diag_part_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x,) = lowering.builder, values
    shape = x.shape[: len(x.shape) // 2]
    count = 1
    for size in shape:
        count *= size
    matrix = shorthand.reshape(builder, x, (count, count))
    zeros = shorthand.zeros_like(builder, matrix)
    kept = shorthand.select(builder, diagonal_mask(lowering, (count, count)), matrix, zeros)
    return [shorthand.reshape(builder, shorthand.reduce_sum(builder, kept, (1,)), shape)]


def matrix_set_diag(input: object, diagonal: object, name: str = "set_diag") -> Tensor:
    """Matrices with their main diagonals replaced."""
    return make("MatrixSetDiag", (input, diagonal), name)


def _set_diag_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x, diagonal) = lowering.builder, values
    rank, (rows, columns) = len(x.shape), x.shape[-2:]
    # Spread along the longer of the two dims, so that the diagonal lies along the other.
    axis = rank - 2 if rows <= columns else rank - 1
    spread = shorthand.broadcast_in_dim(builder, diagonal, x.shape, (*range(rank - 2), axis))
    return [shorthand.select(builder, diagonal_mask(lowering, x.shape), spread, x)]


def matrix_band_part(
    input: object, num_lower: object, num_upper: object, name: str | None = None
) -> Tensor:
    """Matrices with zeros beyond so many diagonals below and above the main one (negative: all
    are kept)."""
    return make("MatrixBandPart", (input, num_lower, num_upper), name)


def _band_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x, lower, upper) = lowering.builder, values
    rows = shorthand.iota(builder, x.shape, -2, I64)
    columns = shorthand.iota(builder, x.shape, -1, I64)
    zero = shorthand.scalar(builder, 0, I64)
    inside = None
    for bound, (a, b) in ((lower, (rows, columns)), (upper, (columns, rows))):
        limit = shorthand.convert(builder, bound, I64)
        distance = builder.one("subtract", (a, b))
        near = shorthand.compare(builder, "LE", distance, limit)
        free = shorthand.compare(builder, "LT", limit, zero)
        kept = shorthand.binary(builder, "or", near, free)
        inside = kept if inside is None else builder.one("and", (inside, kept))
    assert inside is not None
    return [shorthand.select(builder, inside, x, shorthand.zeros_like(builder, x))]


def diagonal_mask(lowering: Lowering, shape: Sequence[int]) -> Value:
    """Where the last two indices agree."""
    rows = shorthand.iota(lowering.builder, shape, -2, I64)
    columns = shorthand.iota(lowering.builder, shape, -1, I64)
    return shorthand.compare(lowering.builder, "EQ", rows, columns)


def matrix_transpose(a: object, name: str = "matrix_transpose", conjugate: bool = False) -> Tensor:
    """Matrices with rows and columns exchanged; ValueError below rank 2."""
    with graph_of([a]).name_scope(name):
        tensor = convert_to_tensor(a, name="a")
        sizes: Sizes = tensor.sizes
        if sizes is None:
            raise ValueError("matrix_transpose needs a tensor of known rank")
        if len(sizes) < 2:
            raise ValueError(
                f"Argument 'a' should be a (batch) matrix, with rank >= 2.  Found: {show(sizes)}"
            )
        order = [*range(len(sizes) - 2), len(sizes) - 1, len(sizes) - 2]
        if conjugate and tensor.dtype.is_complex:
            tensor = make("Conj", (tensor,))
        return make("Transpose", (tensor, order), "transpose")


register(
    OpKind("Diag", "diagonal:T", _diag_infer, _diag_lower),
    OpKind("DiagPart", "input:T", _diag_part_infer, _diag_part_lower),
    OpKind("MatrixSetDiag", "input:T diagonal:T", like_input, _set_diag_lower),
    OpKind("MatrixBandPart", "input:T num_lower:I num_upper:I", like_input, _band_lower),
)
