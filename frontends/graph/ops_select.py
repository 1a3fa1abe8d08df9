"""Elements chosen by conditions and by indices."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import BOOL, I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import Convertible, convert_to_tensor
from tensorkiln.frontends.graph.dtypes import boolean
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_where import where_true
from tensorkiln.frontends.graph.rules import axis_in, base
from tensorkiln.frontends.graph.shapes import (
    ShapeError,
    brackets,
    broadcast,
    compatible,
    merge,
    show,
)
from tensorkiln.frontends.graph.statics import static_integer
from tensorkiln.frontends.graph.tensor import Tensor


def where(condition: object, x: object = None, y: object = None, name: str | None = None) -> Tensor:
    """`x` where the condition holds, `y` elsewhere; a vector condition chooses whole rows.

    Without `x` and `y` the index tuples of the elements that are true.
    """
    if x is None and y is None:
        return where_true(condition, name)
    if x is None or y is None:
        raise ValueError("x and y must both be non-None or both be None.")
    return make("Select", (condition, x, y), name)


def _select_infer(op: Operation) -> Sequence[Result]:
    condition, x, y = op.inputs
    if not compatible(x.sizes, y.sizes):
        raise ShapeError(f"Shapes {show(x.sizes)} and {show(y.sizes)} must be equal")
    sizes = merge(x.sizes, y.sizes)
    chooses_rows = condition.sizes is not None and len(condition.sizes) <= 1
    if condition.sizes and sizes is not None and chooses_rows:
        rows = sizes[0] if sizes else 1
        if not compatible(condition.sizes, (rows,)):
            raise ShapeError(
                f"Dimension 0 in both shapes must be equal, but are {condition.sizes[0]} and "
                f"{rows}. Shapes are {brackets(condition.sizes)} and {brackets((rows,))}."
            )
    if not chooses_rows and not compatible(condition.sizes, sizes):
        raise ShapeError(f"Shapes {show(condition.sizes)} and {show(sizes)} must be equal")
    return [(base(x), sizes)]


def _select_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (condition, x, y) = lowering.builder, values
    if len(condition.shape) == 1 and len(x.shape) > 1:
        condition = shorthand.broadcast_in_dim(builder, condition, x.shape, (0,))
    return [shorthand.select(builder, condition, x, y)]


def where_v2(
    condition: object, x: object = None, y: object = None, name: str | None = None
) -> Tensor:
    """`where` whose condition, x and y broadcast against each other."""
    if x is None or y is None:
        return where(condition, x, y, name)
    return make("SelectV2", (condition, x, y), name)


def _select_v2_infer(op: Operation) -> Sequence[Result]:
    condition, x, y = (tensor.sizes for tensor in op.inputs)
    return [(base(op.inputs[1]), broadcast(condition, broadcast(x, y)))]


def _select_v2_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    return [shorthand.select(lowering.builder, *values)]


def one_hot(
    indices: object, depth: object, on_value: object = None, off_value: object = None,
    axis: int | None = None, dtype: object = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """`on_value` (1) at each index along a new last dim (or `axis`), `off_value` (0) elsewhere."""
    kind = dtypes.float32 if dtype is None else dtypes.as_dtype(dtype)
    for value in (on_value, off_value):
        if dtype is None and isinstance(value, Convertible):
            kind = base(value._as_tensor())
        elif dtype is None and value is not None:
            kind = base(convert_to_tensor(value))
    with graph_of([indices, depth, on_value, off_value]).name_scope(name or "one_hot") as scope:
        one, zero = (True, False) if kind.is_bool else (1, 0)
        on = convert_to_tensor(one if on_value is None else on_value, kind, "on_value")
        off = convert_to_tensor(zero if off_value is None else off_value, kind, "off_value")
        place = -1 if axis is None else axis
        return make("OneHot", (indices, depth, on, off), scope, axis=place)


def _one_hot_infer(op: Operation) -> Sequence[Result]:
    sizes, depth = op.inputs[0].sizes, static_integer(op.inputs[1])
    if sizes is None:
        return [(base(op.inputs[2]), None)]
    place = axis_in(op.integer("axis"), (*sizes, 1))
    return [(base(op.inputs[2]), (*sizes[:place], depth, *sizes[place:]))]


def _one_hot_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (indices, _, on, off) = lowering.builder, values
    depth = lowering.integer(op, 1, values)
    rank = len(indices.shape) + 1
    place = op.integer("axis") % rank
    shape = (*indices.shape[:place], depth, *indices.shape[place:])
    numbers = shorthand.iota(builder, shape, place, indices.dtype)
    kept = [axis for axis in range(rank) if axis != place]
    spread = shorthand.broadcast_in_dim(builder, indices, shape, kept)
    hit = shorthand.compare(builder, "EQ", numbers, spread)
    return [shorthand.select(builder, hit, on, off)]


def in_top_k(predictions: object, targets: object, k: object, name: str | None = None) -> Tensor:
    """Whether each row's target class is among the `k` largest predictions."""
    with graph_of([predictions, targets, k]).name_scope(name or "in_top_k"):
        return make("InTopK", (predictions, targets, k), "InTopKV2")


def _in_top_k_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (scores, targets, _) = lowering.builder, values
    rows, classes = scores.shape
    numbers = shorthand.iota(builder, (rows, classes), 1, targets.dtype)
    spread = shorthand.broadcast_in_dim(builder, targets, (rows, classes), (0,))
    hit = shorthand.compare(builder, "EQ", numbers, spread)
    own = shorthand.select(builder, hit, scores, shorthand.zeros_like(builder, scores))
    own = shorthand.reduce_sum(builder, own, (1,), keep_dims=True)
    better = shorthand.compare(builder, "GT", scores, own)
    count = shorthand.reduce_sum(builder, shorthand.convert(builder, better, I64), (1,))
    limit = shorthand.scalar(builder, lowering.integer(op, 2, values), I64)
    found = shorthand.compare(builder, "LT", count, limit)
    known = shorthand.reduce(builder, shorthand.convert(builder, hit, BOOL), "or", (1,))
    return [builder.one("and", (found, known))]


register(
    OpKind("Select", "condition:bool x:T y:T", _select_infer, _select_lower),
    OpKind("SelectV2", "condition:bool t:T e:T", _select_v2_infer, _select_v2_lower),
    OpKind("OneHot", "indices:I depth:int32 on_value:T off_value:T", _one_hot_infer,
           _one_hot_lower, {"I": (dtypes.uint8, dtypes.int8, *dtypes.INDEXES)}),
    OpKind("InTopK", "predictions:float32 targets:index k:index",
           lambda op: [(boolean, (op.inputs[0].sizes or (None,))[:1])], _in_top_k_lower,
           differentiable=False),
)  # fmt: skip
