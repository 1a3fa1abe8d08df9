"""Random streams on the host: many streams of Philox numbers side by side, as arrays."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ops.philox import philox
from tensorkiln.frontends.graph.arrays import Array

RESERVED = 256  # blocks that TensorFlow sets aside for each number drawn
_MANTISSA = np.uint64(0xFFFFF)
_ONE = np.uint64(1023) << np.uint64(52)
_LEAST = 1e-7  # instead of a uniform 0, whose logarithm is infinite
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def each(function: Callable[..., float], *numbers: Floats) -> Floats:
    """A function of the C library, number by number: numpy's own rounds otherwise than it does."""
    found: Floats = np.frompyfunc(function, len(numbers), 1)(*numbers).astype(np.float64)
    return found


class Streams:
    """Streams that start `RESERVED` blocks apart; stream k gives the numbers of output k.

    `uniform` and `normal` draw one number for each of some streams, in pairs of which the second
    is used first, as TensorFlow's kernels do.
    """

    def __init__(self, state: Array, count: int) -> None:
        self._key = np.uint64(state[0])
        self._high = np.uint64(state[2])
        start = np.uint64(state[1])
        with np.errstate(over="ignore"):
            self._block = start + np.arange(count, dtype=np.uint64) * np.uint64(RESERVED)
        self._uniform = _Pairs(count)
        self._normal = _Pairs(count)

    def uniform(self, which: Integers) -> Floats:
        """A float in [0, 1) from each of the streams."""
        return self._uniform.take(which, self._doubles)

    def normal(self, which: Integers) -> Floats:
        """A normal number from each of the streams (Box, Muller 1958)."""
        return self._normal.take(which, self._normals)

    def _doubles(self, which: Integers) -> Floats:
        blocks = self._block[which]
        self._block[which] = blocks + np.uint64(1)
        words = philox(np.full(blocks.shape, self._key), blocks, np.full(blocks.shape, self._high))
        wide = words.astype(np.uint64)
        bits = _ONE | ((wide[:, ::2] & _MANTISSA) << np.uint64(32)) | wide[:, 1::2]
        doubles: Floats = bits.view(np.float64) - 1.0
        return doubles

    def _normals(self, which: Integers) -> Floats:
        u, v = self._doubles(which).T
        radius = np.sqrt(-2.0 * each(math.log, np.maximum(u, _LEAST)))
        angle = 2.0 * np.pi * v
        return np.stack([each(f, angle) * radius for f in (math.sin, math.cos)], axis=1)


class _Pairs:
    """Numbers that come in pairs, and which of them are left, for each stream."""

    def __init__(self, count: int) -> None:
        self._left = np.zeros(count, np.int64)
        self._values = np.zeros((count, 2))

    def take(self, which: Integers, draw: Callable[[Integers], Floats]) -> Floats:
        missing = which[self._left[which] == 0]
        if missing.size:
            self._values[missing] = draw(missing)
            self._left[missing] = 2
        self._left[which] -= 1
        taken: Floats = self._values[which, self._left[which]]
        return taken


def advance(state: Array, blocks: int) -> None:
    """Moves a state on by so many blocks, in place."""
    total = int(state[1]) + (int(state[2]) << 64) + blocks
    state[1] = np.uint64(total & (2**64 - 1))
    state[2] = np.uint64((total >> 64) & (2**64 - 1))


def words(state: Array, count: int) -> NDArray[np.uint32]:
    """The next `count` words of a stream; the state stays."""
    blocks = np.arange(-(-count // 4), dtype=np.uint64) + np.uint64(state[1])
    shape = blocks.shape
    found = philox(np.full(shape, state[0], np.uint64), blocks, np.full(shape, state[2], np.uint64))
    return found.reshape(-1)[:count]
