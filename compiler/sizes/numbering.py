"""Numbers of elements in row-major order, at capacity and as the sizes of a call alone give them."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    compare,
    convert,
    scalar,
    select,
)
from tensorkiln.compiler.sizes.bounder import Bounder
from tensorkiln.compiler.sizes.factors import Dims, Factor, Factors, normal


def all_elements(dims: Dims) -> Factors:
    """The dim of an array's elements, numbered through."""
    return normal(tuple(factor for dim in dims for factor in dim))


def elements_in_use(bounder: Bounder, dim: Factors) -> Value:
    """How many elements of a dim a call uses, as i32[]."""
    total, *more = (bounder.extent(factor.extent) for factor in normal(dim))
    for extent in more:
        total = binary(bounder.builder, "multiply", total, extent)
    return total


def at_capacity(bounder: Bounder, numbers: Value, dim: Factors) -> Value:
    """Numbers of elements in use, counted without others, as numbers among all places."""
    return _renumbered(bounder, numbers, normal(dim), to_capacity=True)


def elements_at_capacity(bounder: Bounder, numbers: Value, dim: Factors, nowhere: int) -> Value:
    """`at_capacity`; numbers of no element become `nowhere`, which is one."""
    if len(normal(dim)) == 1:
        return numbers
    builder, shape = bounder.builder, numbers.shape

    def spread(number: Value) -> Value:
        return broadcast_in_dim(builder, number, shape, ())

    none = spread(scalar(builder, nowhere, numbers.dtype))
    count = spread(convert(builder, elements_in_use(bounder, dim), numbers.dtype))
    below = compare(builder, "LT", numbers, count)
    found = select(builder, below, at_capacity(bounder, numbers, dim), none)
    zero = spread(scalar(builder, 0, numbers.dtype))
    return select(builder, compare(builder, "GE", numbers, zero), found, none)


def among_used(bounder: Bounder, numbers: Value, dim: Factors) -> Value:
    """The other way: numbers of places, which are in use, counted without others."""
    return _renumbered(bounder, numbers, normal(dim), to_capacity=False)


def _renumbered(
    bounder: Bounder, numbers: Value, factors: Sequence[Factor], to_capacity: bool
) -> Value:
    builder, dtype = bounder.builder, numbers.dtype

    def size(factor: Factor, used: bool) -> Value:
        extent = scalar(builder, factor.size, I32)
        if used:  # where it is 0 there are no numbers, but who divides does not know
            extent = binary(
                builder, "maximum", bounder.extent(factor.extent), scalar(builder, 1, I32)
            )
        return convert(builder, extent, dtype)

    def spread(value: Value) -> Value:
        return broadcast_in_dim(builder, value, numbers.shape, ())

    rest = numbers
    total: Value | None = None
    stride: Value | None = None
    for position in reversed(range(len(factors))):
        place = rest
        if position:
            own = spread(size(factors[position], used=to_capacity))
            place = binary(builder, "remainder", rest, own)
            rest = binary(builder, "divide", rest, own)
        term = place if stride is None else binary(builder, "multiply", place, spread(stride))
        total = term if total is None else binary(builder, "add", total, term)
        step = size(factors[position], used=not to_capacity)
        stride = step if stride is None else binary(builder, "multiply", stride, step)
    assert total is not None
    return total
