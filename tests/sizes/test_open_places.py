"""Indices where sizes are open: gathers, scatters, positions of maxima."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from sizes.open_functions import ONE_PART, POINTS, Make, check, check_interpreted

from tensorkiln.compiler.ir.dtypes import F32, I32, I64, DType
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops import shorthand as op
from tensorkiln.compiler.ops.along import put_along, take_along
from tensorkiln.compiler.ops.arg_reduce_window import arg_reduce_window, scatter_windows


def _floats(builder: Builder, *shape: int) -> Value:
    return builder.parameter("x", TensorType(shape, F32))


def _places(builder: Builder, *shape: int, dtype: DType = I32) -> Value:
    """Integers from 0 to 9, most of them out of range."""
    return builder.parameter("index", TensorType(shape, dtype))


def taking(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Rows, and rows of rows, from places that are clamped to what is in use."""
    x = _floats(builder, b, n, 3)
    places = _places(builder, 2, n)
    both = _places(builder, 4, 2, dtype=I64)
    vectors = builder.one(
        "gather", (x, both), offset_dims=(1,), collapsed_slice_dims=(0, 1),
        start_index_map=(0, 1), index_vector_dim=1, slice_sizes=(1, 1, 3),
        operand_batching_dims=(), start_indices_batching_dims=(),
    )  # fmt: skip
    return [op.take(builder, x, places, 1), op.take(builder, x, places, 0), vectors]


def along(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Places along a dim, numbered through an array with an open dim inside."""
    x = _floats(builder, b, n)
    sorted_places = builder.one("remainder", (
        _places(builder, b, n), op.full(builder, (b, n), n, I32)))  # fmt: skip
    spread = op.iota(builder, (b, n), 1, I32)
    turned = op.reverse(builder, spread, (1,))
    return [
        take_along(builder, x, sorted_places, 1),
        put_along(builder, (b, n), turned, x, 1),
        take_along(builder, x, op.full(builder, (b, n), 0, I32), 0),
    ]


def flat(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Numbers of elements of an open matrix, in range or not."""
    x = op.reshape(builder, _floats(builder, b, n), (b * n,))
    places = _places(builder, 7)
    added = builder.one(
        "scatter", (x, places, op.full(builder, (7,), 2.0, F32)), update_window_dims=(),
        inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,), index_vector_dim=1,
        reducer="add", input_batching_dims=(), scatter_indices_batching_dims=(),
    )  # fmt: skip
    return [op.take(builder, x, places), op.reshape(builder, added, (b, n))]


def windows_of_updates(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """An open number of updates of two places each, which may begin anywhere."""
    places = op.reshape(builder, _places(builder, n), (n, 1))
    updates = op.reshape(builder, _floats(builder, n, 2, b), (n, 2, b))
    table = op.full(builder, (9, b), 1.0, F32)
    made = builder.one(
        "scatter", (table, places, op.full(builder, (n, 2, 1), 3.0, F32)),
        update_window_dims=(1, 2), inserted_window_dims=(), scatter_dims_to_operand_dims=(0,),
        index_vector_dim=1, reducer="add", input_batching_dims=(),
        scatter_indices_batching_dims=(),
    )  # fmt: skip
    return [made, updates]


def maxima(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Positions of maxima in windows over two open dims, and values put back there."""
    x = _floats(builder, 2, n, b)
    numbers = ((1, 3, 2), (1, 1, 1), (1, 1, 1), ((0, 0), (1, 1), (0, 1)))
    values, places = arg_reduce_window(builder, x, "max", *numbers)
    back = scatter_windows(builder, places, values, (2, n, b), *numbers)
    return [values, places, back]


def pooled(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """The same with strides, over dims that are multiples of them."""
    x = _floats(builder, 2, 2 * n, 3 * b)
    numbers = ((1, 3, 3), (1, 2, 3), (1, 1, 1), ((0, 0), (0, 1), (0, 0)))
    values, places = arg_reduce_window(builder, x, "min", *numbers)
    return [values, places, scatter_windows(builder, places, values, x.shape, *numbers)]


CASES: Mapping[str, Make] = {
    "taking": taking,
    "along": along,
    "flat": flat,
    "windows_of_updates": windows_of_updates,
    "maxima": maxima,
    "pooled": pooled,
}


@pytest.mark.parametrize("name", CASES)
def test_interpreted(name: str) -> None:
    check_interpreted(CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_compiled(name: str) -> None:
    check(CASES[name], points=[p for p in POINTS if p[0] > 1], symbols=ONE_PART)
