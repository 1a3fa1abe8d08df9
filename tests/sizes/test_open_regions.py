"""Folds, sorts and scatters by regions of scalars where sizes are open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from sizes.open_functions import ONE_PART, SYMBOLS, Make, check, check_interpreted, function_of

from tensorkiln.compiler.ir.dtypes import F32, I32, DType
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops import shorthand as op
from tensorkiln.compiler.sizes.bound import bound
from tensorkiln.runtime.errors import UnsupportedError


def _floats(builder: Builder, *shape: int) -> Value:
    return builder.parameter("x", TensorType(shape, F32))


def _region(
    kinds: Sequence[DType], body: Callable[[Builder, Sequence[Value]], Sequence[Value]]
) -> Function:
    builder = Builder(REGISTRY, "region")
    given = [builder.parameter(f"p{k}", TensorType((), kind)) for k, kind in enumerate(kinds)]
    return builder.finish(body(builder, given))


def _horner(builder: Builder, values: Sequence[Value]) -> Sequence[Value]:
    """0.5 s + x + 0.125: the order of elements counts, and no element is neutral."""
    state, x = values
    half = op.binary(builder, "multiply", state, op.scalar(builder, 0.5, F32))
    total = op.binary(builder, "add", half, x)
    return [op.binary(builder, "add", total, op.scalar(builder, 0.125, F32))]


HORNER = _region([F32, F32], _horner)


def _second_moment(builder: Builder, values: Sequence[Value]) -> Sequence[Value]:
    """How many elements there were, and half of the last sum with the next element."""
    count, total, _, x = values
    one = op.scalar(builder, 1, I32)
    half = op.binary(builder, "multiply", total, op.scalar(builder, 0.5, F32))
    return [op.binary(builder, "add", count, one), op.binary(builder, "add", half, x)]


def folding(builder: Builder, n: int, b: int) -> Sequence[Value]:
    x = _floats(builder, b, n, 3)
    start = op.scalar(builder, 2.0, F32)
    places = op.iota(builder, (b, n, 3), 1, I32)
    zero = op.scalar(builder, 0, I32)
    moments = _region([I32, F32, I32, F32], _second_moment)
    return [
        *(
            builder.op("reduce_by", (x, start), {"dimensions": axes}, (HORNER,))[0]
            for axes in ((1,), (0, 1), (2,), (0, 1, 2))
        ),
        *builder.op("reduce_by", (places, x, zero, start), {"dimensions": (1,)}, (moments,)),
    ]


def scanning(builder: Builder, n: int, b: int) -> Sequence[Value]:
    x = _floats(builder, b, n)
    start = op.scalar(builder, 2.0, F32)
    return [
        builder.op(
            "scan_by", (x, start),
            {"dimension": axis, "exclusive": exclusive, "reverse": back}, (HORNER,),
        )[0]
        for axis, exclusive, back in ((0, False, False), (1, True, True), (1, False, True))
    ]  # fmt: skip


def windows(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Windows over an open dim, with padding, and strides over multiples of it."""
    x = _floats(builder, b, 2 * n)
    start = op.scalar(builder, 1.0, F32)
    ones = {"base_dilations": (1, 1), "window_dilations": (1, 1)}
    near = {"window": (1, 3), "strides": (1, 1), "padding": ((0, 0), (1, 1)), **ones}
    halves = {"window": (2, 3), "strides": (1, 2), "padding": ((1, 0), (0, 1)), **ones}
    return [builder.op("reduce_window_by", (x, start), a, (HORNER,))[0] for a in (near, halves)]


def sorting(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """By distance from 0.3, with what goes along."""

    def nearer(inner: Builder, values: Sequence[Value]) -> Sequence[Value]:
        sides = []
        for value in values[:2]:
            apart = op.binary(inner, "subtract", value, op.scalar(inner, 0.3, F32))
            sides.append(inner.one("abs", (apart,)))
        return [op.compare(inner, "LT", *sides)]

    x = _floats(builder, b, n)
    places = op.iota(builder, (b, n), 1, I32)
    region = _region([F32, F32, I32, I32], nearer)
    along = builder.op("sort_by", (x, places), {"dimension": 1}, (region,))
    return [*along, *builder.op("sort_by", (x, places), {"dimension": 0}, (region,))]


def scattering(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """An open number of updates joined one after the other, into rows of open length."""
    x = _floats(builder, b, n)
    places = builder.parameter("index", TensorType((b, n), I32))
    table = op.full(builder, (9,), 1.0, F32)
    made = builder.op(
        "scatter_by", (table, op.reshape(builder, places, (b, n, 1)), x),
        {
            "update_window_dims": (), "inserted_window_dims": (0,), "index_vector_dim": 2,
            "scatter_dims_to_operand_dims": (0,), "input_batching_dims": (),
            "scatter_indices_batching_dims": (),
        },
        (HORNER,),
    )  # fmt: skip
    return [made[0]]


def choosing(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """The gradient of a pooling by any choice, of an open number of images and channels."""
    x = _floats(builder, n, 4, b)
    values = op.slice_axis(builder, x, 1, 0, 2)
    first = _region([F32, F32], lambda inner, v: [op.compare(inner, "GE", *v)])
    start = op.scalar(builder, 0.5, F32)
    attributes = {"window": (1, 2, 1), "strides": (1, 2, 1), "padding": ((0, 0),) * 3}
    made = builder.op("select_and_scatter_by", (x, values, start), attributes, (first, HORNER))
    return [made[0]]


CASES: Mapping[str, Make] = {
    "folding": folding,
    "scanning": scanning,
    "windows": windows,
    "sorting": sorting,
    "scattering": scattering,
    "choosing": choosing,
}
POINTS = ((1, 2), (2, 3), (7, 5), (9, 4))


@pytest.mark.parametrize("name", CASES)
def test_interpreted(name: str) -> None:
    check_interpreted(CASES[name], points=POINTS)


@pytest.mark.parametrize("name", CASES)
def test_compiled(name: str) -> None:
    check(CASES[name], points=POINTS[1:], symbols=ONE_PART)


def test_a_region_that_depends_on_the_sizes_is_refused() -> None:
    def make(builder: Builder, n: int, b: int) -> Sequence[Value]:
        def scaled(inner: Builder, values: Sequence[Value]) -> Sequence[Value]:
            return [op.binary(inner, "multiply", values[1], op.scalar(inner, float(n), F32))]

        x, start = _floats(builder, b, n), op.scalar(builder, 1.0, F32)
        region = _region([F32, F32], scaled)
        return builder.op("reduce_by", (x, start), {"dimensions": (0,)}, (region,))

    with pytest.raises(UnsupportedError, match=r"reduce_by.*its region depends on the sizes"):
        bound(lambda p: function_of(make, p), SYMBOLS, {"n": 9, "b": 5})
