"""The gradients of cumulative, one function a reducer, and its short form."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.shorthand import (
    axis_of,
    binary,
    compare,
    convert,
    full_like,
    index_dtype,
    iota,
    pad,
    reshape,
    select,
    zeros_like,
)

Cotangents = Sequence[Value | None]


def cumulative(
    builder: Builder,
    x: Value,
    reducer: str,
    axis: int,
    exclusive: bool = False,
    reverse: bool = False,
) -> Value:
    """The folds of the elements before each one along `axis`, itself included unless `exclusive`."""
    return builder.one(
        "cumulative",
        (x,),
        dimension=axis_of(axis, x.type.rank),
        reducer=reducer,
        exclusive=exclusive,
        reverse=reverse,
    )


def scan_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """The cotangent of the operand; none for the logical reducers."""
    rule = _RULES.get(op.string("reducer"))
    (g,) = cotangents
    return [None if g is None or rule is None else rule(builder, op, g)]


def _backwards(builder: Builder, op: Op, g: Value) -> Value:
    """For each element the sum of `g` over the results that it is a part of."""
    axis, backwards = op.integer("dimension"), not op.flag("reverse")
    return cumulative(builder, g, "add", axis, op.flag("exclusive"), backwards)


def _product(builder: Builder, op: Op, g: Value) -> Value:
    """sum over i of g[i] y[i] / x[k], right with zeros.

    Behind the first zero all results are zero, so elements there get nothing; before it nothing
    is divided by zero.  The first zero itself gets the sum that there would be were it a one.
    """
    (x,) = op.operands
    zero = compare(builder, "EQ", x, zeros_like(builder, x))
    kind = index_dtype(max(x.shape[op.integer("dimension")], 1))
    marks = convert(builder, zero, kind)
    axis, reverse = op.integer("dimension"), op.flag("reverse")
    number = cumulative(builder, marks, "add", axis, reverse=reverse)
    once = compare(builder, "EQ", number, full_like(builder, number, 1))
    first = builder.one("and", (zero, once))
    filled = select(builder, first, full_like(builder, x, 1), x)
    others = cumulative(builder, filled, "multiply", axis, op.flag("exclusive"), reverse)
    at_first = _backwards(builder, op, builder.one("multiply", (g, others)))
    total = _backwards(builder, op, builder.one("multiply", (g, op.result)))
    divisor = select(builder, zero, full_like(builder, x, 1), x)
    quotient = builder.one("divide", (total, divisor))
    elsewhere = select(builder, zero, zeros_like(builder, x), quotient)
    return select(builder, first, at_first, elsewhere)


def _extreme(builder: Builder, op: Op, g: Value) -> Value:
    """The first element that equals a result gets its cotangent."""
    (x,), axis, reverse = op.operands, op.integer("dimension"), op.flag("reverse")
    rank, size = x.type.rank, x.type.elements
    reducer = op.string("reducer")
    step = [0] * rank
    step[axis] = 1
    back = [-n for n in step]
    result = op.result
    if op.flag("exclusive"):  # result k is what the inclusive form gives at k - 1
        result = cumulative(builder, x, reducer, axis, reverse=reverse)
        g = pad(builder, g, step, back) if reverse else pad(builder, g, back, step)
    # Element k is a new extreme where the result changes; the first element always is.
    kind = index_dtype(max(size, 1))
    along = iota(builder, x.type.shape, axis, kind)
    end = full_like(builder, along, x.shape[axis] - 1)
    order = builder.one("subtract", (end, along)) if reverse else along
    before = pad(builder, result, back, step) if reverse else pad(builder, result, step, back)
    fresh = compare(builder, "NE", result, before)
    start = compare(builder, "EQ", order, zeros_like(builder, order))
    record = builder.one("or", (fresh, start))
    marked = select(builder, record, order, zeros_like(builder, order))
    place = cumulative(builder, marked, "maximum", axis, reverse=reverse)
    if reverse:
        place = builder.one("subtract", (end, place))
    flat = _flat_positions(builder, place, axis)
    return _sum_at(builder, g, flat)


def _flat_positions(builder: Builder, place: Value, axis: int) -> Value:
    """Row-major positions of the elements at `place` along `axis`, other indices their own."""
    shape = place.shape
    total = zeros_like(builder, place)
    stride = 1
    for k in reversed(range(len(shape))):
        index = place if k == axis else iota(builder, shape, k, place.dtype)
        scaled = binary(builder, "multiply", index, full_like(builder, index, stride))
        total = builder.one("add", (total, scaled))
        stride *= shape[k]
    return total


def _sum_at(builder: Builder, values: Value, positions: Value) -> Value:
    """Zeros with every value added at its row-major position."""
    size = values.type.elements
    flat = reshape(builder, values, (size,))
    summed = builder.one(
        "scatter",
        (zeros_like(builder, flat), reshape(builder, positions, (size,)), flat),
        update_window_dims=(),
        inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0,),
        index_vector_dim=1,
        reducer="add",
    )
    return reshape(builder, summed, values.type.shape)


_RULES: dict[str, Callable[[Builder, Op, Value], Value]] = {
    "add": _backwards,
    "multiply": _product,
    "maximum": _extreme,
    "minimum": _extreme,
}
