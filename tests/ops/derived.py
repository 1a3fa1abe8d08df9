"""Uses of ops on the dtypes that the table of samples leaves out, made from those that it has.

A sample's operands of one dtype are cast to every other dtype; what the type rule accepts, and no
sample has, is a use that must compile as well.  There is no expectation but the interpreter's.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from ops.samples import Sample, all_samples, build, widen

from tensorkiln.compiler.ir.dtypes import COMPLEX, DTYPES, DType, dtype_of
from tensorkiln.compiler.ir.function import Array
from tensorkiln.runtime.errors import TypeRuleError

MOST = 3000  # elements of a sample's operands
Use = tuple[str, frozenset[DType]]


def cast(array: Array, target: DType) -> Array:
    """About the same numbers in another dtype: integers round and saturate, bools are signs."""
    real = array.real if array.dtype.kind == "c" and not target.is_complex else array
    wide = real if real.dtype.kind == "c" else widen(real).astype(np.float64)
    if target.kind == "bool":
        return np.asarray(wide > 0)
    if target.is_integer:
        half = 1 << (target.bits - 1)
        low, high = (-half, half - 1) if target.is_signed else (0, 2 * half - 1)
        near = np.nan_to_num(np.abs(wide) if low == 0 else wide).round()
        wide = np.clip(near, low, min(high, 1 << 52)).astype(np.int64 if low else np.uint64)
    with np.errstate(all="ignore"):
        return np.asarray(wide.astype(target.numpy))


def _templates() -> Iterator[Sample]:
    """A small sample of each form of each op; regions have dtypes of their own."""
    seen: set[object] = set()
    for sample in all_samples():
        words = sorted(
            (k, str(v)) for k, v in sample.attributes.items() if isinstance(v, str | bool)
        )
        form = sample.op, len(sample.arrays), str(words)
        sizes = [array.size for array in sample.arrays]
        if form in seen or sample.regions or 0 in sizes or sum(sizes) > MOST:
            continue
        seen.add(form)
        yield sample


def use_of(sample: Sample) -> Use:
    return sample.op, frozenset(dtype_of(array.dtype) for array in sample.arrays)


@functools.cache
def derived_samples() -> tuple[Sample, ...]:
    """A use of each op for each set of dtypes that it takes and that the table has not."""
    seen = {use_of(sample) for sample in all_samples()}
    # One change of dtype is enough for an op: indices of two widths need not meet everything.
    changes: set[tuple[str, DType]] = set()
    found: list[Sample] = []
    for sample in _templates():
        for source in dict.fromkeys(dtype_of(array.dtype) for array in sample.arrays):
            for target in (*DTYPES, *COMPLEX):
                arrays = tuple(
                    cast(a, target) if dtype_of(a.dtype) == source else a for a in sample.arrays
                )
                made = replace(sample, arrays=arrays, label=f"{sample.label}as_{target}")
                if (sample.op, target) in changes or use_of(made) in seen or not accepts(made):
                    continue
                seen.add(use_of(made))
                changes.add((sample.op, target))
                found.append(made)
    return tuple(found)


def accepts(sample: Sample) -> bool:
    """True unless the type rule refuses the operands."""
    try:
        build(sample)
    except TypeRuleError:
        return False
    return True
