"""Samples of scatter_by: updates joined with what is there by a region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw
from ops.samples_gather import (
    BLOCKS,
    CROSSED_STARTS,
    CROSSED_UPDATES,
    LAST,
    OUTSIDE,
    POINTS,
    ROWS,
    WHOLE,
    Geometry,
)
from ops.samples_regions import _region

from tensorkiln.compiler.ir.dtypes import BF16, F32, F64, I32, DType, dtype_of
from tensorkiln.compiler.ir.function import Attribute, Function, Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import scalar

Array = NDArray[Any]


def _halved(b: Builder, v: Sequence[Value]) -> Sequence[Value]:
    """h / 2 + u: the order of updates of one place matters."""
    half = b.one("multiply", (v[0], scalar(b, 0.5, v[0].dtype)))
    return [b.one("add", (half, v[1]))]


def _counted(b: Builder, v: Sequence[Value]) -> Sequence[Value]:
    """A sum, and the number of updates."""
    return [b.one("add", (v[0], v[2])), b.one("add", (v[1], scalar(b, 1, I32)))]


def _attributes(geometry: Geometry) -> dict[str, Attribute]:
    return {
        "update_window_dims": geometry.window_dims,
        "inserted_window_dims": geometry.dropped,
        "scatter_dims_to_operand_dims": geometry.mapped,
        "index_vector_dim": geometry.vector,
    }


def _body(dtype: DType) -> Function:
    return _region("halved", [dtype, dtype], _halved)


def _scatter(x: Array, indices: Array, geometry: Geometry, label: str) -> Sample:
    dtype = dtype_of(x.dtype)

    def expected(x: Array, indices: Array, updates: Array) -> Array:
        out: Array = x.copy()
        for at, start, local in geometry.places(indices, x.ndim):
            place = tuple(s + k for s, k in zip(start, local, strict=True))
            if all(0 <= i < n for i, n in zip(place, x.shape, strict=True)):
                out[place] = out[place] / 2 + updates[at]
        return out

    updates = np.array(draw(geometry.shape(indices, x.ndim), dtype, seed=7))
    return Sample(
        "scatter_by", (x, indices, updates), expected, _attributes(geometry), (_body(dtype),), label,
        slack=8.0, differentiate=(0, 2) if dtype == F64 else (),
    )  # fmt: skip


def _two() -> Sample:
    def expected(
        x: Array, count: Array, indices: Array, updates: Array, ones: Array
    ) -> tuple[Array, Array]:
        total, number = x.copy(), count.copy()
        for k, place in enumerate(indices):
            if 0 <= place < len(x):
                total[place] += updates[k]
                number[place] += 1
        return total, number

    arrays = (
        np.array(draw((6, 3), F64)), np.zeros((6, 3), np.int32), OUTSIDE,
        np.array(draw((4, 3), F64, seed=3)), np.ones((4, 3), np.int32),
    )  # fmt: skip
    rows = Geometry((1,), (0,), (0,), 1, (1, 3))
    body = _region("counted", [F64, I32, F64, I32], _counted)
    return Sample(
        "scatter_by", arrays, expected, _attributes(rows), (body,), "two", differentiate=(0, 3)
    )


def _batched() -> Sample:
    def expected(x: Array, indices: Array, updates: Array) -> Array:
        out: Array = x.copy()
        for b, _, c in np.ndindex(indices.shape):
            for k in range(2):
                place = int(indices[b, 0, c]) + k
                if 0 <= place < x.shape[0]:
                    out[place, c, b] = out[place, c, b] / 2 + updates[b, k, c]
        return out

    arrays = (
        np.array(draw((5, 2, 3), F64)),
        CROSSED_STARTS,
        np.array(draw((3, 2, 2), F64, seed=3)),
    )
    return Sample(
        "scatter_by", arrays, expected, dict(CROSSED_UPDATES), (_body(F64),), "batched",
        differentiate=(0, 2),
    )  # fmt: skip


def _at(values: object) -> Array:
    return np.array(values, np.int32)


SAMPLES = (
    _scatter(np.array(draw((5, 3), F64)), ROWS, Geometry((1,), (0,), (0,), 1, (1, 3)), "rows"),
    _scatter(np.array(draw((6, 17), F32)), OUTSIDE, Geometry((1,), (0,), (0,), 1, (1, 17)), "outside"),
    _scatter(np.array(draw((3, 5), F64)), _at([[1, 2], [4, 0], [0, 7]]), POINTS, "points"),
    _scatter(np.array(draw((4, 3, 5), F64)), _at([[1, 3, 0], [2, 0, 1]]), BLOCKS, "blocks"),
    _scatter(np.array(draw((3, 2, 7), BF16)), _at([[6, 0], [3, 3]]), LAST, "last"),
    _scatter(np.array(draw((4,), F64)), np.zeros((2, 0), np.int32), WHOLE, "whole"),
    _scatter(
        np.array(draw((5, 3), F64)), np.zeros((0,), np.int32), Geometry((1,), (0,), (0,), 1, (1, 3)),
        "none",
    ),
    _two(),
    _batched(),
)  # fmt: skip
