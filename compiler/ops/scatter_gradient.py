"""The gradients of scatter, one function a reducer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Attribute, Op, Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.gather import clamp_starts, per_entry
from tensorkiln.compiler.ops.gather_dims import scatter_map, window_sizes
from tensorkiln.compiler.ops.shorthand import (
    binary,
    compare,
    convert,
    full_like,
    index_dtype,
    iota,
    pad,
    reshape,
    scalar,
    select,
    zeros_like,
)

Cotangents = Sequence[Value | None]


def scatter_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """Cotangents of operand and updates; none for the indices."""
    (g,) = cotangents
    if g is None:
        return [None, None, None]
    match op.string("reducer"):
        case "add":
            operand, updates = g, _at_updates(builder, op, g, 0)
        case "set":
            operand, updates = _set_gradient(builder, op, g)
        case "multiply":
            operand, updates = _product_gradient(builder, op, g)
        case _:
            operand, updates = _extreme_gradient(builder, op, g)
    return [operand, None, updates]


def _scatter(builder: Builder, op: Op, operand: Value, updates: Value, reducer: str) -> Value:
    """Other updates to another operand in the same places."""
    attributes: dict[str, Attribute] = {**op.attributes, "reducer": reducer}
    return builder.one("scatter", (operand, op.operands[1], updates), **attributes)


def _at_updates(builder: Builder, op: Op, values: Value, outside: float) -> Value:
    """The elements of `values`, of the operand's shape, that the updates meet; `outside` where an
    update was skipped.

    A gather would clamp: so `values` gets a margin of one window on each side of the mapped dims,
    and the starts move with it; clamped into that, a slice meets the same elements or the margin.
    """
    x, indices, _ = op.operands
    index_map = scatter_map(op.attributes)
    mapped, vector = index_map.mapped, index_map.vector
    window = [min(n, d) for n, d in zip(window_sizes(op), x.shape, strict=True)]
    margin = [size if axis in mapped else 0 for axis, size in enumerate(window)]
    starts = indices
    if mapped:
        widths = [window[axis] for axis in mapped]
        lowest, highest = [-n for n in widths], [x.shape[axis] for axis in mapped]
        within = clamp_starts(builder, indices, lowest, highest, vector)
        starts = binary(builder, "add", within, per_entry(builder, indices, widths, vector))
    attributes: dict[str, Attribute] = {
        "offset_dims": op.ints("update_window_dims"),
        "collapsed_slice_dims": op.ints("inserted_window_dims"),
        "start_index_map": mapped,
        "index_vector_dim": vector,
        "slice_sizes": tuple(window),
    }
    if index_map.batching:
        attributes["operand_batching_dims"] = index_map.batching
        attributes["start_indices_batching_dims"] = index_map.partners
    padded = pad(builder, values, margin, margin, value=outside)
    return builder.one("gather", (padded, starts), **attributes)


def _set_gradient(builder: Builder, op: Op, g: Value) -> tuple[Value, Value]:
    """The cotangent goes to the update that was set last: updates are numbered, the numbers set,
    and each update looks whether it finds its own."""
    x, _, updates = op.operands
    size = math.prod(updates.shape)
    kind = index_dtype(size)
    numbers = reshape(builder, iota(builder, (size,), 0, kind), updates.shape)
    nobody = convert(builder, zeros_like(builder, x), kind)
    nobody = builder.one("subtract", (nobody, full_like(builder, nobody, 1)))
    winners = _scatter(builder, op, nobody, numbers, "set")
    won = compare(builder, "EQ", _at_updates(builder, op, winners, -1), numbers)
    taken = _at_updates(builder, op, g, 0)
    kept = compare(builder, "LT", winners, scalar(builder, 0, kind))
    return (
        select(builder, kept, g, zeros_like(builder, g)),
        select(builder, won, taken, zeros_like(builder, taken)),
    )


def _extreme_gradient(builder: Builder, op: Op, g: Value) -> tuple[Value, Value]:
    """An equal share for the operand's element and each update that equal the result."""
    x, _, updates = op.operands
    mine = convert(builder, compare(builder, "EQ", x, op.result), x.dtype)
    found = _at_updates(builder, op, op.result, 0)
    theirs = convert(builder, compare(builder, "EQ", updates, found), x.dtype)
    share = builder.one("divide", (g, _scatter(builder, op, mine, theirs, "add")))
    shares = _at_updates(builder, op, share, 0)
    return builder.one("multiply", (share, mine)), builder.one("multiply", (shares, theirs))


def _product_gradient(builder: Builder, op: Op, g: Value) -> tuple[Value, Value]:
    """g * (product of the other factors), from the product of the factors that are not zero and
    the number of those that are: product / factor without zeros, the product for the only zero."""
    x, _, updates = op.operands

    def parts(value: Value) -> tuple[Value, Value]:
        zero = compare(builder, "EQ", value, zeros_like(builder, value))
        one = select(builder, zero, full_like(builder, value, 1), value)
        return one, convert(builder, zero, value.dtype)

    (x_factor, x_zero), (u_factor, u_zero) = parts(x), parts(updates)
    product = _scatter(builder, op, x_factor, u_factor, "multiply")
    zeros = _scatter(builder, op, x_zero, u_zero, "add")

    def others(g: Value, product: Value, zeros: Value, factor: Value, zero: Value) -> Value:
        alone = compare(builder, "EQ", zeros, zero)  # no zero among the other factors
        rest = builder.one("divide", (product, factor))
        share = select(builder, alone, rest, zeros_like(builder, rest))
        return builder.one("multiply", (g, share))

    at = [_at_updates(builder, op, value, 0) for value in (g, product, zeros)]
    return (
        others(g, product, zeros, x_factor, x_zero),
        others(at[0], at[1], at[2], u_factor, u_zero),
    )
