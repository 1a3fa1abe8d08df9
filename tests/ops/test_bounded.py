"""Bounded forms of nonzero, compress and unique, interpreted and compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from ops.samples import draw, type_of

from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import BF16, F32, F64, I8, I32, I64, U8, DType
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.bounded import compress, nonzero, unique
from tensorkiln.compiler.pipeline import jit


def run(make: Callable[..., Sequence[Value]], *arrays: Array) -> list[Array]:
    """The results, which are the same compiled."""
    builder = Builder(REGISTRY)
    operands = [builder.parameter(f"x{k}", type_of(a)) for k, a in enumerate(arrays)]
    function = builder.finish(make(builder, *operands))
    found = [np.asarray(a) for a in evaluate(function, arrays)]
    for got, want in zip(jit(function)(*arrays), found, strict=True):
        assert (got.dtype, got.shape, got.tobytes()) == (want.dtype, want.shape, want.tobytes())
    return found


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (2, 3, 4), (0, 3)], ids=str)
@pytest.mark.parametrize("bound", [0, 4, 30])
def test_nonzero(shape: tuple[int, ...], bound: int) -> None:
    x = np.asarray(draw(shape, I8, 0, 2, seed=3))
    indices, number = run(lambda b, v: nonzero(b, v, bound), x)
    wanted = np.argwhere(np.atleast_1d(x))
    assert number == len(wanted)
    kept = min(bound, len(wanted))
    np.testing.assert_array_equal(indices[:kept], wanted[:kept])
    assert (indices[kept:] == -1).all()


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_compress(axis: int) -> None:
    x = draw((4, 5, 4), F32)
    mask = np.array([True, False, True, True, False])[: x.shape[axis]]
    found, number = run(lambda b, v, m: compress(b, v, m, 4, axis), x, mask)
    wanted = np.compress(mask, x, axis)
    assert number == wanted.shape[axis]
    kept, rest = np.split(found, [wanted.shape[axis]], axis)
    np.testing.assert_array_equal(kept, wanted)
    assert not rest.any()


@pytest.mark.parametrize("dtype", [F32, F64, BF16, I8, I32, I64, U8], ids=str)
@pytest.mark.parametrize("size", [0, 1, 2, 23])
def test_unique(dtype: DType, size: int) -> None:
    x = np.floor(draw((size,), F64, -4, 4)).astype(dtype.numpy)
    values, first, inverse, counts, number = run(lambda b, v: unique(b, v, 12), x)
    wide = x.astype(np.float64)
    wanted, where, back, times = np.unique(wide, True, True, True)
    n = len(wanted)
    assert number == n
    np.testing.assert_array_equal(values[:n].astype(np.float64), wanted)
    np.testing.assert_array_equal(first[:n], where)
    np.testing.assert_array_equal(inverse, back.reshape(-1))
    np.testing.assert_array_equal(counts[:n], times)
    assert not values[n:].any()
    assert not counts[n:].any()
    assert (first[n:] == -1).all()


def test_more_values_than_the_bound_are_counted_and_left_out() -> None:
    x = np.array([5, 3, 9, 3, 7], np.int32)
    values, _, inverse, counts, number = run(lambda b, v: unique(b, v, 2), x)
    assert values.tolist() == [3, 5]
    assert counts.tolist() == [2, 1]
    assert inverse.tolist() == [1, 0, 3, 0, 2]
    assert number == 4
