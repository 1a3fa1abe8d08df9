"""Small functions of two open sizes, compiled for a range and compared at each size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.open_pipeline import compile_open
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.sizes.bound import bound
from tensorkiln.compiler.sizes.factors import Dims, actual
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.open_executable import opened

Make = Callable[[Builder, int, int], Sequence[Value]]
SYMBOLS = (Symbol("n", 1, 9), Symbol("b", 2, 5))
ONE_PART = (Symbol("n", 2, 9), Symbol("b", 2, 5))  # without n = 1, which is code of its own
POINTS = ((1, 2), (1, 5), (2, 3), (5, 2), (7, 5), (9, 4), (9, 5))


def function_of(make: Make, sizes: Mapping[str, int]) -> Function:
    builder = Builder(REGISTRY, "f")
    return builder.finish(make(builder, sizes["n"], sizes["b"]))


def arrays_for(function: Function) -> list[np.ndarray]:
    drawn = np.random.default_rng(len(function.ops))
    return [
        drawn.standard_normal(p.shape).astype(np.float32)
        if p.dtype is F32
        else drawn.integers(0, 2 if p.type.rank == 0 else 10, p.shape).astype(p.dtype.numpy)
        for p in function.parameters
    ]


def check(
    make: Make,
    tolerance: float = 1e-4,
    points: Sequence[tuple[int, int]] = POINTS,
    symbols: tuple[Symbol, Symbol] = SYMBOLS,
) -> None:
    """Compiled for the range, `make` agrees with the interpreter at each of the points."""
    compiled = compile_open(lambda p: function_of(make, p), symbols, target_named("host"))
    executable = opened(load_compiled(compiled, 2))
    for n, b in points:
        function = function_of(make, {"n": n, "b": b})
        arrays = arrays_for(function)
        results = executable(*arrays)
        for got, wanted in zip(results, evaluate(function, arrays), strict=True):
            assert got.shape == wanted.shape
            np.testing.assert_allclose(
                got, wanted, rtol=tolerance, atol=tolerance / 10, err_msg=f"n={n}, b={b}"
            )


def used_part(array: np.ndarray, dims: Dims, sizes: Mapping[str, int]) -> np.ndarray:
    """What is in use of an array at capacity."""
    places = array.reshape([factor.size for dim in dims for factor in dim])
    box = tuple(slice(0, actual((factor,), sizes)) for dim in dims for factor in dim)
    return places[box].reshape([actual(dim, sizes) for dim in dims])


def check_interpreted(
    make: Make, tolerance: float = 1e-5, points: Sequence[tuple[int, int]] = POINTS
) -> None:
    """At capacity, with numbers that are none beyond the sizes, `make` computes the same.

    The function for n = 1 alone is checked as well, where points ask for it.
    """
    _check_whole(make, tolerance, points, SYMBOLS)
    _check_whole(make, tolerance, [point for point in points if point[0] == 1], SYMBOLS[1:])


def _check_whole(
    make: Make,
    tolerance: float,
    points: Sequence[tuple[int, int]],
    symbols: Sequence[Symbol],
) -> None:
    tops = {s.name: s.maximum or 0 for s in symbols}
    whole = bound(lambda p: function_of(make, {"n": 1, **p}), symbols, tops)
    for n, b in points:
        sizes = {"n": n, "b": b}
        function = function_of(make, sizes)
        arrays = arrays_for(function)
        full = []
        for parameter, array in zip(whole.function.parameters, arrays, strict=False):
            # what is beyond the sizes: NaN, or an index that is far out of bounds
            beyond = np.nan if parameter.dtype.is_float else 99
            poisoned = np.full(parameter.shape, beyond, array.dtype)
            poisoned[tuple(slice(0, size) for size in array.shape)] = array
            full.append(poisoned)
        full += [np.array(sizes[s.name], np.int32) for s in whole.symbols]
        with np.errstate(all="ignore"):
            results = evaluate(whole.function, full)
        for got, dims, wanted in zip(
            results, whole.outputs, evaluate(function, arrays), strict=True
        ):
            used = used_part(got, dims, sizes)
            np.testing.assert_allclose(
                used, wanted, rtol=tolerance, atol=tolerance / 10, err_msg=str(sizes)
            )
