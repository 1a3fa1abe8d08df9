"""Samples of reductions: reduce, arg_reduce and the windowed forms."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import (
    BF16,
    BOOL,
    F16,
    F32,
    F64,
    I8,
    I32,
    I64,
    U8,
    U32,
    DType,
)
from tensorkiln.compiler.ir.function import Attribute

Array: TypeAlias = NDArray[Any]
Pairs = tuple[tuple[int, int], ...]
FUNCTIONS: dict[str, Callable[..., Array]] = {
    "add": np.add.reduce,
    "multiply": np.multiply.reduce,
    "maximum": np.maximum.reduce,
    "minimum": np.minimum.reduce,
    "and": np.bitwise_and.reduce,
    "or": np.bitwise_or.reduce,
}


def _start(reducer: str, dtype: DType) -> float:
    if reducer in ("maximum", "minimum"):
        sign = -1 if reducer == "maximum" else 1
        if dtype.is_float:
            return sign * np.inf
        lowest = -(2 ** (dtype.bits - 1)) if dtype.is_signed else 0
        return lowest if sign < 0 else lowest + 2**dtype.bits - 1
    if dtype.kind == "bool":
        return reducer == "and"
    if reducer == "and":
        return -1 if dtype.is_signed else 2**dtype.bits - 1
    return 1 if reducer == "multiply" else 0


def _reduce(
    x: Array, axes: tuple[int, ...], reducer: str, label: str = "", slack: float = 4.0
) -> Sample:
    kind = next(d for d in (BF16, BOOL, F16, F32, F64, I8, I32, I64, U8, U32) if d.numpy == x.dtype)

    def expected(x: Array) -> Array:
        start = _start(reducer, kind)
        return FUNCTIONS[reducer](x, axis=axes, initial=np.array(start, x.dtype), dtype=x.dtype)

    kinked = reducer in ("maximum", "minimum") and label == "ties"
    name = f"{reducer}_{''.join(map(str, axes))}{label}"
    return Sample(
        "reduce",
        (x,),
        expected,
        {"dimensions": axes, "reducer": reducer},
        label=name,
        slack=slack,
        differentiate=() if kinked or not kind.is_float else None,
    )


def _zeros_at(x: Array, *places: tuple[int, ...]) -> Array:
    for place in places:
        x[place] = 0
    return x


def _arg_reduce(x: Array, kind: str, axis: int, dtype: DType, label: str = "") -> Sample:
    def expected(x: Array) -> tuple[Array, Array]:
        lines = np.moveaxis(x, axis, -1)
        found = np.zeros(lines.shape[:-1], np.int64)
        for place in np.ndindex(*found.shape):
            best = 0
            for k, value in enumerate(lines[place]):
                old = lines[place][best]
                better = value > old if kind == "max" else value < old
                if better or (value != value and old == old):  # noqa: PLR0124
                    best = k
            found[place] = best
        values = np.take_along_axis(lines, found[..., None], -1)[..., 0]
        return values, found

    return Sample(
        "arg_reduce",
        (x,),
        expected,
        {"kind": kind, "dimension": axis, "dtype": dtype},
        label=f"{kind}_{axis}_{dtype}{label}",
        exact=True,
        differentiate=() if label else None,
    )


def _places(
    shape: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, ...],
    base: tuple[int, ...],
    dilations: tuple[int, ...],
    padding: Pairs,
) -> tuple[tuple[int, ...], Callable[[tuple[int, ...]], list[tuple[int, ...]]]]:
    """The number of windows of each dim, and the elements that a window meets."""
    counts = []
    for n, w, s, b, d, (low, high) in zip(
        shape, window, strides, base, dilations, padding, strict=True
    ):
        padded = (0 if n == 0 else (n - 1) * b + 1) + low + high
        span = (w - 1) * d + 1
        counts.append(0 if padded < span else (padded - span) // s + 1)

    def members(at: tuple[int, ...]) -> list[tuple[int, ...]]:
        lines = []
        for o, n, w, s, b, d, (low, _) in zip(
            at, shape, window, strides, base, dilations, padding, strict=True
        ):
            positions = [o * s + k * d - low for k in range(w)]
            lines.append([p // b for p in positions if p % b == 0 and 0 <= p // b < n])
        return list(itertools.product(*lines))

    return tuple(counts), members


def _window(
    x: Array,
    reducer: str,
    window: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Pairs,
    base: tuple[int, ...] | None = None,
    dilations: tuple[int, ...] | None = None,
    label: str = "",
) -> Sample:
    ones = (1,) * x.ndim
    base, dilations = base or ones, dilations or ones
    kind = next(d for d in (BF16, BOOL, F16, F32, F64, I8, I32, U8) if d.numpy == x.dtype)

    def expected(x: Array) -> Array:
        counts, members = _places(x.shape, window, strides, base, dilations, padding)
        out = np.full(counts, _start(reducer, kind), x.dtype)
        for at in np.ndindex(*counts):
            cells = np.array([x[m] for m in members(at)], x.dtype)
            start = np.array(_start(reducer, kind), x.dtype)
            out[at] = FUNCTIONS[reducer](cells, initial=start, dtype=x.dtype)
        return out

    attributes: Mapping[str, Attribute] = {
        "window": window,
        "strides": strides,
        "base_dilations": base,
        "window_dilations": dilations,
        "padding": padding,
        "reducer": reducer,
    }
    name = "_".join(
        "".join(map(str, part)) for part in ((reducer,), window, strides, base, dilations)
    )
    name += "_" + ".".join(f"{a}.{b}" for a, b in padding) + label
    # Where a window has padding only, the sum of the results is infinite and has no differences.
    points = () if label == "infinite" else None
    return Sample(
        "reduce_window", (x,), expected, attributes, label=name, slack=4.0, differentiate=points
    )


def _arg_window(
    x: Array,
    kind: str,
    window: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Pairs,
    dilations: tuple[int, ...],
    label: str = "",
) -> Sample:
    def expected(x: Array) -> tuple[Array, Array]:
        ones = (1,) * x.ndim
        counts, members = _places(x.shape, window, strides, ones, dilations, padding)
        values = np.full(counts, -np.inf if kind == "max" else np.inf)
        indices = np.full(counts, np.iinfo(np.int32).max)
        for at in np.ndindex(*counts):
            best = None
            for place in members(at):
                value = x[place]
                if best is None or (value > x[best] if kind == "max" else value < x[best]):
                    best = place
            if best is not None:
                values[at], indices[at] = x[best], np.ravel_multi_index(best, x.shape)
        return values, indices

    attributes: Mapping[str, Attribute] = {
        "kind": kind,
        "window": window,
        "strides": strides,
        "window_dilations": dilations,
        "padding": padding,
        "dtype": I32,
    }
    return Sample(
        "arg_reduce_window",
        (x,),
        expected,
        attributes,
        label=f"{kind}{label}",
        exact=True,
        differentiate=() if label else None,
    )


def _scatter_windows(
    x: Array,
    window: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Pairs,
    dilations: tuple[int, ...],
    dtype: DType,
) -> Sample:
    """Indices as arg_reduce_window gives them for `x`."""
    counts, members = _places(x.shape, window, strides, (1,) * x.ndim, dilations, padding)
    indices = np.full(counts, np.iinfo(np.int32).max, np.int32)
    for at in np.ndindex(*counts):
        best = max(members(at), key=lambda m: x[m], default=None)
        if best is not None:
            indices[at] = np.ravel_multi_index(best, x.shape)

    def expected(indices: Array, source: Array) -> Array:
        out = np.zeros(x.size + 1, source.dtype)
        for number, value in zip(indices.ravel(), source.ravel(), strict=True):
            out[min(number, x.size)] += value
        return out[:-1].reshape(x.shape)

    attributes: Mapping[str, Attribute] = {
        "shape": x.shape,
        "window": window,
        "strides": strides,
        "window_dilations": dilations,
        "padding": padding,
    }
    label = "x".join(map(str, window)) + "_by_" + "x".join(map(str, strides))
    return Sample(
        "scatter_windows",
        (indices, draw(counts, dtype, seed=4)),
        expected,
        attributes,
        label=label,
        slack=2.0,
    )


def _select_and_scatter(
    x: Array, window: tuple[int, ...], strides: tuple[int, ...], padding: Pairs, label: str = ""
) -> Sample:
    ones = (1,) * x.ndim
    counts, members = _places(x.shape, window, strides, ones, ones, padding)

    def expected(x: Array, source: Array) -> Array:
        out = np.zeros_like(x)
        for at in np.ndindex(*counts):
            best = max(members(at), key=lambda m: x[m], default=None)  # the first of equals
            if best is not None:
                out[best] += source[at]
        return out

    kind = next(d for d in (BF16, F16, F32, F64, I32) if d.numpy == x.dtype)
    attributes: Mapping[str, Attribute] = {"window": window, "strides": strides, "padding": padding}
    return Sample(
        "select_and_scatter",
        (x, draw(counts, kind, seed=3)),
        expected,
        attributes,
        label=label,
        slack=2.0,
        differentiate=(1,),
    )


def _ties(shape: tuple[int, ...], dtype: DType, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 3, shape).astype(dtype.numpy)


def _special() -> Array:
    n, i = np.nan, np.inf
    rows = [[1, n, 3, n], [-i, -i, -i, -i], [i, 2, i, n], [i, i, i, i], [0, -0.0, 0, -0.0]]
    return np.array(rows, np.float32)


def _mixed(shape: tuple[int, ...], dtype: DType) -> Array:
    """Different numbers in a random order."""
    size = int(np.prod(shape))
    order = np.random.default_rng(3).permutation(size).reshape(shape)
    return ((order - size // 2) / 4).astype(dtype.numpy)


POOL = ((0, 0), (1, 1), (0, 1), (0, 0))
SAMPLES = (
    _reduce(draw((7,), F32), (0,), "add"),
    _reduce(draw((3, 5), F64), (1,), "add"),
    _reduce(draw((3, 17, 2), F32), (0, 2), "add"),
    _reduce(draw((2, 3, 4, 5), F32), (1, 2), "add"),
    _reduce(draw((130,), F16), (0,), "add"),
    _reduce(draw((5, 33), BF16), (1,), "add"),
    _reduce(draw((4, 3), I8, -100, 100), (0,), "add"),
    _reduce(draw((3, 0), F32), (1,), "add"),
    _reduce(draw((0, 3), F64), (1,), "add"),
    _reduce(draw((), F32), (), "add"),
    _reduce(draw((2, 1), F32), (1,), "multiply"),
    _reduce(draw((5, 7), F64), (0,), "multiply"),
    _reduce(_zeros_at(draw((3, 4, 2), F64), (0, 1, 0), (1, 0, 1), (1, 2, 1)), (1,), "multiply"),
    _reduce(_zeros_at(draw((2, 3, 5), F64), (0, 0, 0)), (0, 2), "multiply"),
    _reduce(draw((3, 0), F32), (1,), "multiply"),
    _reduce(draw((11,), U32, 0, 9), (0,), "multiply"),
    _reduce(draw((4, 9), F16), (1,), "multiply", slack=8.0),
    _reduce(_mixed((3, 5), F32), (1,), "maximum"),
    _reduce(_mixed((19,), F16), (0,), "maximum"),
    _reduce(_special(), (1,), "maximum", label="ties"),
    _reduce(_special(), (1,), "minimum", label="ties"),
    _reduce(_mixed((2, 3, 5), F64), (0, 2), "minimum"),
    _reduce(draw((3, 7), I32, -50, 50), (0,), "maximum"),
    _reduce(draw((5, 2), U8, 0, 200), (0,), "minimum"),
    _reduce(draw((2, 0), I64), (1,), "minimum"),
    _reduce(draw((2, 0), F32), (1,), "maximum", label="ties"),
    _reduce(draw((3, 6), BOOL), (1,), "and"),
    _reduce(draw((3, 6), BOOL), (0,), "or"),
    _reduce(draw((2, 0), BOOL), (1,), "and"),
    _reduce(draw((5, 3), I32, 0, 99), (0,), "and"),
    _reduce(draw((5, 3), U8, 0, 99), (1,), "or"),
    _reduce(draw((2, 0), U8), (1,), "and"),
    _arg_reduce(_mixed((3, 7), F32), "max", 1, I64),
    _arg_reduce(_mixed((5, 3, 2), F64), "min", 1, I32),
    _arg_reduce(_ties((6, 5), F32), "max", 0, I32, "ties"),
    _arg_reduce(_ties((3, 17), I32), "min", 1, I64, "ties"),
    _arg_reduce(_special(), "max", 1, I32, "special"),
    _arg_reduce(_special(), "min", 1, I64, "special"),
    _arg_reduce(_special().astype(BF16.numpy), "max", 1, I32, "special"),
    _arg_reduce(_mixed((4, 1), F16), "max", 1, I32),
    _arg_reduce(draw((0, 3), F32), "max", 1, I32),
    _arg_reduce(draw((9,), U8, 0, 200), "max", 0, I64),
    _window(draw((1, 5, 6, 2), F32), "add", (1, 3, 2, 1), (1, 2, 2, 1), POOL),
    _window(draw((7,), F64), "add", (3,), (1,), ((2, 0),)),
    _window(draw((5, 7), F64), "add", (2, 3), (1, 2), ((0, 1), (2, 1)), (2, 1), (1, 2)),
    _window(draw((6,), F64), "add", (2,), (3,), ((1, 4),), (2,), (3,)),
    _window(draw((8,), F64), "add", (3,), (2,), ((-2, -1),)),
    _window(draw((7,), F16), "add", (5,), (1,), ((4, 4),)),
    _window(draw((2,), F32), "add", (3,), (1,), ((0, 0),)),
    _window(draw((0, 3), F32), "add", (1, 2), (1, 1), ((0, 0), (0, 0))),
    _window(draw((3, 0), F32), "add", (1, 2), (1, 1), ((0, 0), (1, 1))),
    _window(draw((4, 5), I32, -50, 50), "add", (2, 2), (1, 1), ((0, 0), (0, 0))),
    _window(_mixed((1, 6, 5, 2), F32), "maximum", (1, 3, 2, 1), (1, 2, 1, 1), POOL),
    _window(_mixed((7,), F64), "maximum", (3,), (2,), ((1, 1),), None, (2,)),
    _window(_mixed((5,), F64), "maximum", (2,), (1,), ((1, 0),), (2,), (1,)),
    _window(_mixed((6, 4), F64), "minimum", (2, 2), (2, 1), ((0, 0), (1, 0))),
    _window(_mixed((5,), BF16), "maximum", (1,), (1,), ((2, 2),), label="infinite"),
    _window(draw((9,), U8, 0, 99), "minimum", (4,), (3,), ((2, 2),)),
    _window(draw((5, 3), F64), "multiply", (2, 2), (2, 1), ((1, 0), (0, 0))),
    _window(draw((6,), F64), "multiply", (3,), (2,), ((-1, 1),), (2,), (2,)),
    _window(draw((5, 5), BOOL), "or", (3, 2), (1, 1), ((1, 1), (0, 0))),
    _window(draw((6,), BOOL), "and", (2,), (2,), ((0, 0),)),
    _arg_window(_mixed((5, 6), F32), "max", (2, 3), (2, 2), ((0, 1), (1, 0)), (1, 1)),
    _arg_window(_mixed((9,), F64), "min", (3,), (2,), ((1, 1),), (2,)),
    _arg_window(_ties((5, 5), F32), "max", (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), "ties"),
    _arg_window(_ties((3,), F16), "max", (1,), (1,), ((2, 1),), (1,), "padding"),
    _arg_window(draw((0, 3), F32), "max", (1, 2), (1, 1), ((0, 0), (0, 0)), (1, 1), "none"),
    _scatter_windows(_mixed((5, 6), F32), (2, 3), (2, 2), ((0, 1), (1, 0)), (1, 1), F64),
    _scatter_windows(_mixed((11,), F32), (3,), (2,), ((1, 1),), (2,), F64),
    _scatter_windows(_mixed((7, 7), F32), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), F32),
    _scatter_windows(_mixed((5,), F32), (2,), (3,), ((0, 0),), (1,), F16),
    _scatter_windows(_mixed((3, 3), F32), (2, 1), (1, 1), ((2, 0), (0, 0)), (1, 1), I32),
    _select_and_scatter(_mixed((1, 6, 5, 2), F64), (1, 3, 2, 1), (1, 2, 1, 1), POOL),
    _select_and_scatter(_ties((7,), F32), (3,), (1,), ((1, 1),), "ties"),
    _select_and_scatter(_mixed((8, 3), F16), (2, 1), (2, 1), ((0, 0), (0, 0))),
    _select_and_scatter(draw((0, 3), F32), (1, 2), (1, 1), ((0, 0), (0, 0)), "none"),
    _select_and_scatter(_mixed((2,), F32), (3,), (1,), ((0, 0),), "no_window"),
)
