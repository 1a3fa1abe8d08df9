"""Samples of ops with regions of scalars: folds, windows, choices and comparisons of any kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import BF16, F16, F32, F64, I8, I32, I64, U8, DType, dtype_of
from tensorkiln.compiler.ir.function import Attribute, Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import compare, convert, scalar, select
from tensorkiln.compiler.ops.shorthand_control import Make, region

Array: TypeAlias = NDArray[Any]
Ints: TypeAlias = tuple[int, ...]


def _region(name: str, dtypes: Sequence[DType], make: Make) -> Function:
    return region(Builder(REGISTRY), name, [TensorType((), d) for d in dtypes], make)


def _number(value: float, dtype: DType) -> Array:
    return np.array(value, dtype.numpy)


# Folds


def _affine(b: Builder, v: Sequence[Value]) -> Sequence[Value]:
    """Composition of x -> a x + c: associative, and its order matters."""
    a, c, p, q = v
    return [b.one("multiply", (a, p)), b.one("add", (b.one("multiply", (c, p)), q))]


def _affine_expected(axes: Ints) -> Any:
    def expected(a: Array, c: Array, first: Array, second: Array) -> tuple[Array, Array]:
        kept = [k for k in range(a.ndim) if k not in axes]
        order = (*kept, *axes)
        box = math.prod(a.shape[k] for k in axes)
        flat = [x.transpose(order).reshape(*(a.shape[k] for k in kept), box) for x in (a, c)]
        x, y = np.full(flat[0].shape[:-1], first), np.full(flat[0].shape[:-1], second)
        for k in range(flat[0].shape[-1]):
            x, y = x * flat[0][..., k], y * flat[0][..., k] + flat[1][..., k]
        return x, y

    return expected


def _fold(shape: Ints, axes: Ints, dtype: DType, label: str = "") -> Sample:
    arrays = (
        np.array(draw(shape, dtype, 1, 2)), np.array(draw(shape, dtype, 0, 3, seed=1)),
        _number(1, dtype), _number(0, dtype),
    )  # fmt: skip
    body = _region("affine", [dtype] * 4, _affine)
    expected = _affine_expected(tuple(sorted(axes)))
    return Sample(
        "reduce_by", arrays, expected, {"dimensions": axes}, (body,), label, slack=16.0,
        raw=dtype in (F16, BF16), differentiate=None if dtype == F64 else (),
    )  # fmt: skip


def _scan_expected(axis: int, exclusive: bool, backwards: bool) -> Any:
    def expected(a: Array, c: Array, first: Array, second: Array) -> tuple[Array, Array]:
        lines = [np.moveaxis(x, axis, 0)[:: -1 if backwards else 1] for x in (a, c)]
        x, y = np.full(lines[0].shape[1:], first), np.full(lines[0].shape[1:], second)
        found: list[list[Array]] = [[], []]
        for p, q in zip(*lines, strict=True):
            before = x, y
            x, y = x * p, y * p + q
            for rows, value in zip(found, before if exclusive else (x, y), strict=True):
                rows.append(value)
        both = [np.array(rows).reshape(lines[0].shape) for rows in found]
        turned = [np.moveaxis(rows[:: -1 if backwards else 1], 0, axis) for rows in both]
        return turned[0], turned[1]

    return expected


def _scan(
    shape: Ints, axis: int, dtype: DType, exclusive: bool = False, backwards: bool = False
) -> Sample:
    arrays = (
        np.array(draw(shape, dtype, 1, 2)), np.array(draw(shape, dtype, 0, 3, seed=1)),
        _number(1, dtype), _number(0, dtype),
    )  # fmt: skip
    body = _region("affine", [dtype] * 4, _affine)
    attributes = {"dimension": axis, "exclusive": exclusive, "reverse": backwards}
    expected = _scan_expected(axis, exclusive, backwards)
    label = f"{axis}{exclusive:d}{backwards:d}"
    return Sample("scan_by", arrays, expected, attributes, (body,), label, slack=32.0,
                  differentiate=None if dtype == F64 else ())  # fmt: skip


def _largest_place(b: Builder, v: Sequence[Value]) -> Sequence[Value]:
    """The greater value with its place; of equals the first."""
    best, place, other, there = v
    better = compare(b, "GT", other, best)
    return [select(b, better, other, best), select(b, better, there, place)]


def _places() -> Sample:
    x = np.array(draw((5, 7), I32, -9, 9))
    places = np.broadcast_to(np.arange(7), x.shape).astype(np.int64)
    body = _region("largest", [I32, I64, I32, I64], _largest_place)
    return Sample(
        "reduce_by", (x, places, _number(-99, I32), _number(-1, I64)),
        lambda x, *rest: (x.max(1), x.argmax(1)), {"dimensions": (1,)}, (body,), "argmax",
        raw=True, exact=True,
    )  # fmt: skip


def _mixed(b: Builder, v: Sequence[Value]) -> Sequence[Value]:
    """A sum that forgets: half of what was, and the element."""
    half = b.one("multiply", (v[0], scalar(b, 0.5, v[0].dtype)))
    return [b.one("add", (half, v[1]))]


def _windows(
    x: Array, window: Ints, strides: Ints, padding: Any, base: Ints, dilation: Ints, label: str
) -> Sample:
    kind = dtype_of(x.dtype)
    attributes: dict[str, Attribute] = {
        "window": window, "strides": strides, "padding": padding, "base_dilations": base,
        "window_dilations": dilation,
    }  # fmt: skip

    def expected(x: Array, start: Array) -> Array:
        holes = np.full([(n - 1) * d + 1 for n, d in zip(x.shape, base, strict=True)], start)
        holes[tuple(slice(None, None, d) for d in base)] = x
        padded = np.pad(holes, padding, constant_values=start)
        spans = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
        views = np.lib.stride_tricks.sliding_window_view(padded, spans)
        views = views[tuple(slice(None, None, s) for s in strides)]
        views = views[(..., *(slice(None, None, d) for d in dilation))]
        state = np.full(views.shape[: x.ndim], start)
        for tap in np.ndindex(*window):
            state = state * 0.5 + views[(..., *tap)]
        return state

    body = _region("forget", [kind] * 2, _mixed)
    arrays = (x, _number(0.25, kind))
    return Sample(
        "reduce_window_by", arrays, expected, attributes, (body,), label, slack=8.0,
        differentiate=None if kind == F64 else (),
    )  # fmt: skip


# Choices


def _at_least(b: Builder, v: Sequence[Value]) -> Sequence[Value]:
    return [compare(b, "GE", v[0], v[1])]


def _sum(b: Builder, v: Sequence[Value]) -> Sequence[Value]:
    return [b.one("add", (v[0], v[1]))]


def _pooled_back(x: Array, window: Ints, strides: Ints, padding: Any, label: str) -> Sample:
    kind = dtype_of(x.dtype)
    counts = tuple(
        (n + low + high - w) // s + 1
        for n, w, s, (low, high) in zip(x.shape, window, strides, padding, strict=True)
    )
    values = np.array(draw(counts, kind, 0, 9, seed=3))

    def expected(x: Array, values: Array, start: Array) -> Array:
        result = np.full(x.shape, start)
        for index in np.ndindex(*counts):
            firsts = [o * s - low for o, s, (low, _) in zip(index, strides, padding, strict=True)]
            places = [
                tuple(f + t for f, t in zip(firsts, tap, strict=True))
                for tap in np.ndindex(*window)
            ]
            inside = [p for p in places if all(0 <= k < n for k, n in zip(p, x.shape, strict=True))]
            if inside:
                result[max(inside, key=lambda place: x[place])] += values[index]
        return result

    regions = (_region("select", [kind] * 2, _at_least), _region("scatter", [kind] * 2, _sum))
    attributes = {"window": window, "strides": strides, "padding": padding}
    return Sample(
        "select_and_scatter_by", (x, values, _number(1, kind)), expected, attributes, regions, label,
        differentiate=(1, 2) if kind == F64 else (),
    )  # fmt: skip


# Comparisons


def _by_remainder(b: Builder, v: Sequence[Value]) -> Sequence[Value]:
    """Ascending by the remainder of 5, of equals the greater first."""
    five = scalar(b, 5, v[0].dtype)
    a, c = (b.one("remainder", (x, five)) for x in v[:2])
    less, equal = compare(b, "LT", a, c), compare(b, "EQ", a, c)
    return [b.one("or", (less, b.one("and", (equal, compare(b, "GT", v[0], v[1])))))]


def _remainder_order(x: Array, axis: int) -> Array:
    return np.lexsort((-x.astype(np.int64), x.astype(np.int64) % 5), axis=axis)


def _less_first(b: Builder, v: Sequence[Value]) -> Sequence[Value]:
    """Ascending by whole numbers of the first operand: equals keep their order."""
    whole = [convert(b, x, I32) for x in v[:2]]
    return [compare(b, "LT", *whole)]


def _ordered(x: Array, axis: int) -> Sample:
    def expected(x: Array) -> tuple[Array, Array]:
        order = _remainder_order(x, axis)
        return order, np.zeros_like(order)

    body = _region("remainder", [dtype_of(x.dtype)] * 2, _by_remainder)
    return Sample(
        "order_by", (x,), expected, {"dimension": axis}, (body,), f"axis{axis}", raw=True,
        exact=True,
    )  # fmt: skip


def _sorted(shape: Ints, axis: int, dtype: DType) -> Sample:
    def expected(x: Array, y: Array) -> tuple[Array, Array]:
        order = np.argsort(np.trunc(x), axis=axis, kind="stable")
        return np.take_along_axis(x, order, axis), np.take_along_axis(y, order, axis)

    body = _region("whole", [dtype, dtype, dtype, dtype], _less_first)
    arrays = (np.array(draw(shape, dtype, 0, 6)), np.array(draw(shape, dtype, seed=1)))
    return Sample(
        "sort_by", arrays, expected, {"dimension": axis}, (body,), f"axis{axis}",
        differentiate=None if dtype == F64 else (),
    )  # fmt: skip


X = np.array(draw((2, 7, 6), F32))
SAMPLES = (
    _fold((3, 4), (1,), F64),
    _fold((3, 4, 5), (0, 2), F64, "outer and inner"),
    _fold((3, 4, 5), (0, 2), F16, "half"),
    _fold((3, 4, 5), (1,), BF16, "half"),
    _fold((2, 3), (1, 0), F32, "all"),
    _fold((3, 0), (1,), F64, "nothing"),
    _fold((0, 3), (1,), F64, "no rows"),
    _fold((37, 3), (0,), I32),
    _fold((3, 4), (), F32, "no dims"),
    _places(),
    _scan((3, 5), 1, F64),
    _scan((3, 5, 2), 1, F64, exclusive=True),
    _scan((3, 5, 2), 1, F32),
    _scan((7,), 0, F64, backwards=True),
    _scan((4, 2), 0, F64, exclusive=True, backwards=True),
    _scan((3, 4), 0, I32),
    _scan((3, 0), 1, F32),
    _scan((0, 3), 1, F64),
    _windows(X, (1, 3, 2), (1, 2, 1), ((0, 0), (1, 1), (0, 1)), (1,) * 3, (1,) * 3, "pool"),
    _windows(X, (2, 2, 2), (1, 1, 2), ((1, 0), (2, 0), (0, 3)), (1, 2, 1), (1, 1, 2), "holes"),
    _windows(np.array(draw((9,), F64)), (4,), (1,), ((3, 0),), (1,), (1,), "running"),
    _windows(
        np.array(draw((2, 3, 5), F64)),
        (2, 2, 2),
        (1, 1, 2),
        ((1, 0), (2, 0), (0, 3)),
        (1, 2, 1),
        (1, 1, 2),
        "all",
    ),
    _pooled_back(X, (1, 2, 2), (1, 2, 2), ((0, 0),) * 3, "apart"),
    _pooled_back(np.array(draw((5, 6), F64)), (3, 3), (1, 2), ((1, 1), (0, 1)), "overlapping"),
    _pooled_back(np.array(draw((4,), I32, 0, 3)), (1,), (2,), ((2, 3),), "only padding"),
    _ordered(np.array(draw((4, 11), I32, 0, 40)), 1),
    _ordered(np.array(draw((9, 2, 3), U8, 0, 40)), 0),
    _ordered(np.array(draw((5,), I8, 0, 40)), 0),
    _ordered(np.zeros((0, 3), np.int32), 0),
    _sorted((3, 13), 1, F64),
    _sorted((6, 4), 0, F32),
    _sorted((1, 1), 1, F32),
)
