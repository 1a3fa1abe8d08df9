"""Samples of attention: masks of every shape, causal, grouped heads, odd sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import F32, F64, DType

# batch, queries, keys, heads, heads of k and v, depth, width
Sizes = tuple[int, int, int, int, int, int, int]


def _expected(scale: float, offset: int | None) -> Any:
    def expected(q: Any, k: Any, v: Any, mask: Any = None) -> Any:
        share = q.shape[2] // k.shape[2]
        k, v = (np.repeat(x, share, axis=2) for x in (k, v))
        scores = np.einsum("bqhd,bkhd->bhqk", q, k) * scale
        if offset is not None:
            queries, keys = np.indices(scores.shape[2:])
            scores = np.where(keys <= queries + offset, scores, -np.inf)
        if mask is not None:
            scores = scores + mask
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights = powers / powers.sum(axis=-1, keepdims=True)
        return np.einsum("bhqk,bkhe->bqhe", weights, v)

    return expected


def _sample(
    sizes: Sizes, dtype: DType, offset: int | None = None, mask: tuple[int, ...] = ()
) -> Sample:
    batch, queries, keys, heads, groups, depth, width = sizes
    arrays = [
        draw((batch, queries, heads, depth), dtype, -1, 1),
        draw((batch, keys, groups, depth), dtype, -1, 1, 1),
        draw((batch, keys, groups, width), dtype, -1, 1, 2),
    ]
    if mask:
        arrays.append(draw(mask, dtype, -1, 1, 3))
    attributes = {"scale": 0.375, "causal": offset is not None, "offset": offset or 0}
    small = queries * keys <= 20
    return Sample(
        "attention", tuple(arrays), _expected(0.375, offset), attributes,
        label="causal" if offset is not None else "", slack=8, differentiate=None if small else (),
    )  # fmt: skip


def _hidden(dtype: DType) -> Sample:
    """Whole blocks of keys that nobody sees."""
    base = _sample((1, 3, 600, 2, 2, 4, 5), dtype)
    mask = np.zeros((1, 1, 1, 600), dtype.numpy)
    mask[..., :300] = -np.inf
    mask[..., 400:580] = -np.inf
    return Sample(
        "attention", (*base.arrays, mask), _expected(0.375, None), base.attributes, label="hidden",
        slack=8, differentiate=(),
    )  # fmt: skip


def _empty(dtype: DType) -> Sample:
    """No keys at all: sums over nothing."""
    base = _sample((1, 2, 0, 2, 1, 3, 2), dtype)
    return Sample(
        "attention", base.arrays, lambda q, k, v: np.zeros((1, 2, 2, 2)), base.attributes,
        label="empty", differentiate=(),
    )  # fmt: skip


def _used(base: Sample, used: int, label: str) -> Sample:
    """The first `used` keys in use, numbers that are none behind them."""
    arrays = [array.copy() for array in base.arrays]
    arrays[1][:, used:] = np.nan
    arrays[2][:, used:] = np.nan

    def expected(q: Any, k: Any, v: Any, *others: Any) -> Any:
        mask = [m[..., :used] if m.shape[3] > 1 else m for m in others[:-1]]
        return base.expected(q, k[:, :used], v[:, :used], *mask)

    return Sample(
        "attention", (*arrays, np.array(used, np.int32)), expected, base.attributes, label=label,
        slack=8, differentiate=(),
    )  # fmt: skip


def _diagonal(sizes: Sizes, dtype: DType, offset: int, further: int) -> Sample:
    """A number that each query sees further than `offset` says."""
    base = _sample(sizes, dtype, offset=offset + further)

    def expected(q: Any, k: Any, v: Any, *others: Any) -> Any:
        del others
        return base.expected(q, k, v)

    arrays = (*base.arrays, np.array(sizes[2], np.int32), np.array(further, np.int32))
    attributes = {**base.attributes, "offset": offset}
    return Sample(
        "attention", arrays, expected, attributes, label="diagonal", slack=8, differentiate=()
    )


SAMPLES = tuple(
    sample
    for dtype in (F32, F64)
    for sample in (
        _sample((1, 2, 3, 1, 1, 2, 3), dtype),
        _sample((2, 3, 2, 4, 2, 3, 1), dtype, mask=(2, 1, 1, 2)),
        _sample((1, 3, 5, 2, 1, 2, 2), dtype, offset=2, mask=(1, 2, 3, 5)),
        _sample((1, 1, 1, 1, 1, 1, 1), dtype),
        _sample((2, 33, 37, 3, 3, 17, 19), dtype, mask=(1, 3, 33, 1)),
        _sample((1, 61, 61, 2, 1, 16, 33), dtype, offset=0),
        _sample((1, 1, 129, 4, 4, 8, 8), dtype, offset=128),
        _sample((1, 40, 531, 2, 2, 8, 32), dtype, offset=491),
        _sample((1, 70, 300, 1, 1, 5, 40), dtype, mask=(1, 1, 70, 300)),
        _hidden(dtype),
        _used(_sample((2, 3, 5, 2, 1, 4, 3), dtype), 3, "used"),
        _used(_sample((1, 40, 531, 2, 2, 8, 32), dtype, offset=491), 300, "causal used"),
        _used(_sample((1, 17, 70, 1, 1, 5, 9), dtype, mask=(1, 1, 17, 70)), 33, "masked used"),
        _diagonal((2, 3, 5, 2, 1, 4, 3), dtype, 0, 2),
        _diagonal((1, 40, 531, 2, 2, 8, 32), dtype, -1, 13),
        _empty(dtype),
        _sample((1, 0, 3, 2, 2, 3, 2), dtype),
        _sample((1, 20, 9, 1, 1, 700, 900), dtype),
    )
)
