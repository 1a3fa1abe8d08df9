"""The constants of programs in one blob, in which equal ones that lie alike are stored once.

Several programs may share a pool: those of a model's parts for ranges of sizes have the same
weights. The blob is made when all have found their places, so that nothing is kept twice.
"""

from __future__ import annotations

import math
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.bits import same_bits
from tensorkiln.compiler.ir.function import Array
from tensorkiln.compiler.kernel.program import align, aligned_bytes
from tensorkiln.compiler.lower.layout import Layout

_SAMPLES = 64  # elements that two constants must share before all are compared


class Constants:
    """A pool of constants; the places that it gives are final."""

    def __init__(self) -> None:
        self.nbytes = 0
        self._pieces: list[tuple[int, Array, Layout]] = []
        self._known: dict[Hashable, list[tuple[Array, int]]] = {}

    def place(self, data: Array, layout: Layout) -> int:
        """Where `data` begins in the blob, in the order of `layout`."""
        key = (layout, data.dtype, data.shape, _sample(data))
        alike = self._known.setdefault(key, [])
        for other, offset in alike:
            if same_bits(data, other):
                return offset
        offset = self.nbytes
        alike.append((data, offset))
        self._pieces.append((offset, data, layout))
        self.nbytes = align(offset + math.prod(layout.physical_shape(data.shape)) * data.itemsize)
        return offset

    def blob(self) -> NDArray[np.uint8]:
        """All constants, once; each is written to its place without a copy in between.

        The pool then holds none of them, so those that nobody else has are freed on the way.
        """
        made = aligned_bytes(self.nbytes)
        self._known.clear()
        self._pieces.reverse()
        while self._pieces:
            start, data, layout = self._pieces.pop()
            shape = layout.physical_shape(data.shape)
            end = start + math.prod(shape) * data.itemsize
            arrange(data, layout, made[start:end].view(data.dtype).reshape(shape))
        return made


def _sample(data: Array) -> bytes:
    """Some elements, spread over the array."""
    if data.size <= _SAMPLES:
        return data.tobytes()
    places = np.unravel_index(np.linspace(0, data.size - 1, _SAMPLES, dtype=np.int64), data.shape)
    return np.ascontiguousarray(data[places]).tobytes()


def arrange(data: Array, layout: Layout, target: Array) -> None:
    """Writes a constant's elements to `target` in the order of `layout`, padding as zeros."""
    pads = [(0, 0)] * data.ndim
    for dim, size in layout.blocks:
        pads[dim] = (0, -data.shape[dim] % size)
    if any(high for _, high in pads):
        data = np.pad(data, pads)
    sizes = dict(layout.blocks)
    split: list[int] = []
    outer: dict[int, int] = {}
    inner: dict[int, int] = {}
    for dim, size in enumerate(data.shape):
        outer[dim] = len(split)
        split.append(size // sizes.get(dim, 1))
        if dim in sizes:
            inner[dim] = len(split)
            split.append(sizes[dim])
    order = [outer[d] for d in layout.order] + [inner[d] for d, _ in layout.blocks]
    np.copyto(target, data.reshape(split).transpose(order))
