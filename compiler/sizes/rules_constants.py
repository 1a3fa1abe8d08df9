"""Open sizes through constants: what of their numbers depends on the sizes, computed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from tensorkiln.compiler.ir.dims import least_dim
from tensorkiln.compiler.ir.dtypes import I32, DType
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    compare,
    convert,
    iota,
    reshape,
    scalar,
    select,
)
from tensorkiln.compiler.sizes.bounder import Bounder, Open, Rule
from tensorkiln.compiler.sizes.factors import is_open
from tensorkiln.compiler.sizes.samples import Sampled, equal_arrays, same_start

_LARGEST_FITTED = 64  # elements of a constant that are looked at one by one
_MOST_STEPS = 4  # of a matrix whose diagonals are constant: where they change
_EXACT = 1 << 31  # integers below it are computed as i32


def _fresh(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    """An op whose result does not depend on operands of open size."""
    (made,) = bounder.builder.append(sampled.op, [x.value for x in operands])
    if sampled.op.name == "iota":
        return [_laid(sampled, made, (sampled.op.integer("dimension"),))]
    dims = [sampled.merged(axis) for axis in range(made.type.rank)]
    if all(len(dim) == 1 for dim in dims):
        return [Open(made, tuple(dims))]
    return [_laid(sampled, made, _varied([op.array("value") for op in sampled.ops]))]


def _laid(sampled: Sampled, value: Value, varied: tuple[int, ...] | None) -> Open:
    """A value that is the same along all dims but those in `varied` (all, where that is None)."""
    axes = range(value.type.rank)
    uniform = frozenset(axis for axis in axes if varied is not None and axis not in varied)
    dims = (sampled.merged(axis) if axis in uniform else sampled.dim(axis) for axis in axes)
    return Open(value, tuple(dims), uniform)


def _constant(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    arrays = [op.array("value") for op in sampled.ops]
    if all(same_start(array, arrays[0]) for array in arrays):
        return _fresh(bounder, sampled, operands)
    dims = tuple(sampled.dim(axis) for axis in range(arrays[0].ndim))
    if not any(map(is_open, dims)):
        value = _fitted(bounder, sampled, arrays)
        if value is not None:
            return [Open(value, dims)]
    varied = _varied(arrays)
    if varied is not None:
        made = _along(bounder, sampled, [_box(a, varied) for a in arrays])
        if made is not None:
            whole = broadcast_in_dim(bounder.builder, made, arrays[0].shape, varied)
            return [_laid(sampled, whole, varied)]
    raise sampled.unsupported("its numbers depend on the sizes in a way that is not understood")


def _varied(arrays: Sequence[Array]) -> tuple[int, ...] | None:
    """The dims along which elements are not all alike, None where there is nothing to see."""
    if any(a.size == 0 for a in arrays):
        return None
    rank = arrays[0].ndim
    return tuple(
        axis
        for axis in range(rank)
        if any(not equal_arrays([a, _repeated(a, axis)]) for a in arrays)
    )


def _repeated(array: Array, axis: int) -> Array:
    return np.broadcast_to(array.take([0], axis), array.shape)


def _box(array: Array, axes: tuple[int, ...]) -> Array:
    """The elements along `axes` at the start of all other dims."""
    return array[tuple(slice(None) if k in axes else 0 for k in range(array.ndim))]


def _along(bounder: Bounder, sampled: Sampled, arrays: Sequence[Array]) -> Value | None:
    """A constant that depends on one or two places only, from its arrays without other dims."""
    rank = arrays[0].ndim
    if rank == 1:
        counted = _counted(bounder, sampled, arrays)
        found = counted if counted is not None else _clipped(bounder, sampled, arrays)
        if found is not None:
            return found
    if rank not in (1, 2):
        return None
    return _stepped(bounder, sampled, arrays)


def _counted(bounder: Bounder, sampled: Sampled, arrays: Sequence[Array]) -> Value | None:
    """Integers in equal steps from one that depends on the sizes, as of places behind others."""
    first, builder = arrays[0], bounder.builder
    if first.dtype.kind not in "iu" or first.size < 2:
        return None
    step = int(first[1]) - int(first[0])
    if any((a != int(a[0]) + step * np.arange(a.size)).any() for a in arrays):
        return None
    dtype = sampled.op.result.dtype
    begin = _number(bounder, sampled, [float(a[0]) for a in arrays], dtype)
    if begin is None:
        return None
    count = iota(builder, first.shape, 0, dtype)
    if step != 1:
        each = broadcast_in_dim(builder, scalar(builder, step, dtype), first.shape, ())
        count = binary(builder, "multiply", count, each)
    begin = broadcast_in_dim(builder, begin, first.shape, ())
    return binary(builder, "add", count, begin)


def _clipped(bounder: Bounder, sampled: Sampled, arrays: Sequence[Array]) -> Value | None:
    """Integers that are the same at all sizes but for a greatest one that depends on them.

    Such are the places that an interpolation reads: none lies behind the last element.
    """
    first, builder = arrays[0], bounder.builder
    if first.dtype.kind not in "iu":
        return None
    tops = [int(a.max()) for a in arrays]
    for array, top in zip(arrays, tops, strict=True):
        if array.size > first.size or (array != np.minimum(first[: array.size], top)).any():
            return None
    number = _number(bounder, sampled, [float(top) for top in tops], sampled.op.result.dtype)
    if number is None:
        return None
    last = broadcast_in_dim(builder, number, first.shape, ())
    return binary(builder, "minimum", builder.constant(first), last)


def _stepped(bounder: Bounder, sampled: Sampled, arrays: Sequence[Array]) -> Value | None:
    """Numbers that change at a few places of a row, which lie one further in each row that follows.

    Causal masks are such: query i sees key k if k <= i + n, where n are the keys seen before.
    """
    steps: list[list[tuple[int, Array]]] = []
    for array in arrays:
        found = _steps(array)
        if found is None:
            return None
        steps.append(found)
    if len({tuple(value.tobytes() for _, value in each) for each in steps}) > 1:
        return None
    builder, shape = bounder.builder, arrays[0].shape
    rows = shape if len(shape) == 2 else (1, *shape)
    column = broadcast_in_dim(builder, iota(builder, rows[1:], 0, I32), rows, (1,))
    values = [array for _, array in steps[0]]
    total: Value | None = None
    for number in range(len(values) - 1, 0, -1):
        last = sampled.space.affine([s[number][0] - 1 for s in steps])
        if last is None:
            return None
        row = iota(builder, rows[:1], 0, I32)
        end = bounder.extent(last)
        if least_dim(last) >= 0:  # who finds a causal mask wants to know
            end = binary(builder, "maximum", end, scalar(builder, 0, I32))
        end = broadcast_in_dim(builder, end, rows[:1], ())
        end = broadcast_in_dim(builder, binary(builder, "add", row, end), rows, (0,))
        before = compare(builder, "LE", column, end)
        if total is None:
            total = _either(builder, before, values[number - 1], values[number])
        else:
            own = broadcast_in_dim(builder, builder.constant(values[number - 1]), rows, ())
            total = select(builder, before, own, total)
    return None if total is None else reshape(builder, total, shape)


def _either(builder: Builder, condition: Value, a: Array, b: Array) -> Value:
    """One of two scalars at each place; a condition stays what it is."""
    if a.dtype == np.bool_:
        return condition if a else builder.one("not", (condition,))
    both = (broadcast_in_dim(builder, builder.constant(v), condition.shape, ()) for v in (a, b))
    return select(builder, condition, *both)


def _steps(array: Array) -> list[tuple[int, Array]] | None:
    """Where the number changes, as a column's place less a row's, and what it then is; the first
    pair is where they begin. None if the numbers are no function of that, or change too often."""
    rows = array[None] if array.ndim == 1 else array
    if not equal_arrays([rows[1:, 1:], rows[:-1, :-1]]):
        return None
    diagonals = np.concatenate([rows[:0:-1, 0], rows[0]])
    begin = 1 - len(rows)
    found = [(begin, diagonals[0])]
    for place, (a, b) in enumerate(pairwise(diagonals), begin + 1):
        if a.tobytes() != b.tobytes():
            found.append((place, b))
    return found if len(found) - 1 <= _MOST_STEPS else None


def _fitted(bounder: Bounder, sampled: Sampled, arrays: Sequence[Array]) -> Value | None:
    """A small constant of one shape as a function of the sizes, None if it is none."""
    first, builder = arrays[0], bounder.builder
    if first.dtype.kind not in "iuf" or first.size > _LARGEST_FITTED:
        return None
    dtype = sampled.op.result.dtype
    found: list[tuple[int, Value]] = []
    for place in range(first.size):
        numbers = [float(a.reshape(-1)[place]) for a in arrays]
        if len(set(numbers)) > 1:
            number = _number(bounder, sampled, numbers, dtype)
            if number is None:
                return None
            found.append((place, number))
    if not first.shape:
        return found[0][1]
    fixed = np.array(first)
    fixed.reshape(-1)[[place for place, _ in found]] = 0
    total = builder.constant(fixed)
    for place, number in found:
        one = np.zeros_like(first)
        one.reshape(-1)[place] = 1
        spread = broadcast_in_dim(builder, number, first.shape, ())
        term = binary(builder, "multiply", builder.constant(one), spread)
        total = binary(builder, "add", total, term)
    return total


def _number(
    bounder: Bounder, sampled: Sampled, numbers: Sequence[float], dtype: DType
) -> Value | None:
    """A scalar with these values at the points: a function of the sizes; None if none fits."""
    if len(set(numbers)) == 1:
        exact = int(numbers[0]) if not dtype.is_float else numbers[0]
        return scalar(bounder.builder, exact, dtype)
    fit = sampled.space.fit_number(numbers)
    if fit is not None:
        return bounder.number(fit, dtype)
    if any(not n.is_integer() or abs(n) >= _EXACT for n in numbers):
        return None
    affine = sampled.space.affine([int(n) for n in numbers])
    return None if affine is None else convert(bounder.builder, bounder.extent(affine), dtype)


CONSTANT_RULES: Mapping[str, Rule] = {"constant": _constant, "iota": _fresh}
