"""Random functions over the whole op set: uses of ops from the table of samples, linked.

An operand is the sample's own array, as a parameter, or an earlier result made to fit: its elements
repeated to the shape, rounded to quarters, and brought into the range of the sample's array, so
that the op stays where it is defined.  Rounding also ends the differences of the last place that
compiled code may have, so what comes later is compared on equal operands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from ops.samples import Sample, all_samples, type_of

from tensorkiln.compiler.ir.dtypes import BOOL, F32, DType
from tensorkiln.compiler.ir.function import Array, Function, Value
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_to,
    compare,
    concat,
    convert,
    full_like,
    reshape,
    scalar,
    select,
    slice_axis,
)  # fmt: skip

LARGEST = 600  # elements of a sample's operand
# Their operands are matrices of a kind (positive definite, triangular, orthogonal) that no other
# value is, or say what may be done with others (states of generators, words that are sorted,
# places in windows, places that only one update goes to).
OWN_OPERANDS = frozenset(
    {
        "cholesky", "determinant", "eigh", "householder_product", "householder_qr", "jacobi_eigen",
        "jacobi_svd", "linear_solve", "log_determinant", "lu", "matrix_inverse", "merge_sort", "qr",
        "rng_bit_generator", "scatter", "scatter_by", "scatter_windows", "substitution", "svd", "triangular_solve", "while",
    }
)  # fmt: skip


def is_usable(sample: Sample) -> bool:
    return all(array.size <= LARGEST for array in sample.arrays) and sample.op != "fusion"


def by_op() -> dict[str, list[Sample]]:
    """The samples that are small enough, by op; every op is drawn as often as any other."""
    found: dict[str, list[Sample]] = {}
    for sample in all_samples():
        if is_usable(sample):
            found.setdefault(sample.op, []).append(sample)
    return found


@dataclass
class Linked:
    """A function of linked samples and its operands; `ops` names what was drawn."""

    function: Function
    arrays: list[Array]
    ops: list[str]


@st.composite
def linked_functions(draw: st.DrawFn, table: dict[str, list[Sample]], most: int = 5) -> Linked:
    builder, arrays, results = Builder(REGISTRY), [], []
    pool: list[Value] = []
    names = sorted(table)
    ops = []
    for _ in range(draw(st.integers(2, most))):
        samples = table[draw(st.sampled_from(names))]
        sample = samples[draw(st.integers(0, len(samples) - 1))]
        operands = []
        for array in sample.arrays:
            sources = [v for v in pool if can_become(v, array)]
            if sources and sample.op not in OWN_OPERANDS and draw(st.booleans()):
                operands.append(fitted(builder, draw(st.sampled_from(sources)), array))
            else:
                name = f"x{len(arrays)}"
                arrays.append(array)
                operands.append(builder.parameter(name, type_of(array)))
        made = builder.op(sample.op, operands, sample.attributes, sample.regions)
        ops.append(sample.name)
        pool += made
        results += made
    return Linked(builder.finish(results), arrays, ops)


def can_become(value: Value, array: Array) -> bool:
    """True if `fitted` can make the value an operand in the place of the array."""
    dtypes = (value.dtype, type_of(array).dtype)
    plain = not any(dtype.is_complex or dtype.is_storage for dtype in dtypes)
    return plain and bool(value.type.elements) and bool(array.size) and _has_range(array)


def _has_range(array: Array) -> bool:
    return array.dtype.kind == "b" or bool(np.isfinite(array.astype(np.float64)).any())


def fitted(builder: Builder, value: Value, array: Array) -> Value:
    """The value's elements in the array's type, shape and range."""
    kind, count = type_of(array), array.size
    flat = reshape(builder, value, (value.type.elements,))
    if flat.type.elements < count:
        copies = -(-count // flat.type.elements)
        flat = concat(builder, [flat] * copies, 0)
    shaped = reshape(builder, slice_axis(builder, flat, 0, 0, count), kind.sizes)
    if kind.dtype == BOOL:
        return compare(builder, "GT", _in_quarters(builder, shaped), _number(builder, shaped, 0))
    ranged = _ranged(builder, _in_quarters(builder, shaped), array)
    return convert(builder, ranged, kind.dtype)


def _in_quarters(builder: Builder, x: Value) -> Value:
    """Numbers as f32 multiples of 1/4, no NaN among them."""
    if not x.dtype.is_float:
        return convert(builder, x, F32)
    wide = convert(builder, x, F32)
    bound = [scalar(builder, n, F32) for n in (-1000.0, 1000.0)]
    wide = builder.one("clamp", (bound[0], wide, bound[1]))
    wide = select(builder, compare(builder, "EQ", wide, wide), wide, full_like(builder, wide, 0))
    rounded = builder.one(
        "round_nearest_even", (binary(builder, "multiply", wide, scalar(builder, 4.0, F32)),)
    )
    return binary(builder, "divide", rounded, scalar(builder, 4.0, F32))


def _ranged(builder: Builder, x: Value, array: Array) -> Value:
    wide: Any = array.astype(np.float64)
    inside = wide[np.isfinite(wide)]
    low, high = (_representable(n, type_of(array).dtype) for n in (inside.min(), inside.max()))
    low, high = max(low, -1e6), min(high, 1e6)
    bounds = [scalar(builder, n, F32) for n in (min(low, high), max(low, high))]
    return builder.one("clamp", (bounds[0], x, bounds[1]))


def _representable(number: float, dtype: DType) -> float:
    return float(number) if dtype.is_float else float(int(number))


def _number(builder: Builder, like: Value, number: float) -> Value:
    return broadcast_to(builder, scalar(builder, number, F32), like.shape)
