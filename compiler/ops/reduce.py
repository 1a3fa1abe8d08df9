"""The op reduce: dims folded by a reducer that starts at its identity.

The gradients follow TensorFlow: equal maxima share the cotangent equally.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorkiln.compiler.ir.dims import Shape
from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Expr, Index
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import are_axes, expect, ints, require, widened
from tensorkiln.compiler.ops.record import (
    Cost,
    ElementContext,
    OpRecord,
    Reduction,
    Types,
    bytes_moved,
)
from tensorkiln.compiler.ops.reducers import (
    check_reducer,
    combine_state,
    fold,
    initial_state,
    state_dtype,
)
from tensorkiln.compiler.ops.shorthand import (
    broadcast_in_dim,
    compare,
    convert,
    pad,
    reduce_sum,
    reshape,
    transpose,
)

Cotangents = Sequence[Value | None]


def _kept(rank: int, dimensions: Sequence[int]) -> tuple[int, ...]:
    return tuple(axis for axis in range(rank) if axis not in dimensions)


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: dimensions are different dims of the operand.  C2: the reducer takes the dtype."""
    (x,), dimensions = expect(types, 1), ints(attributes, "dimensions")
    require(are_axes(dimensions, x.rank), f"C1: dimensions {dimensions} for operand {x}")
    check_reducer(attributes["reducer"], x.dtype, "C2")
    return (x.with_shape(tuple(x.shape[axis] for axis in _kept(x.rank, dimensions))),)


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [fold(op.string("reducer"), arrays[0], op.result.dtype, op.ints("dimensions"))]


def _extents(op: Op) -> tuple[int, ...]:
    shape = op.operands[0].shape
    return tuple(shape[axis] for axis in sorted(op.ints("dimensions")))


def member_index(rank: int, dimensions: Sequence[int], index: Index, inner: Index) -> Index:
    """The operand's index of member `inner` of the box of result element `index`."""
    outside, inside = iter(index), iter(inner)
    return tuple(next(inside) if axis in dimensions else next(outside) for axis in range(rank))


def _initial(op: Op) -> tuple[Expr, ...]:
    return (initial_state(op.string("reducer"), op.result.dtype),)


def _element(context: ElementContext, op: Op, index: Index, inner: Index) -> tuple[Expr, ...]:
    (x,) = op.operands
    element = context.read(x, member_index(x.type.rank, op.ints("dimensions"), index, inner))
    return (widened(element, state_dtype(op.string("reducer"), x.dtype)),)


def combine(
    context: ElementContext, op: Op, a: tuple[Expr, ...], b: tuple[Expr, ...]
) -> tuple[Expr, ...]:
    """One step of an op with the attribute `reducer`."""
    return (combine_state(op.string("reducer"), a[0], b[0]),)


def spread(builder: Builder, value: Value, shape: Shape, dimensions: Sequence[int]) -> Value:
    """A result of reduce repeated over the dims that it lost."""
    return broadcast_in_dim(builder, value, shape, _kept(len(shape), dimensions))


def shared_cotangent(builder: Builder, op: Op, g: Value) -> Value:
    """`g` divided among the elements equal to the result, an equal share to each."""
    (x,), dimensions = op.operands, op.ints("dimensions")
    equal = compare(builder, "EQ", x, spread(builder, op.result, x.type.shape, dimensions))
    marks = convert(builder, equal, x.dtype)
    number = reduce_sum(builder, marks, dimensions) if dimensions else marks
    share = builder.one("divide", (g, number))
    return builder.one("multiply", (marks, spread(builder, share, x.type.shape, dimensions)))


def exclusive_products(builder: Builder, x: Value) -> Value:
    """For each element of `x` the product of the others along the last dim, right with zeros.

    Products of all elements before and of all behind, each by doubling steps: after step k an
    element holds the product of its 2**k predecessors.
    """
    size, axis = x.shape[-1], x.type.rank - 1
    low = [0] * axis

    def shift(value: Value, by: int) -> Value:
        """Elements moved by `by` places, ones moved in."""
        return pad(builder, value, [*low, by], [*low, -by], value=1)

    before, behind = shift(x, 1), shift(x, -1)
    for step in (1 << k for k in range(max(size - 1, 1).bit_length())):
        if step >= size:
            break
        before = builder.one("multiply", (before, shift(before, step)))
        behind = builder.one("multiply", (behind, shift(behind, -step)))
    return builder.one("multiply", (before, behind))


def _product_gradient(builder: Builder, op: Op, g: Value) -> Value:
    (x,), dimensions = op.operands, sorted(op.ints("dimensions"))
    shape = x.shape
    order = (*_kept(len(shape), dimensions), *dimensions)
    rows = tuple(shape[axis] for axis in order[: len(shape) - len(dimensions)])
    flat = reshape(
        builder,
        transpose(builder, x, order),
        (*rows, math.prod(shape[axis] for axis in dimensions)),
    )
    others = reshape(
        builder, exclusive_products(builder, flat), tuple(shape[axis] for axis in order)
    )
    back = transpose(builder, others, [order.index(axis) for axis in range(len(shape))])
    return builder.one("multiply", (back, spread(builder, g, shape, dimensions)))


def _gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (x,), (g,) = op.operands, cotangents
    if g is None:
        return [None]
    match op.string("reducer"):
        case "add":
            return [spread(builder, g, x.type.shape, op.ints("dimensions"))]
        case "multiply":
            return [_product_gradient(builder, op, g)]
        case "maximum" | "minimum":
            return [shared_cotangent(builder, op, g)]
        case _:
            return [None]


def _cost(op: Op) -> Cost:
    """One operation an element of the operand."""
    return Cost(op.operands[0].type.elements, bytes_moved(op))


RECORDS = (
    OpRecord(
        "reduce",
        {"dimensions": "ints", "reducer": "str"},
        _types,
        _evaluate,
        _gradient,
        Reduction(_extents, _initial, _element, combine),
        _cost,
    ),
)
