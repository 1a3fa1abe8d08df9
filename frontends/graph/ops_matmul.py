"""Products of matrices, and matrices made from vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import NUMBERS
from tensorkiln.frontends.graph.index_checks import invalid
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base, with_rank
from tensorkiln.frontends.graph.shapes import ShapeError, brackets, broadcast
from tensorkiln.frontends.graph.tensor import Tensor


def matmul(
    a: object, b: object, transpose_a: bool = False, transpose_b: bool = False,
    adjoint_a: bool = False, adjoint_b: bool = False, a_is_sparse: bool = False,
    b_is_sparse: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The product of matrices, batched over leading dims for tensors of more dims."""
    with graph_of([a, b]).name_scope(name or "MatMul") as scope:
        left = convert_to_tensor(a, name="a")
        right = convert_to_tensor(b, name="b")
        flip_a, flip_b = transpose_a or adjoint_a, transpose_b or adjoint_b
        if adjoint_a and left.dtype.is_complex:
            left = make("Conj", (left,))
        if adjoint_b and right.dtype.is_complex:
            right = make("Conj", (right,))
        if any(t.sizes is not None and len(t.sizes) > 2 for t in (left, right)):
            return make("BatchMatMul", (left, right), scope, adj_x=flip_a, adj_y=flip_b)
        return make("MatMul", (left, right), scope, transpose_a=flip_a, transpose_b=flip_b)


def _matmul_infer(op: Operation) -> Sequence[Result]:
    left, right = (with_rank(tensor.sizes, 2) for tensor in op.inputs)
    left = left[::-1] if op.flag("transpose_a") else left
    right = right[::-1] if op.flag("transpose_b") else right
    _check_inner(left[1], right[0])
    return [(base(op.inputs[0]), (left[0], right[1]))]


def _check_inner(x: int | None, y: int | None) -> None:
    if x is not None and y is not None and x != y:
        raise ShapeError(f"Dimensions must be equal, but are {x} and {y}")


def _matmul_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    a, b = values
    if a.shape[0 if op.flag("transpose_a") else 1] != b.shape[1 if op.flag("transpose_b") else 0]:
        raise invalid(
            op,
            f"Matrix size-incompatible: In[0]: {brackets(a.shape)}, In[1]: {brackets(b.shape)}",
        )
    over_a, over_b = (0 if op.flag("transpose_a") else 1), (1 if op.flag("transpose_b") else 0)
    return [shorthand.dot_general(lowering.builder, a, b, (), (), (over_a,), (over_b,))]


def _batch_infer(op: Operation) -> Sequence[Result]:
    left, right = (tensor.sizes for tensor in op.inputs)
    if left is None or right is None:
        return [(base(op.inputs[0]), None)]
    if min(len(left), len(right)) < 2:
        raise ShapeError(f"Shape must be at least rank 2 but is rank {min(len(left), len(right))}")
    batch = broadcast(left[:-2], right[:-2])
    assert batch is not None
    rows, inner = left[-2:][::-1] if op.flag("adj_x") else left[-2:]
    other, columns = right[-2:][::-1] if op.flag("adj_y") else right[-2:]
    _check_inner(inner, other)
    return [(base(op.inputs[0]), (*batch, rows, columns))]


def _batch_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder = lowering.builder
    left, right = values
    batch = shorthand.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left = shorthand.broadcast_to(builder, left, (*batch, *left.shape[-2:]))
    right = shorthand.broadcast_to(builder, right, (*batch, *right.shape[-2:]))
    dims, rank = tuple(range(len(batch))), len(batch)
    over_left = rank if op.flag("adj_x") else rank + 1
    over_right = rank + 1 if op.flag("adj_y") else rank
    return [shorthand.dot_general(builder, left, right, dims, dims, (over_left,), (over_right,))]


def tensordot(a: object, b: object, axes: object, name: str | None = None) -> Tensor:
    """Products summed over `axes`: a number of dims, or a list of dims for each tensor."""
    left, right = convert_to_tensor(a, name="a"), convert_to_tensor(b, name="b")
    if left.sizes is None or right.sizes is None:
        raise ValueError("tensordot needs tensors of known rank")
    if isinstance(axes, int):
        over_a = tuple(range(len(left.sizes) - axes, len(left.sizes)))
        over_b = tuple(range(axes))
    else:
        pair = [tuple(np.atleast_1d(item).tolist()) for item in axes]  # type: ignore[attr-defined]
        over_a, over_b = pair
    return make("TensorDot", (left, right), name or "Tensordot", axes_a=over_a, axes_b=over_b)


def _tensordot_infer(op: Operation) -> Sequence[Result]:
    kept: list[int | None] = []
    for tensor, key in zip(op.inputs, ("axes_a", "axes_b"), strict=True):
        sizes = tensor.sizes or ()
        over = {axis % len(sizes) for axis in op.integers(key)}
        kept += [size for k, size in enumerate(sizes) if k not in over]
    return [(base(op.inputs[0]), tuple(kept))]


def _tensordot_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    a, b = values
    over_a = [axis % len(a.shape) for axis in op.integers("axes_a")]
    over_b = [axis % len(b.shape) for axis in op.integers("axes_b")]
    return [shorthand.dot_general(lowering.builder, a, b, (), (), over_a, over_b)]


def eye(
    num_rows: int, num_columns: int | None = None, batch_shape: object = None,
    dtype: object = dtypes.float32, name: str | None = None,
) -> Tensor:  # fmt: skip
    """Ones on the diagonal."""
    columns = num_rows if num_columns is None else num_columns
    kind = dtypes.as_dtype(dtype)
    lead = tuple(int(n) for n in np.asarray(batch_shape if batch_shape is not None else (), int))
    return make("Eye", (), name or "eye", shape=(*lead, int(num_rows), int(columns)), dtype=kind)


def _eye_infer(op: Operation) -> Sequence[Result]:
    dtype = op.attributes["dtype"]
    assert isinstance(dtype, dtypes.DType)
    return [(dtype, op.integers("shape"))]


def _eye_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, shape = lowering.builder, op.integers("shape")
    on_diagonal = _diagonal_mask(lowering, shape)
    return [shorthand.convert(builder, on_diagonal, op.outputs[0].dtype.ir)]


def _diagonal_mask(lowering: Lowering, shape: Sequence[int]) -> Value:
    rows = shorthand.iota(lowering.builder, shape, -2, I64)
    columns = shorthand.iota(lowering.builder, shape, -1, I64)
    return shorthand.compare(lowering.builder, "EQ", rows, columns)


def matrix_diag(diagonal: object, name: str = "diag") -> Tensor:
    """Matrices with these diagonals."""
    return make("MatrixDiag", (diagonal,), name)


def _diag_infer(op: Operation) -> Sequence[Result]:
    sizes = op.inputs[0].sizes
    return [(base(op.inputs[0]), None if sizes is None else (*sizes, *sizes[-1:]))]


def _diag_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x,) = lowering.builder, values
    shape = (*x.shape, x.shape[-1])
    spread = shorthand.broadcast_in_dim(builder, x, shape, range(len(x.shape)))
    zeros = shorthand.zeros_like(builder, spread)
    return [shorthand.select(builder, _diagonal_mask(lowering, shape), spread, zeros)]


def matrix_diag_part(input: object, name: str = "diag_part") -> Tensor:
    """The diagonals of matrices (of the last two dims)."""
    return make("MatrixDiagPart", (input,), name)


def _part_infer(op: Operation) -> Sequence[Result]:
    sizes = op.inputs[0].sizes
    if sizes is None:
        return [(base(op.inputs[0]), None)]
    last = [size for size in sizes[-2:] if size is not None]
    return [(base(op.inputs[0]), (*sizes[:-2], min(last) if len(last) == 2 else None))]


def _part_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x,) = lowering.builder, values
    zeros = shorthand.zeros_like(builder, x)
    kept = shorthand.select(builder, _diagonal_mask(lowering, x.shape), x, zeros)
    rows, columns = x.shape[-2:]
    total = shorthand.reduce_sum(builder, kept, (-2,) if columns <= rows else (-1,))
    return [total]


def trace(x: object, name: str | None = None) -> Tensor:
    """The sum of the diagonal."""
    with graph_of([x]).name_scope(name or "Trace") as scope:
        return make("Sum", (matrix_diag_part(x), [-1]), scope, keep_dims=False)


register(
    OpKind("MatMul", "a:T b:T", _matmul_infer, _matmul_lower, {"T": NUMBERS}),
    OpKind("BatchMatMul", "x:T y:T", _batch_infer, _batch_lower, {"T": NUMBERS}),
    OpKind("TensorDot", "a:T b:T", _tensordot_infer, _tensordot_lower, {"T": NUMBERS}),
    OpKind("Eye", "", _eye_infer, _eye_lower),
    OpKind("MatrixDiag", "diagonal:T", _diag_infer, _diag_lower),
    OpKind("MatrixDiagPart", "input:T", _part_infer, _part_lower),
)
