"""Resampling of one axis as numbers: which elements each new element reads, with what weight.

Definitions: ONNX operator documentation of Resize (coordinate_transformation_mode, nearest_mode,
cubic_coeff_a, exclude_outside, antialias); the cubic kernel is that of R. Keys, Cubic convolution
interpolation for digital image processing, 1981.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis to be resampled: old and new size, scale, and the region of interest."""

    old: int
    new: int
    scale: float
    start: float = 0.0
    end: float = 1.0


def coordinates(axis: Axis, mode: str) -> Floats | None:
    """Where each new element lies in the old axis; None if there is no such mode."""
    i = np.arange(axis.new, dtype=np.float64)
    half = (i + 0.5) / axis.scale - 0.5
    last = axis.old - 1
    match mode:
        case "half_pixel":
            return half
        case "half_pixel_symmetric":
            adjustment = axis.new / (axis.scale * axis.old)
            return axis.old / 2 * (1 - adjustment) + half
        case "pytorch_half_pixel":
            return half if axis.new > 1 else np.zeros_like(i)
        case "align_corners":
            # The definition divides by the exact size, of which the new one is the floor.
            size = axis.scale * axis.old
            return i * last / (size - 1) if size > 1 else np.zeros_like(i)
        case "asymmetric":
            return i / axis.scale
        case "tf_half_pixel_for_nn":
            return (i + 0.5) / axis.scale
        case "tf_crop_and_resize":
            if axis.new == 1:
                return np.full_like(i, 0.5 * (axis.start + axis.end) * last)
            step = (axis.end - axis.start) * last / (axis.new - 1)
            return axis.start * last + i * step
    return None


def nearest(x: Floats, old: int, mode: str) -> Integers | None:
    """The element nearest to each coordinate; None if there is no such mode."""
    match mode:
        case "round_prefer_floor":
            found = np.ceil(x - 0.5)
        case "round_prefer_ceil":
            found = np.floor(x + 0.5)
        case "floor":
            found = np.floor(x)
        case "ceil":
            found = np.ceil(x)
        case _:
            return None
    return np.clip(found, 0, old - 1).astype(np.int64)


def taps(
    x: Floats, axis: Axis, cubic: float | None, antialias: bool, exclude_outside: bool
) -> tuple[Integers, Floats]:
    """The elements each coordinate reads and their weights, both [new, taps].

    `cubic` is the coefficient of the cubic kernel, None for the linear one.  Elements outside of
    the axis are its ends, or do not count if `exclude_outside`.
    """
    shrink = min(axis.scale, 1.0) if antialias else 1.0
    radius = (1 if cubic is None else 2) / shrink
    first = math.floor(-radius) + 1
    offsets = np.arange(first, math.ceil(radius) + 1)
    base = np.floor(x)
    places = base[:, None] + offsets
    distance = np.abs((places - x[:, None]) * shrink)
    weights = np.clip(1 - distance, 0, 1) if cubic is None else _keys(distance, cubic)
    if exclude_outside:
        weights = np.where((places < 0) | (places >= axis.old), 0.0, weights)
    if exclude_outside or shrink < 1:
        weights = weights / weights.sum(axis=1, keepdims=True)
    return np.clip(places, 0, axis.old - 1).astype(np.int64), weights


def _keys(d: Floats, a: float) -> Floats:
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def matrix(places: Integers, weights: Floats, old: int) -> Floats:
    """The taps as a matrix [new, old]."""
    found = np.zeros((places.shape[0], old))
    np.add.at(found, (np.arange(places.shape[0])[:, None], places), weights)
    return found
