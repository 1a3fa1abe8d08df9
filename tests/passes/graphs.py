"""Random functions for the tests of passes, and the comparison of two functions' meanings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from tensorkiln.compiler.evaluate.evaluate import evaluate
from tensorkiln.compiler.ir.dims import substitute
from tensorkiln.compiler.ir.dtypes import BOOL, F32, I32, DType
from tensorkiln.compiler.ir.function import Array, Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder, shorthand

UNARY = ("negate", "abs", "floor", "sign", "exponential", "tanh", "sqrt", "logistic")
BINARY = ("add", "subtract", "multiply")
POLES = ("divide", "power")
EXTREMES = ("maximum", "minimum")
NUMBERS = (0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0)
SHAPES = ((), (1,), (3,), (2, 3), (3, 2), (1, 3), (2, 1, 3), (2, 3, 4), (0, 3))


def feeds(function: Function, seed: int = 0) -> list[Array]:
    """Small numbers for each parameter, with zeros of both signs among them."""
    generator = np.random.default_rng(seed)
    arrays: list[Array] = []
    sizes = {symbol.name: symbol.minimum + 2 for symbol in function.symbols}
    for value in function.parameters:
        shape = TensorType(tuple(substitute(d, sizes) for d in value.type.shape), F32).sizes
        if value.dtype.is_float:
            array = generator.normal(size=shape) * 2
            array = np.where(generator.random(shape) < 0.15, 0.0, array)
            array = np.where(generator.random(shape) < 0.15, -array, array)
        else:
            array = generator.integers(0, 2 if value.dtype == BOOL else 5, shape)
        arrays.append(np.asarray(array).astype(value.dtype.numpy))
    return arrays


def assert_same_meaning(
    before: Function, after: Function, exact: bool = True, arrays: Sequence[Array] | None = None
) -> None:
    """Fails if results differ: in a bit (but for the sign of zeros and NaN), or by rounding."""
    assert [v.type for v in before.parameters] == [v.type for v in after.parameters]
    assert [v.type for v in before.results] == [v.type for v in after.results]
    fed = feeds(before) if arrays is None else arrays
    for want, got in zip(evaluate(before, fed), evaluate(after, fed), strict=True):
        if exact:
            np.testing.assert_array_equal(got, want)
            zeros = (want == 0) & (not _has_extremes(before))
            np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(want[zeros]))
        else:
            np.testing.assert_allclose(got, want, rtol=2e-4, atol=1e-5)


def _has_extremes(function: Function) -> bool:
    return any(op.name in ("reduce", *EXTREMES) for op in function.ops)


@st.composite
def functions(draw: st.DrawFn, dtypes: Sequence[DType] = (F32, I32)) -> Function:
    """A function of up to twelve elementwise ops, movements and reductions on small tensors.

    The maximum of 0 and -0 may be either, and the sum of -0 alone is 0 or -0; so a function has
    maxima and reductions or poles that tell zeros apart, not both.
    """
    builder = Builder(REGISTRY)
    dtype = draw(st.sampled_from(dtypes))
    values = [
        builder.parameter(f"x{k}", TensorType(draw(st.sampled_from(SHAPES)), dtype))
        for k in range(draw(st.integers(1, 2)))
    ]
    names = draw(st.sampled_from((EXTREMES, POLES)))
    for _ in range(draw(st.integers(1, 12))):
        values.append(_step(draw, builder, draw(st.sampled_from(values)), names))
    chosen = draw(st.lists(st.sampled_from(values), min_size=1, max_size=2))
    return builder.finish([values[-1], *chosen])


def _step(draw: st.DrawFn, builder: Builder, x: Value, names: Sequence[str]) -> Value:
    moves = (
        _unary,
        _transpose,
        _reshape,
        _broadcast,
        _slice,
        _pad,
        _reverse,
        _concatenate,
        _select,
    )
    named = (_number, _binary, *((_reduce,) if names is EXTREMES else ()))
    if draw(st.integers(0, 2)):
        return draw(st.sampled_from(moves))(draw, builder, x)
    return draw(st.sampled_from(named))(draw, builder, x, names)


def _unary(draw: st.DrawFn, builder: Builder, x: Value) -> Value:
    names = UNARY if x.dtype.is_float else ("negate", "abs", "sign", "not")
    return builder.one(draw(st.sampled_from(names)), (x,))


def _number(draw: st.DrawFn, builder: Builder, x: Value, names: Sequence[str]) -> Value:
    number = draw(st.sampled_from(NUMBERS if x.dtype.is_float else (0, 1, -1, 2)))
    filled = shorthand.full_like(builder, x, number)
    chosen = (*BINARY, *(names if x.dtype.is_float else ("and", "or", "xor")))
    name = draw(st.sampled_from(chosen))
    if name == "power":  # a power of -1 is rounded otherwise than a quotient
        return builder.one(name, (x, shorthand.full_like(builder, x, abs(number))))
    return builder.one(name, draw(st.permutations((x, filled))))


def _binary(draw: st.DrawFn, builder: Builder, x: Value, names: Sequence[str]) -> Value:
    chosen = (*BINARY, *(names if x.dtype.is_float else ("and", "or", "maximum")))
    other = draw(st.sampled_from((x, builder.one("negate", (x,)), builder.one("abs", (x,)))))
    return builder.one(draw(st.sampled_from(chosen)), (x, other))


def _transpose(draw: st.DrawFn, builder: Builder, x: Value) -> Value:
    order = draw(st.permutations(range(x.type.rank)))
    return builder.one("transpose", (x,), permutation=tuple(order))


def _reshape(draw: st.DrawFn, builder: Builder, x: Value) -> Value:
    flat = [d for d in x.shape if d != 1]
    shapes = (x.shape, (x.type.elements,), (1, *x.shape), tuple(flat), (*flat, 1))
    return builder.one("reshape", (x,), shape=draw(st.sampled_from(shapes)))


def _broadcast(draw: st.DrawFn, builder: Builder, x: Value) -> Value:
    if x.type.rank > 3:
        return x
    shape = [draw(st.sampled_from((1, 2))), *(3 if d == 1 else d for d in x.shape)]
    return shorthand.broadcast_to(builder, x, shape)


def _slice(draw: st.DrawFn, builder: Builder, x: Value) -> Value:
    start = [draw(st.integers(0, min(d, 1))) for d in x.shape]
    limit = [draw(st.integers(s, d)) for s, d in zip(start, x.shape, strict=True)]
    strides = tuple(draw(st.integers(1, 2)) for _ in x.shape)
    return builder.one("slice", (x,), start=tuple(start), limit=tuple(limit), strides=strides)


def _pad(draw: st.DrawFn, builder: Builder, x: Value) -> Value:
    low = tuple(draw(st.integers(-min(d, 1), 1)) for d in x.shape)
    high = tuple(draw(st.integers(0, 1)) for _ in x.shape)
    interior = tuple(draw(st.integers(0, 1)) for _ in x.shape)
    filler = shorthand.scalar(builder, draw(st.sampled_from((0, 1))), x.dtype)
    return builder.one("pad", (x, filler), low=low, high=high, interior=interior)


def _reverse(draw: st.DrawFn, builder: Builder, x: Value) -> Value:
    axes = draw(st.lists(st.sampled_from(range(x.type.rank)), unique=True)) if x.type.rank else []
    return builder.one("reverse", (x,), dimensions=tuple(sorted(axes)))


def _concatenate(draw: st.DrawFn, builder: Builder, x: Value) -> Value:
    if not x.type.rank:
        return x
    axis = draw(st.integers(0, x.type.rank - 1))
    others = [x, builder.one("negate", (x,)), shorthand.zeros_like(builder, x)]
    pieces = draw(st.lists(st.sampled_from(others), min_size=1, max_size=3))
    return builder.one("concatenate", pieces, dimension=axis)


def _reduce(draw: st.DrawFn, builder: Builder, x: Value, names: Sequence[str]) -> Value:
    axes = draw(st.lists(st.sampled_from(range(x.type.rank)), unique=True)) if x.type.rank else []
    reducer = draw(st.sampled_from(("add", *names)))
    return builder.one("reduce", (x,), dimensions=tuple(sorted(axes)), reducer=reducer)


def _select(draw: st.DrawFn, builder: Builder, x: Value) -> Value:
    direction = draw(st.sampled_from(("EQ", "NE", "LT", "LE", "GT", "GE")))
    other = draw(st.sampled_from((x, shorthand.full_like(builder, x, 1))))
    condition = builder.one("compare", draw(st.permutations((x, other))), direction=direction)
    if draw(st.booleans()):
        condition = builder.one("not", (condition,))
    return builder.one("select", (condition, x, builder.one("negate", (x,))))
