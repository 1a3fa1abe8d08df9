"""What the compiler hands to the runtime and to the writer of artifacts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tensorkiln.runtime.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Sample:
    """Elements of an output: flat positions, their values, and how far others may be from them."""

    positions: tuple[int, ...]
    values: tuple[float, ...]
    tolerance: float


@dataclass(frozen=True, slots=True)
class VectorCall:
    """One call of a C function (`run`, `train_step`, `predict`) and a sample of each output.

    `sizes` are those of the call where the model has open ones.
    """

    function: str
    sizes: tuple[int, ...]
    outputs: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Test vectors: the seed of the inputs, and calls in their order.

    Integers among the inputs are from 0 to `limit` - 1. `state` are samples of each tensor of the
    state after all calls.
    """

    seed: int
    calls: tuple[VectorCall, ...]
    limit: int = 10
    state: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A compiled model that is not loaded or written yet.

    `object_code` is a relocatable object file (ELF) that defines `tk_body` and leaves
    `tk_parallel_for` and `tk_thread_count` undefined. `constants` is the blob of uint8 that the
    body reads at fixed offsets; it should start at a multiple of 64 (`aligned_bytes`).
    """

    manifest: Manifest
    object_code: bytes
    constants: npt.NDArray[np.uint8]


def aligned_bytes(size: int) -> npt.NDArray[np.uint8]:
    """`size` uninitialised bytes whose address is a multiple of 64."""
    raw = np.empty(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size]


def aligned_zeros(size: int) -> npt.NDArray[np.uint8]:
    """`size` zeros, aligned in the same way: a workspace for open sizes.

    Places that no call has used yet are then no denormal numbers.
    """
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size]


def aligned(blob: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """`blob` itself if it is dense and starts at a multiple of 64, else a copy that does."""
    if blob.flags.c_contiguous and blob.ctypes.data % 64 == 0:
        return blob
    copy = aligned_bytes(blob.size)
    copy[:] = blob
    return copy
