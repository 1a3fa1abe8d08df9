"""Chroma of JPEG images at full size, and its conversion to RGB.

The interpolation is the triangle filter that the JPEG libraries call fancy upsampling: each new
pixel is 3/4 of the nearer and 1/4 of the farther old one, rounded up and down in turns.  The
conversion is that of JFIF (ITU-R BT.601, full range) with 16 fractional bits.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Plane: TypeAlias = npt.NDArray[np.uint8]
_Wide: TypeAlias = npt.NDArray[np.int32]

_NARROW = 2
"""Planes no wider than this are repeated, not interpolated."""


def interpolated(plane: Plane, down: int, across: int) -> Plane:
    """A plane with twice the rows (if `down`) and columns (if `across`)."""
    if across and plane.shape[1] <= _NARROW:
        return plane.repeat(1 + down, axis=0).repeat(2, axis=1)
    wide = plane.astype(np.int32)
    if not across:
        return _pairs(wide, 0, 2, (1, 2)).astype(np.uint8)
    if not down:
        return _pairs(wide, 1, 2, (1, 2)).astype(np.uint8)
    return _pairs(_sums(wide, 0), 1, 4, (8, 7)).astype(np.uint8)


def _sums(wide: _Wide, axis: int) -> _Wide:
    """Three times each item plus the one before it, and after it, in turns; at the ends four times."""
    moved = np.moveaxis(wide, axis, 0)
    before = np.concatenate([moved[:1], moved[:-1]])
    after = np.concatenate([moved[1:], moved[-1:]])
    both = np.stack([3 * moved + before, 3 * moved + after], axis=1)
    result: _Wide = np.moveaxis(both.reshape(-1, *moved.shape[1:]), 0, axis)
    return result


def _pairs(wide: _Wide, axis: int, shift: int, rounding: tuple[int, int]) -> _Wide:
    sums = np.moveaxis(_sums(wide, axis), axis, 0)
    first, second = rounding
    turns = np.resize(np.array([first, second], np.int32), len(sums))
    shape = (-1, *(1,) * (sums.ndim - 1))
    result: _Wide = np.moveaxis((sums + turns.reshape(shape)) >> shift, 0, axis)
    return result


def _fixed(value: float) -> int:
    return int(value * 65536 + 0.5)


def to_rgb(luma: Plane, blue: Plane, red: Plane) -> Plane:
    """RGB [height, width, 3] of the planes Y, Cb and Cr."""
    y, cb, cr = luma.astype(np.int32), blue.astype(np.int32) - 128, red.astype(np.int32) - 128
    half = 1 << 15
    planes = (
        y + ((_fixed(1.402) * cr + half) >> 16),
        y + ((-_fixed(0.34414) * cb - _fixed(0.71414) * cr + half) >> 16),
        y + ((_fixed(1.772) * cb + half) >> 16),
    )
    result: Plane = np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)
    return result
