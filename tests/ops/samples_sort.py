"""Samples of sorting: sort, top_k and the words that they are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import (
    BF16,
    BOOL,
    DTYPES,
    F32,
    F64,
    I8,
    I32,
    I64,
    U8,
    U64,
    DType,
)

Array = NDArray[Any]
_SPECIAL = np.array([1.5, np.nan, -np.inf, 0.0, -0.0, 3.0, -np.nan, np.inf, -0.0, 0.0, -2.0, 1.5])
_PAYLOADS = [0, 1, 2, 0x80000000, 0x7FC00000, 0xFFC00000, 0x7F800000, 0xFF800000, 0x3F800000]
_BITS = np.array([_PAYLOADS], np.uint32).view(np.float32)


def _rank(x: Any, turned: int) -> tuple[bool, Any]:
    """A number that is ordered as the key is to be; NaN counts as beyond infinity."""
    whole = isinstance(x, np.integer | np.bool_)
    nan = not whole and bool(np.isnan(x))
    value = int(x) if whole else 0 if nan else float(x)
    return (not nan, -value) if turned else (nan, value)


def _insertion(lines: Sequence[Array], descending: Sequence[int]) -> list[int]:
    """The stable order of a line of keys, by the plainest sort there is."""
    turned = zip(lines, descending, strict=True)
    ranks = list(zip(*([_rank(x, t) for x in line] for line, t in turned), strict=True))
    order: list[int] = []
    for k in range(len(lines[0])):
        place = len(order)
        while place and ranks[k] < ranks[order[place - 1]]:
            place -= 1
        order.insert(place, k)
    return order


def _expected(axis: int, descending: tuple[int, ...]) -> Callable[..., tuple[Array, ...]]:
    def expected(*arrays: Array) -> tuple[Array, ...]:
        moved = [np.moveaxis(a, axis, -1) for a in arrays]
        found = [np.empty_like(m) for m in moved]
        for at in np.ndindex(moved[0].shape[:-1]):
            order = _insertion([m[at] for m in moved[: len(descending)]], descending)
            for target, source in zip(found, moved, strict=True):
                target[at] = source[at][order]
        return tuple(np.moveaxis(f, -1, axis) for f in found)

    return expected


def _sort(
    *arrays: Array, axis: int = 0, descending: tuple[int, ...] = (0,), label: str = ""
) -> Sample:
    attributes = {"dimension": axis, "descending": descending, "total_order": False}
    return Sample(
        "sort", arrays, _expected(axis, descending), attributes, label=label, raw=True, exact=True,
        differentiate=_smooth(arrays),
    )  # fmt: skip


def _total(x: Array) -> Array:
    bits = x.view(np.int32).astype(np.int64)
    return np.take_along_axis(x, np.argsort(np.where(bits < 0, -1 - (bits & 0x7FFFFFFF), bits)), 1)


def _top(x: Array, k: int, axis: int, largest: bool = True, label: str = "") -> Sample:
    def expected(x: Array) -> tuple[Array, Array]:
        places = np.empty_like(x, np.int32)
        places[...] = np.arange(x.shape[axis]).reshape(
            [-1 if d == axis else 1 for d in range(x.ndim)]
        )
        values, indices = _expected(axis, (int(largest),))(x, places)
        return np.take(values, range(k), axis), np.take(indices, range(k), axis)

    attributes = {"k": k, "dimension": axis, "largest": largest}
    return Sample(
        "top_k", (x,), expected, attributes, label=label, raw=True, exact=True,
        differentiate=_smooth((x,)),
    )  # fmt: skip


def _smooth(arrays: Sequence[Array]) -> tuple[int, ...] | None:
    """Elements that are equal, or nearly, would change places under finite differences."""
    return None if arrays[0].dtype == np.float64 and len(arrays) == 1 else ()


def _ties(shape: tuple[int, ...], dtype: DType, seed: int = 3) -> Array:
    """Few different numbers, so that many are equal."""
    return np.asarray(np.trunc(draw(shape, F64, -4, 4, seed)) % 7).astype(dtype.numpy)


def _words(rows: int, length: int, keep: int) -> Sample:
    generator = np.random.default_rng(length)
    words = generator.integers(0, 1 << 63, (rows, length)).astype(np.uint64)
    words[:, ::3] |= np.uint64(1 << 63)
    words[:, 1::4] = words[:, :1]

    def expected(x: Array) -> tuple[Array, Array]:
        found = np.sort(x)
        return np.where(np.arange(length) < keep, found, 0), np.zeros_like(x)

    return Sample("merge_sort", (words,), expected, {"keep": keep}, exact=True)


SAMPLES = (
    *(_words(rows, length, length)
      for rows, length in ((3, 1), (2, 0), (2, 16), (1, 17), (2, 33), (1, 65), (1, 150))),
    *(_words(2, length, keep) for length, keep in ((7, 3), (50, 0), (50, 1), (97, 20), (97, 40))),
    *(_sort(_ties((2, 19), dtype), axis=1, descending=(1,), label="ties")
      for dtype in DTYPES if dtype not in (BOOL, F64) and not dtype.is_storage),
    _sort(draw((7,), BOOL, seed=1), label="bool"),
    _sort(draw((23,), F64), label="plain"),
    _sort(draw((5, 3, 2), F64), axis=1, descending=(1,), label="middle"),
    _sort(draw((3, 0), F32), axis=1, label="empty"),
    _sort(draw((0, 3), F32), axis=1, label="no_rows"),
    _sort(draw((1,), F32), label="one"),
    _sort(_SPECIAL.astype(np.float32), draw((12,), I8, -9, 9), label="special"),
    _sort(_SPECIAL.astype(np.float16), draw((12,), I8, -9, 9), descending=(1,), label="special"),
    _sort(_ties((2, 37), I32), _ties((2, 37), F64, 5), draw((2, 37), F64, seed=8), axis=1,
          descending=(0, 1), label="two_keys"),
    _sort(_ties((40,), U64), _ties((40,), BF16, 5), draw((40,), U8, 0, 99), descending=(1, 0),
          label="two_keys"),
    _sort(np.array([1 << 40, -1, 3, -(1 << 62), 1 << 33, 5]), label="wide"),
    Sample("sort", (_BITS,), _total, {"dimension": 1, "descending": (0,), "total_order": True},
           label="total", raw=True, exact=True, differentiate=()),
    _top(draw((3, 17), F64), 4, 1, label="rows"),
    _top(draw((6, 2), F64), 3, 0, largest=False, label="columns"),
    _top(_ties((2, 40), F32), 40, 1, label="ties"),
    _top(_ties((33,), I64), 2, 0, largest=False, label="ties"),
    _top(_SPECIAL.astype(np.float16), 5, 0, label="special"),
    _top(draw((4, 5), BF16), 0, 1, label="none"),
    _top(_ties((3, 1, 9), U8), 9, 2, label="all"),
)  # fmt: skip
