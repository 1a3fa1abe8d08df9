"""How far computed values are from what the interpreter says, in units of the last place.

The unit is the spacing of the dtype's numbers at the tensor's largest magnitude (normwise error:
N. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 1.2), because a sum of
large terms that cancel is as inexact as its terms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.dtypes import dtype_of
from tensorkiln.compiler.ir.function import Array

Units = NDArray[np.float64]
# of all float dtypes, numpy's own included
_FINFO: Callable[[np.dtype[Any]], Any] = ml_dtypes.finfo

# What one kernel may be off, in units of the last place; a kernel of a narrow dtype rounds once
# where the interpreter rounds after every op.
KERNEL_LIMITS = {"f64": 256.0, "f32": 256.0, "bf16": 8.0, "f16": 8.0}
_OTHER_FLOATS = 4.0
MODEL_FACTOR = 16.0  # how much more a chain of kernels may be off
# What is quantized has as many bits at most, and moves by several of its steps through a chain;
# wider integers are counts and places.
_QUANTIZED_BITS = 16


@dataclass(frozen=True, slots=True)
class Gap:
    """The largest difference of two tensors.

    `units` counts units of the last place (integers and bools: the difference itself), infinite
    where one is a NaN or an infinity and the other not; `limit` is how many are allowed.
    """

    units: float
    limit: float
    index: tuple[int, ...] = ()
    got: str = ""
    wanted: str = ""

    @property
    def agrees(self) -> bool:
        """True if the difference is within the limit."""
        return self.units <= self.limit

    def __str__(self) -> str:
        place = ",".join(map(str, self.index))
        return (
            f"at [{place}] {self.got} is not {self.wanted}: {self.units:.3g} units of the last"
            f" place, {self.limit:g} are allowed"
        )


def gap(got: Array, wanted: Array, factor: float = 1.0, rounded: bool = False) -> Gap:
    """The largest difference of `got` from `wanted`, which have one shape and dtype.

    Limits are those of one kernel times `factor`; `rounded` allows integers that were rounded from
    floats to be off by one, and by `factor` if they are of quantized dtypes.
    """
    limit = limit_of(wanted.dtype, rounded, factor)
    if not wanted.size:
        return Gap(0.0, limit)
    units = _units(got, wanted)
    place = int(np.argmax(units))
    index = tuple(int(k) for k in np.unravel_index(place, wanted.shape))
    return Gap(float(units.flat[place]), limit, index, str(got[index]), str(wanted[index]))


def steady(moved: Array, wanted: Array, factor: float = 1.0) -> NDArray[np.bool_]:
    """Which elements a change of the inputs' last places, which gives `moved`, leaves about as they are.

    The others may differ as far in two correct results.
    """
    near: NDArray[np.bool_] = _units(moved, wanted) <= limit_of(wanted.dtype, True, factor) / 8
    return near


def apart(got: Array, wanted: Array, factor: float = 1.0) -> NDArray[np.bool_]:
    """Which elements differ by more than `gap` allows."""
    far: NDArray[np.bool_] = _units(got, wanted) > limit_of(wanted.dtype, True, factor)
    return far


def limit_of(dtype: np.dtype[np.generic], rounded: bool = False, factor: float = 1.0) -> float:
    """How many units a result of `dtype` may be off, as `gap` says."""
    if dtype.kind == "c":
        return KERNEL_LIMITS["f32" if dtype.itemsize == 8 else "f64"] * factor
    kind = dtype_of(dtype)
    if kind.is_float:
        return KERNEL_LIMITS.get(kind.name, _OTHER_FLOATS) * factor
    if not rounded or kind.name == "bool":
        return 0.0
    return factor if kind.bits <= _QUANTIZED_BITS else 1.0


def _units(got: Array, wanted: Array) -> Units:
    if wanted.dtype.kind == "c":
        parts = np.float32 if wanted.dtype.itemsize == 8 else np.float64
        both = [np.ascontiguousarray(a).view(parts).reshape(*a.shape, 2) for a in (got, wanted)]
        pairs: Units = _units(*both).max(axis=-1)
        return pairs
    kind = dtype_of(wanted.dtype)
    if not kind.is_float:
        if np.array_equal(got, wanted):
            return np.zeros(wanted.shape)
        wide = [a.astype(object) if kind.bits == 64 else a.astype(np.int64) for a in (got, wanted)]
        return np.asarray(np.abs(wide[0] - wide[1]), np.float64)
    a, b = got.astype(np.float64), wanted.astype(np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    info: Any = _FINFO(wanted.dtype)
    largest = np.max(np.abs(b), where=finite, initial=float(info.tiny))
    with np.errstate(all="ignore"):
        units = np.abs(a - b) / (float(info.eps) * largest)
    return np.where(same, 0.0, np.where(finite, units, np.inf))
