"""The op arg_reduce: the extreme along a dim and the index of its first occurrence.

NaN counts as the extreme, as in numpy's argmax.  Results: the values, then the indices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import I32, I64, DType
from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Const, Expr, Index, Select, Unary
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import at_most, expect, require, widened
from tensorkiln.compiler.ops.record import (
    Cost,
    ElementContext,
    OpRecord,
    Reduction,
    Types,
    bytes_moved,
)
from tensorkiln.compiler.ops.reduce import member_index, spread
from tensorkiln.compiler.ops.reducers import extreme
from tensorkiln.compiler.ops.shorthand import compare, iota, select, zeros_like

Cotangents = Sequence[Value | None]
KINDS = ("max", "min")


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: dimension is a dim of the operand, not of size 0.  C2: the operand holds numbers.
    C3: kind is max or min.  C4: indices are i32 or i64."""
    (x,), axis, dtype = expect(types, 1), attributes["dimension"], attributes["dtype"]
    fits = isinstance(axis, int) and 0 <= axis < x.rank
    require(fits, f"C1: {x} has no dimension {axis}")
    assert isinstance(axis, int)
    require(at_most(1, x.shape[axis]), f"C1: dimension {axis} of {x} may be empty")
    require(x.dtype.is_number, f"C2: the operand {x} does not hold numbers")
    require(attributes["kind"] in KINDS, f"C3: kind is max or min, not {attributes['kind']!r}")
    require(dtype in (I32, I64), f"C4: indices are i32 or i64, not {dtype}")
    assert isinstance(dtype, DType)
    values = x.with_shape((*x.shape[:axis], *x.shape[axis + 1 :]))
    return values, values.with_dtype(dtype)


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    (x,), axis = arrays, op.integer("dimension")
    find = np.argmax if op.string("kind") == "max" else np.argmin
    indices = find(_ordered(x), axis=axis, keepdims=True)
    values = np.take_along_axis(x, indices, axis).squeeze(axis)
    return [values, indices.squeeze(axis).astype(op.dtype("dtype").numpy)]


def _ordered(x: Array) -> Array:
    # bfloat16 has no argmax of its own that heeds NaN; f32 holds all of its values.
    return x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x


def _extents(op: Op) -> tuple[int, ...]:
    return (op.operands[0].shape[op.integer("dimension")],)


def initial_extreme(kind: str, dtype: DType, index_dtype: DType) -> tuple[Expr, ...]:
    """The state that every member beats, if only by its smaller index."""
    return (
        Const(extreme(dtype, lowest=kind == "max"), dtype),
        Const(int(extreme(index_dtype, lowest=False)), index_dtype),
    )


def combine_extreme(
    context: ElementContext, kind: str, a: tuple[Expr, ...], b: tuple[Expr, ...]
) -> tuple[Expr, ...]:
    """The better of two (value, index), the smaller index among equals, in whatever order.

    b wins if it is beyond a or is a NaN where a is none; a tie is two equals or two NaN.
    """
    (x, i), (y, j) = a, b
    beyond: Expr = Binary("gt" if kind == "max" else "lt", y, x)
    tie: Expr = Binary("eq", x, y)
    if x.dtype.is_float:
        x_nan, y_nan = context.let(Unary("is_nan", x)), context.let(Unary("is_nan", y))
        beyond = Binary("or", beyond, Binary("and", y_nan, Unary("not", x_nan)))
        tie = Binary("or", tie, Binary("and", x_nan, y_nan))
    wins = context.let(Binary("or", beyond, Binary("and", tie, Binary("lt", j, i))))
    return Select(wins, y, x), Select(wins, j, i)


def _initial(op: Op) -> tuple[Expr, ...]:
    return initial_extreme(op.string("kind"), op.operands[0].dtype, op.dtype("dtype"))


def _element(context: ElementContext, op: Op, index: Index, inner: Index) -> tuple[Expr, ...]:
    (x,) = op.operands
    value = context.read(x, member_index(x.type.rank, (op.integer("dimension"),), index, inner))
    return value, widened(inner[0], op.dtype("dtype"))


def _combine(
    context: ElementContext, op: Op, a: tuple[Expr, ...], b: tuple[Expr, ...]
) -> tuple[Expr, ...]:
    return combine_extreme(context, op.string("kind"), a, b)


def _gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (x,), g, axis = op.operands, cotangents[0], op.integer("dimension")
    if g is None:
        return [None]
    shape, indices = x.type.shape, op.results[1]
    places = iota(builder, shape, axis, indices.dtype)
    chosen = compare(builder, "EQ", places, spread(builder, indices, shape, (axis,)))
    zeros = zeros_like(builder, x)
    return [select(builder, chosen, spread(builder, g, shape, (axis,)), zeros)]


def _cost(op: Op) -> Cost:
    """One comparison an element of the operand."""
    return Cost(op.operands[0].type.elements, bytes_moved(op))


RECORDS = (
    OpRecord(
        "arg_reduce",
        {"kind": "str", "dimension": "int", "dtype": "dtype"},
        _types,
        _evaluate,
        _gradient,
        Reduction(_extents, _initial, _element, _combine),
        _cost,
    ),
)
