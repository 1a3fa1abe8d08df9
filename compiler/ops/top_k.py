"""The op top_k: the k greatest (or least) elements along a dim, in order, and their positions.

Name and meaning are CHLO's, along any dim.  Of equal elements the one at the lower position comes
first; zeros of both signs are equal; a NaN is the greatest of all.  Results: values, i32 positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.along import put_along, take_along
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import at_most, expect, require
from tensorkiln.compiler.ops.record import Composite, Cost, OpRecord, Types, bytes_moved
from tensorkiln.compiler.ops.shorthand import axis_of
from tensorkiln.compiler.ops.sort import argsort
from tensorkiln.compiler.ops.sort_keys import key_array

Cotangents = Sequence[Value | None]
_DEPTH = 4  # passes that sorting runs of the size of k takes, about


def top_k(
    builder: Builder, x: Value, k: int, axis: int = -1, largest: bool = True
) -> tuple[Value, Value]:
    """The `k` greatest elements along `axis` (least, if not `largest`) and their i32 positions."""
    attributes = {"k": k, "dimension": axis_of(axis, x.type.rank), "largest": largest}
    values, indices = builder.op("top_k", (x,), attributes)
    return values, indices


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: dimension is a dim of the operand.  C2: k is from 0 to its size."""
    (x,), axis, k = expect(types, 1), attributes["dimension"], attributes["k"]
    fits = isinstance(axis, int) and 0 <= axis < x.rank
    require(fits, f"C1: {x} has no dimension {axis}")
    assert isinstance(axis, int)
    assert isinstance(k, int)
    fits = k >= 0 and at_most(k, x.shape[axis])
    require(fits, f"C2: k is {k}, but {x} has {x.shape[axis]} elements along dim {axis}")
    values = x.with_shape((*x.shape[:axis], k, *x.shape[axis + 1 :]))
    return values, values.with_dtype(I32)


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    (x,), axis = arrays, op.integer("dimension")
    keys = key_array(x, op.flag("largest"), total=False)
    order = np.argsort(keys, axis, kind="stable")
    indices = np.take(order, range(op.integer("k")), axis)
    return [np.take_along_axis(x, indices, axis), indices.astype(np.int32)]


def _body(builder: Builder, op: Op) -> Sequence[Value]:
    (x,), axis = op.operands, op.integer("dimension")
    indices = argsort(builder, x, axis, op.flag("largest"), op.integer("k"))
    return [take_along(builder, x, indices, axis), indices]


def _gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (x,), g = op.operands, cotangents[0]
    if g is None:
        return [None]
    return [put_along(builder, x.shape, op.results[1], g, op.integer("dimension"))]


def _cost(op: Op) -> Cost:
    return Cost(_DEPTH * op.operands[0].type.elements, bytes_moved(op))


RECORDS = (
    OpRecord(
        "top_k",
        {"k": "int", "dimension": "int", "largest": "bool"},
        _types,
        _evaluate,
        _gradient,
        Composite(_body),
        _cost,
    ),
)
