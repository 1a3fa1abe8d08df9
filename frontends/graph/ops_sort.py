"""Sorting: the largest elements, elements in order, and their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.shorthand import axis_of
from tensorkiln.compiler.ops.sort import argsort as ordered_places
from tensorkiln.compiler.ops.sort import sort as ordered
from tensorkiln.compiler.ops.top_k import top_k as greatest
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import FLOATS, INTEGERS
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import axis_in, base
from tensorkiln.frontends.graph.shapes import ShapeError
from tensorkiln.frontends.graph.statics import static_integer
from tensorkiln.frontends.graph.tensor import Tensor

_DIRECTIONS = ("ASCENDING", "DESCENDING")


class TopKV2(NamedTuple):
    """The largest elements of each row, in order, and their places."""

    values: Tensor
    indices: Tensor


def top_k(input: object, k: object = 1, sorted: bool = True, name: str | None = None) -> TopKV2:
    """The `k` largest elements along the last dim and their int32 places.

    Of equal elements the first comes first.  They are in order whatever `sorted` says.
    """
    found = apply_op("TopKV2", (input, k), name, {"sorted": bool(sorted)})
    return TopKV2(*found.outputs)


def _top_infer(op: Operation) -> Sequence[Result]:
    sizes, k = op.inputs[0].sizes, static_integer(op.inputs[1])
    if sizes is None:
        return [(base(op.inputs[0]), None), (dtypes.int32, None)]
    if not sizes:
        raise ShapeError("Shape must be at least rank 1 but is rank 0")
    if k is not None and k < 0:
        raise ShapeError(f"Need k >= 0, got {k}")
    if k is not None and sizes[-1] is not None and k > sizes[-1]:
        raise ShapeError(f"input must have last dimension >= k = {k} but is {sizes[-1]}")
    found = (*sizes[:-1], k)
    return [(base(op.inputs[0]), found), (dtypes.int32, found)]


def _top_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    return greatest(lowering.builder, values[0], lowering.integer(op, 1, values))


def sort(
    values: object, axis: object = -1, direction: str = "ASCENDING", name: str | None = None
) -> Tensor:
    """`values` in order along `axis`; ValueError for a direction that is none."""
    return _make("Sort", values, axis, direction, name or "sort")


def argsort(
    values: object,
    axis: object = -1,
    direction: str = "ASCENDING",
    stable: bool = False,
    name: str | None = None,
) -> Tensor:
    """The int32 places of the elements of `values` in order along `axis`.

    Equal elements keep their order whatever `stable` says.
    """
    return _make("ArgSort", values, axis, direction, name or "argsort")


def _make(kind: str, values: object, axis: object, direction: str, name: str) -> Tensor:
    if direction not in _DIRECTIONS:
        raise ValueError(f"direction must be 'ASCENDING' or 'DESCENDING', not {direction!r}")
    with graph_of([values, axis]).name_scope(name) as scope:
        tensor = convert_to_tensor(values, name="values")
        return make(kind, (tensor, axis), scope, descending=direction == "DESCENDING")


def _sort_infer(op: Operation) -> Sequence[Result]:
    (tensor, axis), dtype = op.inputs, base(op.inputs[0])
    known = static_integer(axis)
    if tensor.sizes is not None and known is not None:
        axis_in(known, tensor.sizes)
    return [(dtype if op.type == "Sort" else dtypes.int32, tensor.sizes)]


def _sort_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    x, turned = values[0], op.flag("descending")
    axis = axis_of(lowering.integer(op, 1, values), len(x.shape))
    if op.type == "Sort":
        return ordered(lowering.builder, (x,), axis, (turned,))
    return [ordered_places(lowering.builder, x, axis, turned)]


_NUMBERS = {"T": (*FLOATS, *INTEGERS)}
register(
    OpKind("TopKV2", "input:T k:int32", _top_infer, _top_lower, _NUMBERS),
    OpKind("Sort", "values:T axis:index", _sort_infer, _sort_lower, _NUMBERS),
    OpKind(
        "ArgSort", "values:T axis:index", _sort_infer, _sort_lower, _NUMBERS, differentiable=False
    ),
)
