"""Dims that merge several open sizes, joined, cut, numbered, and met in other orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from sizes.checked_parts import check_bounds
from sizes.open_functions import ONE_PART, Make, check, check_interpreted

from tensorkiln.compiler.ir.dims import (
    Symbol,
    add_dims,
    multiply_dims,
    scale_dim,
    substitute,
    symbol_dim,
)
from tensorkiln.compiler.ir.dtypes import F32, I32, I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops import shorthand as op
from tensorkiln.compiler.ops.sort import sort
from tensorkiln.compiler.sizes.fit import polynomial


def _x(builder: Builder, *shape: int) -> Value:
    return builder.parameter("x", TensorType(shape, F32))


def _row(builder: Builder, n: int, b: int) -> Value:
    return op.reshape(builder, _x(builder, n, b), (n * b,))


def tokens(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Attention among the pixels of images and a token before them, which come back to rows."""
    x = _x(builder, 2, 3, n, b)
    pixels = op.transpose(builder, op.reshape(builder, x, (2, 3, n * b)), (0, 2, 1))
    first = op.full(builder, (2, 1, 3), 0.5, F32)
    every = op.concat(builder, [first, pixels], 1)
    scores = op.matmul(builder, every, op.transpose(builder, every, (0, 2, 1)))
    mixed = op.matmul(builder, builder.one("softmax", (scores,), axis=2), every)
    behind = op.slice_(builder, mixed, (0, 1, 0), (2, n * b + 1, 3), (1, 1, 1))
    image = op.reshape(builder, behind, (2, n, b, 3))
    turned = op.reshape(builder, behind, (2 * n, b * 3))
    head = op.slice_(builder, mixed, (0, 0, 0), (2, 1, 3), (1, 1, 1))
    last = op.slice_(builder, mixed, (0, n * b - 1, 0), (2, n * b + 1, 3), (1, 1, 1))
    return [mixed, image, turned, head, last]


def other_orders(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Rows by columns meet columns by rows, element by element and in a product."""
    x, y = _row(builder, n, b), op.reshape(builder, _x(builder, b, n), (b * n,))
    total = op.binary(builder, "add", x, y)
    dot = op.matmul(builder, op.reshape(builder, x, (1, n * b)), op.reshape(builder, y, (n * b, 1)))
    outer = op.binary(
        builder, "multiply", op.broadcast_in_dim(builder, x, (n * b, b * n), (0,)),
        op.broadcast_in_dim(builder, y, (n * b, b * n), (1,)),
    )  # fmt: skip
    return [total, dot, outer, op.reshape(builder, total, (b, n))]


def recut(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Rows of n elements become rows of b."""
    x = _x(builder, n, b, 2)
    return [op.reshape(builder, x, (b, 2 * n)), op.reshape(builder, x, (2 * b, n))]


def numbered(builder: Builder, n: int, b: int) -> Sequence[Value]:
    x = _row(builder, n, b)
    place = op.convert(builder, op.iota(builder, (n * b,), 0, I32), F32)
    table = builder.constant(np.arange(n * b, dtype=np.float32) % 7)
    even = builder.constant(np.full((n * b,), 3, np.float32))
    weighed = op.binary(builder, "multiply", op.binary(builder, "add", x, place), table)
    return [op.binary(builder, "add", weighed, even), *op.arg_reduce(builder, x, "max", 0, I64)]


def neighbours(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Ops that look along the merged dim."""
    x = _row(builder, n, b)
    sums = builder.one("cumulative", (x,), dimension=0, reducer="add", reverse=False, exclusive=False)  # fmt: skip
    windows = builder.one(
        "reduce_window", (x,), reducer="maximum", window=(3,), strides=(1,), padding=((1, 1),),
        base_dilations=(1,), window_dilations=(1,),
    )  # fmt: skip
    padded = op.pad(builder, x, [2], [1], value=op.scalar(builder, 5.0, F32))
    box = op.dynamic_slice(builder, x, [op.scalar(builder, 1, I32)], (2,))
    return [sums, windows, padded, box, op.reverse(builder, x, (0,)), *sort(builder, [x], 0)]


def square(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Pairs of places of one dim, and one more."""
    x = _x(builder, n, b)
    pairs = op.matmul(builder, x, op.transpose(builder, x, (1, 0)))
    row = op.reshape(builder, pairs, (n * n,))
    more = op.concat(builder, [row, op.full(builder, (1,), 2.0, F32)], 0)
    return [more, op.reshape(builder, op.binary(builder, "add", row, row), (n, n))]


CASES: Mapping[str, Make] = {
    "tokens": tokens,
    "other_orders": other_orders,
    "recut": recut,
    "numbered": numbered,
    "neighbours": neighbours,
    "square": square,
}
FEW = ((2, 2), (3, 5), (7, 3), (8, 4), (9, 5))


@pytest.mark.parametrize("name", CASES)
def test_compiled(name: str) -> None:
    check(CASES[name], points=((1, 2), (1, 5), *FEW))


@pytest.mark.parametrize("name", CASES)
def test_at_capacity(name: str) -> None:
    check_interpreted(CASES[name], points=((1, 2), (1, 5), *FEW))


@pytest.mark.parametrize("name", CASES)
def test_every_access_is_inside(name: str) -> None:
    check_bounds(CASES[name], ONE_PART, [{"n": n, "b": b} for n, b in FEW])


N, B = symbol_dim(Symbol("n", 1, 9)), symbol_dim(Symbol("b", 2, 5))


def test_products_are_multiplied_out() -> None:
    whole = multiply_dims(add_dims(N, 2), add_dims(scale_dim(B, 3), -1))
    assert whole == add_dims(
        add_dims(scale_dim(multiply_dims(B, N), 3), scale_dim(N, -1)),
        add_dims(scale_dim(B, 6), -2),
    )
    assert multiply_dims(multiply_dims(N, B), N) == multiply_dims(B, multiply_dims(N, N))
    assert multiply_dims(N, 0) == 0
    assert multiply_dims(4, B) == scale_dim(B, 4)
    for n, b in ((1, 2), (5, 3), (9, 5)):
        assert substitute(whole, {"n": n, "b": b}) == (n + 2) * (3 * b - 1)


def test_numbers_as_polynomials() -> None:
    symbols = [s for dim in (N, B) for s, _ in dim.terms]
    points = [{"n": n, "b": b} for n, b in ((9, 5), (8, 5), (5, 5), (9, 4), (9, 3), (2, 2))]

    def values(of: object) -> list[int]:
        return [eval(str(of), {}, dict(point)) for point in points]

    for text in ("n*b+1", "3*n*b-2*n+b", "n*n+5", "7-n*b"):
        found = polynomial(symbols, points, values(text))
        assert found is not None, text
        assert [substitute(found, {"n": 4, "b": 7})] == [eval(text, {}, {"n": 4, "b": 7})]
    assert polynomial(symbols, points, values("n//b")) is None
    assert polynomial(symbols, points, [1, 2, 3, 5, 8, 13]) is None
