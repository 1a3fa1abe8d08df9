"""What eigenvalues and singular values of real and of complex matrices share."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.along import take_along
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.shorthand import broadcast_in_dim, full_like
from tensorkiln.compiler.ops.sort import argsort


def ordered(
    builder: Builder, values: Value, rows: Sequence[Value], descending: bool
) -> tuple[Value, list[Value]]:
    """Values in order, and the rows that go with them."""
    order = argsort(builder, values, -1, descending)
    rank = values.type.rank + 1
    moved = []
    for matrix in rows:
        places = broadcast_in_dim(builder, order, matrix.shape, range(rank - 1))
        moved.append(take_along(builder, matrix, places, -2))
    return take_along(builder, values, order, -1), moved


def reciprocal(x: Formula) -> Formula:
    """1/x, and 0 where x is 0."""
    nothing = x.compare("EQ", 0.0)
    ones = Formula(x.builder, full_like(x.builder, x.value, 1))
    return nothing.drop(1.0 / nothing.select(ones, x))


def gaps(builder: Builder, values: Value) -> Formula:
    """1 / (values[j] - values[i]) at (i, j), and 0 where those are equal."""
    rank = values.type.rank + 1
    shape = (*values.shape, values.shape[-1])
    across = broadcast_in_dim(builder, values, shape, (*range(rank - 2), rank - 1))
    down = broadcast_in_dim(builder, values, shape, range(rank - 1))
    return reciprocal(Formula(builder, across) - Formula(builder, down))
