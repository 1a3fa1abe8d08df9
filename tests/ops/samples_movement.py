"""Samples of ops that move elements without computing."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import BF16, BOOL, F16, F32, F64, I8, I32, I64, U8, DType

Array: TypeAlias = NDArray[Any]


def _scalars(*numbers: int, dtype: DType = I32) -> tuple[Array, ...]:
    return tuple(np.array(n, dtype.numpy) for n in numbers)


def _broadcast(
    shape: tuple[int, ...], dtype: DType, result: tuple[int, ...], dims: tuple[int, ...]
) -> Sample:
    def expected(x: Array) -> Array:
        out = np.zeros(result, x.dtype)
        for index in np.ndindex(*result):
            out[index] = x[
                tuple(0 if n == 1 else index[d] for n, d in zip(shape, dims, strict=True))
            ]
        return out

    return Sample(
        "broadcast_in_dim",
        (draw(shape, dtype),),
        expected,
        {"shape": result, "dimensions": dims},
        label="to_" + "x".join(map(str, result)),
        exact=True,
    )


def _reshape(shape: tuple[int, ...], result: tuple[int, ...], dtype: DType) -> Sample:
    return Sample(
        "reshape",
        (draw(shape, dtype),),
        lambda x: np.reshape(x, result),
        {"shape": result},
        label="to_" + "x".join(map(str, result)),
        exact=True,
    )


def _transpose(shape: tuple[int, ...], order: tuple[int, ...], dtype: DType) -> Sample:
    return Sample(
        "transpose",
        (draw(shape, dtype),),
        lambda x: np.transpose(x, order),
        {"permutation": order},
        label="by_" + "".join(map(str, order)),
        exact=True,
    )


def _reverse(shape: tuple[int, ...], dims: tuple[int, ...], dtype: DType) -> Sample:
    return Sample(
        "reverse",
        (draw(shape, dtype),),
        lambda x: np.flip(x, dims),
        {"dimensions": dims},
        label="of_" + "".join(map(str, dims)),
        exact=True,
    )


def _iota(shape: tuple[int, ...], axis: int, dtype: DType) -> Sample:
    return Sample(
        "iota",
        (),
        lambda: np.indices(shape)[axis],
        {"shape": shape, "dtype": dtype, "dimension": axis},
        label="x".join(map(str, shape)) + f"_{axis}_{dtype}",
        exact=True,
    )


def _slice(
    shape: tuple[int, ...],
    dtype: DType,
    start: tuple[int, ...],
    limit: tuple[int, ...],
    strides: tuple[int, ...],
) -> Sample:
    return Sample(
        "slice",
        (draw(shape, dtype),),
        lambda x: x[tuple(map(slice, start, limit, strides))],
        {"start": start, "limit": limit, "strides": strides},
        label="_".join(f"{a}.{b}.{c}" for a, b, c in zip(start, limit, strides, strict=True)),
        exact=True,
    )


def _concatenate(shapes: tuple[tuple[int, ...], ...], axis: int, dtype: DType) -> Sample:
    return Sample(
        "concatenate",
        tuple(draw(shape, dtype, seed=k) for k, shape in enumerate(shapes)),
        lambda *xs: np.concatenate(xs, axis),
        {"dimension": axis},
        label=f"along_{axis}",
        exact=True,
    )


def _pad(
    shape: tuple[int, ...],
    dtype: DType,
    low: tuple[int, ...],
    high: tuple[int, ...],
    interior: tuple[int, ...],
) -> Sample:
    def expected(x: Array, value: Array) -> Array:
        inner = np.full(
            [n + max(n - 1, 0) * k for n, k in zip(shape, interior, strict=True)], value
        )
        inner[tuple(slice(None, None, k + 1) for k in interior)] = x
        if not shape:
            return x
        ends = [(max(a, 0), max(b, 0)) for a, b in zip(low, high, strict=True)]
        outer = np.pad(inner, ends, constant_values=value)
        crops = tuple(
            slice(max(-a, 0), n - max(-b, 0))
            for a, b, n in zip(low, high, outer.shape, strict=True)
        )
        found: Array = outer[crops]
        return found

    return Sample(
        "pad",
        (draw(shape, dtype), draw((), dtype, seed=5)),
        expected,
        {"low": low, "high": high, "interior": interior},
        label=f"{low}{high}{interior}".replace(" ", ""),
        exact=True,
    )


def _dynamic_slice(
    shape: tuple[int, ...],
    dtype: DType,
    starts: tuple[int, ...],
    sizes: tuple[int, ...],
    index: DType = I32,
) -> Sample:
    def expected(x: Array, *at: Array) -> Array:
        for axis, (start, size) in enumerate(zip(at, sizes, strict=True)):
            first = int(np.clip(start, 0, x.shape[axis] - size))
            x = np.take(x, np.arange(first, first + size), axis)
        return x

    return Sample(
        "dynamic_slice",
        (draw(shape, dtype), *_scalars(*starts, dtype=index)),
        expected,
        {"sizes": sizes},
        label=f"{starts}{sizes}".replace(" ", ""),
        exact=True,
    )


def _dynamic_update_slice(
    shape: tuple[int, ...],
    update: tuple[int, ...],
    dtype: DType,
    starts: tuple[int, ...],
    index: DType = I32,
) -> Sample:
    def expected(x: Array, piece: Array, *at: Array) -> Array:
        out: Array = x.copy()
        grids = [
            int(np.clip(start, 0, x.shape[axis] - n)) + np.arange(n)
            for axis, (start, n) in enumerate(zip(at, piece.shape, strict=True))
        ]
        out[np.ix_(*grids) if grids else ()] = piece
        return out

    arrays = (draw(shape, dtype), draw(update, dtype, seed=1), *_scalars(*starts, dtype=index))
    label = f"{starts}".replace(" ", "")
    return Sample("dynamic_update_slice", arrays, expected, {}, label=label, exact=True)


SAMPLES = (
    _broadcast((), F32, (5,), ()),
    _broadcast((3,), F16, (2, 3), (1,)),
    _broadcast((3,), I8, (3, 7), (0,)),
    _broadcast((1, 5), F32, (4, 5), (0, 1)),
    _broadcast((2, 3), F64, (3, 4, 2), (2, 0)),
    _broadcast((1, 1), BOOL, (2, 17), (0, 1)),
    _broadcast((0,), F32, (3, 0), (1,)),
    _broadcast((1,), F32, (0,), (0,)),
    _broadcast((1,), BF16, (1, 1), (1,)),
    _reshape((2, 6), (3, 4), F32),
    _reshape((2, 3, 5), (6, 5), F16),
    _reshape((7,), (1, 7, 1), I64),
    _reshape((1, 1), (), F64),
    _reshape((0, 3), (3, 0, 2), F32),
    _reshape((4, 15), (2, 2, 5, 3), BF16),
    _reshape((3, 35), (5, 21), BOOL),
    _transpose((3, 5), (1, 0), F32),
    _transpose((2, 3, 4), (2, 0, 1), F64),
    _transpose((2, 1, 17, 3), (3, 1, 0, 2), F16),
    _transpose((0, 3), (1, 0), I32),
    _transpose((), (), F32),
    _transpose((16, 33), (1, 0), U8),
    _reverse((7,), (0,), F32),
    _reverse((3, 5), (1,), BF16),
    _reverse((2, 3, 5), (0, 2), I32),
    _reverse((2, 0), (1,), F32),
    _reverse((4,), (), BOOL),
    _iota((5,), 0, I32),
    _iota((3, 17), 1, F32),
    _iota((3, 4), 0, I64),
    _iota((2, 0), 0, U8),
    _iota((300, 1), 0, U8),
    _iota((2, 3), 1, BF16),
    _slice((7,), F32, (2,), (6,), (1,)),
    _slice((7, 11), F64, (1, 0), (7, 11), (2, 3)),
    _slice((3, 5), I8, (0, 2), (0, 4), (1, 1)),
    _slice((5,), F16, (5,), (5,), (2,)),
    _slice((33,), BOOL, (1,), (32,), (1,)),
    _slice((0, 2), F32, (0, 1), (0, 2), (3, 1)),
    _slice((), F32, (), (), ()),
    _concatenate(((3,), (5,), (1,)), 0, F32),
    _concatenate(((2, 3), (2, 0), (2, 7)), 1, F64),
    _concatenate(((1, 17), (2, 17)), 0, I32),
    _concatenate(((2, 2, 3),), 1, BF16),
    _concatenate(((0, 2), (0, 3)), 1, F32),
    _concatenate(((0,), (0,)), 0, BOOL),
    _pad((3,), F32, (2,), (1,), (0,)),
    _pad((3, 5), F64, (1, 0), (0, 2), (2, 1)),
    _pad((5, 4), F32, (-1, -2), (2, -1), (0, 1)),
    _pad((7,), I32, (-2,), (-3,), (2,)),
    _pad((0, 2), F16, (1, 0), (2, 1), (3, 0)),
    _pad((1,), BF16, (0,), (0,), (5,)),
    _pad((2, 17), BOOL, (0, 3), (1, 0), (0, 0)),
    _pad((4,), F32, (-3,), (-1,), (0,)),
    _pad((), F64, (), (), ()),
    _dynamic_slice((7,), F32, (3,), (2,)),
    _dynamic_slice((7, 5), F64, (6, -3), (3, 2), I64),
    _dynamic_slice((3, 17), I8, (1, 9), (3, 5)),
    _dynamic_slice((4, 3), BF16, (1, 1), (0, 3)),
    _dynamic_slice((), F32, (), ()),
    _dynamic_update_slice((7,), (2,), F32, (3,)),
    _dynamic_update_slice((5, 7), (2, 3), F64, (9, -1), I64),
    _dynamic_update_slice((3, 17), (3, 4), F16, (0, 5)),
    _dynamic_update_slice((4, 3), (0, 3), I32, (1, 0)),
    _dynamic_update_slice((2, 2), (2, 2), BOOL, (1, 1)),
    _dynamic_update_slice((), (), F32, ()),
)
