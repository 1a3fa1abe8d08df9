"""Functions of two open sizes as code that checks every load and store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sizes.open_functions import Make, arrays_for, function_of

from tensorkiln.compiler.bounds import CheckedCode
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.compiler.kernel.program import Program
from tensorkiln.compiler.pipeline import lower
from tensorkiln.compiler.sizes.bound import Bounded, bound


def part(make: Make, symbols: Sequence[Symbol]) -> Bounded:
    """The function at the capacities of one part of a range."""
    tops = {s.name: s.maximum or 0 for s in symbols}
    return bound(lambda p: function_of(make, p), symbols, tops)


def program_of(bounded: Bounded) -> Program:
    """The program for all sizes of a part."""
    return lower(bounded.function, target_named("host"), bounded=bounded).program


def check_bounds(
    make: Make,
    symbols: Sequence[Symbol],
    points: Sequence[Mapping[str, int]],
    tolerance: float = 1e-4,
) -> None:
    """At each of the points no access is outside of a buffer, and results are the interpreter's."""
    bounded = part(make, symbols)
    code = CheckedCode(bounded.function, target_named("host"), 1, bounded)
    for sizes in points:
        function = function_of(make, sizes)
        arrays = arrays_for(function)
        # arrays are dense at the sizes of the call, at the start of buffers for the largest ones
        given = [
            np.resize(np.append(array.ravel(), array.dtype.type(0)), parameter.shape)
            for array, parameter in zip(arrays, bounded.function.parameters, strict=False)
        ]
        results = code.run([*given, *(np.array(sizes[s.name], np.int32) for s in symbols)])
        for got, wanted in zip(results, evaluate(function, arrays), strict=True):
            used = got.ravel()[: wanted.size].reshape(wanted.shape)
            np.testing.assert_allclose(
                used, wanted, rtol=tolerance, atol=tolerance / 10, err_msg=str(sizes)
            )
