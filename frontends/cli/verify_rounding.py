"""Outputs that rounding alone moves far: an optimizer divides by a sum that cancels, or a number
that lies in the middle of two steps is quantized.

The interpreter runs again with its inputs, then its sums, changed in the last place, as any other
order of adding may; what that moves as far is no fault of compiled code. (Random rounding as a
measure of what a result is worth: J. Vignes, A stochastic arithmetic for reliable scientific
computation, Math. Comput. Simul. 35 (1993).)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from tensorkiln.compiler.agreement import MODEL_FACTOR, Gap, apart, gap, steady
from tensorkiln.compiler.evaluate import evaluate, evaluate_op
from tensorkiln.compiler.ir.dtypes import dtype_of
from tensorkiln.compiler.ir.function import Array, Function, Op
from tensorkiln.compiler.training_self_test import shaken

_UNSTEADY = 0.25  # of an output's elements, as many may be of those that changed inputs move
_SHAKES = 4
# Of whole outputs: how many times as far as changed sums move, and how many times as many elements.
_ROUGH_RUNS, _FURTHER, _MORE = 8, 1.5, 2
_SUMS = ("dot_general", "convolution")
_FINFO: Callable[[np.dtype[Any]], Any] = ml_dtypes.finfo


class Rounding:
    """What rounding does to the results of `function`, which are `expected` for `arrays`."""

    def __init__(
        self,
        function: Function,
        arrays: Sequence[Array],
        expected: Sequence[Array],
        tell: Callable[[str], None],
    ) -> None:
        self._function = function
        self._tell = tell
        self._arrays = arrays
        self._expected = expected
        self._shaken: list[list[Array]] = []
        self._rough: list[list[Array]] = []

    def excuse(self, position: int, got: Array, found: Gap) -> tuple[Gap, int]:
        """The gap of result `position` without elements that rounding moves as far, and their number.

        `found` and 0 where rounding does not explain it.
        """
        wanted = self._expected[position]
        if wanted.dtype.kind != "c":  # what is not finite on one side only is never excused
            sides = [np.isfinite(a.astype(np.float64)) for a in (got, wanted)]
            if (sides[0] != sides[1]).any():
                return found, 0
        kept = np.ones(wanted.shape, np.bool_)
        for moved in self._after_shaking():
            kept &= steady(moved[position], wanted, MODEL_FACTOR)
        unsteady = kept.size - int(kept.sum())
        if 0 < unsteady <= _UNSTEADY * kept.size:
            again = gap(np.where(kept, got, wanted), wanted, MODEL_FACTOR, rounded=True)
            if again.agrees:
                return again, unsteady
        return self._as_rough(position, got, found)

    def _as_rough(self, position: int, got: Array, found: Gap) -> tuple[Gap, int]:
        """Excuses a result that is off no further, in no more elements, than other sums make it."""
        wanted = self._expected[position]
        far = apart(got, wanted, MODEL_FACTOR)
        count, units, elements = int(far.sum()), 0.0, 0
        for number in range(_ROUGH_RUNS):
            moved = self._rough_run(number)[position]
            units = max(units, gap(moved, wanted, MODEL_FACTOR, rounded=True).units)
            elements = max(elements, int(apart(moved, wanted, MODEL_FACTOR).sum()))
            if found.units <= _FURTHER * units and count <= _MORE * elements:
                return gap(np.where(far, wanted, got), wanted, MODEL_FACTOR, rounded=True), count
        return found, 0

    def _after_shaking(self) -> list[list[Array]]:
        """What the interpreter gives for inputs that are changed in the last place, several times."""
        arrays = {str(k): array for k, array in enumerate(self._arrays)}
        for seed in range(len(self._shaken), _SHAKES):
            self._tell(f"what changed inputs move, {seed + 1} of {_SHAKES}")
            changed = shaken(arrays, seed)
            self._shaken.append(evaluate(self._function, list(changed.values())))
        return self._shaken

    def _rough_run(self, number: int) -> list[Array]:
        """What the interpreter gives where all sums of products are changed in the last place."""
        while len(self._rough) <= number:
            self._tell(f"what changed sums move, {len(self._rough) + 1} of {_ROUGH_RUNS}")
            generator = np.random.default_rng(len(self._rough))

            def step(
                op: Op, arrays: Sequence[Array], by: np.random.Generator = generator
            ) -> Sequence[Array]:
                results = evaluate_op(op, arrays)
                return [_changed(a, by) for a in results] if op.name in _SUMS else results

            self._rough.append(evaluate(self._function, self._arrays, step))
        return self._rough[number]


def rounded_results(function: Function) -> list[bool]:
    """Of each result, whether floats have a part in it; other results are exact."""
    inexact = {v for v in function.parameters if v.dtype.is_inexact}
    for op in function.ops:
        if inexact.intersection(op.operands) or _computes_floats(op):
            inexact.update(op.results)
    return [value in inexact for value in function.results]


def _computes_floats(op: Op) -> bool:
    return any(v.dtype.is_inexact for v in op.results) or any(
        _computes_floats(inner) for region in op.regions for inner in region.ops
    )


def _changed(array: Array, generator: np.random.Generator) -> Array:
    """Each float moved by a unit of its last place, small ones by that of the typical size."""
    if array.dtype.kind == "c" or not dtype_of(array.dtype).is_float:
        return array
    wide = array.astype(np.float64)
    with np.errstate(all="ignore"):
        typical = np.sqrt(np.mean(np.square(wide))) if wide.size else 0.0
        unit = float(_FINFO(array.dtype).eps) * np.maximum(np.abs(wide), typical)
        moved: Array = (wide + unit * generator.choice((-1.0, 1.0), wide.shape)).astype(array.dtype)
    return np.where(np.isfinite(wide), moved, array)
