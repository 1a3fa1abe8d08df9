"""NVIDIA GPUs as targets: which PTX ISA an architecture needs, checked before LLVM sees the pair.

LLVM ends the process on a PTX ISA that does not know the architecture, or that it does not know
itself.
"""

from __future__ import annotations

import functools

from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime.errors import UnsupportedError

TRIPLE = "nvptx64-nvidia-cuda"
# The first PTX ISA that has each architecture (PTX ISA manual, "Release Notes").
FIRST_ISA: dict[str, tuple[int, int]] = {
    "sm_80": (7, 0),
    "sm_86": (7, 1),
    "sm_89": (7, 8),
    "sm_90": (7, 8),
}
# The ISAs that the LLVM of llvmlite 0.47 and later writes and that have one of these.
ISAS: tuple[tuple[int, int], ...] = (
    *((7, minor) for minor in range(9)),
    *((8, minor) for minor in range(8)),
)


def gpu_target(name: str, isa: tuple[int, int] | None = None) -> Target:
    """The GPU called `name` ("sm_80"), for PTX ISA `isa`, by default the first that has it.

    An older ISA runs on older drivers.  UnsupportedError for an architecture or a pair that is
    not known.
    """
    first = FIRST_ISA.get(name)
    if first is None:
        raise UnsupportedError(f"there is no GPU {name!r}; choose one of {', '.join(FIRST_ISA)}")
    chosen = isa or first
    if chosen not in ISAS:
        raise UnsupportedError(
            f"PTX ISA {_text(chosen)} is not known; the newest is {_text(ISAS[-1])}"
        )
    if chosen < first:
        raise UnsupportedError(
            f"PTX ISA {_text(chosen)} does not know {name}, which needs {_text(first)} or later"
        )
    return _target(name, chosen)


@functools.cache
def _target(name: str, isa: tuple[int, int]) -> Target:
    # A thread loads and stores 128 bits at once; it has up to 255 registers of 32 bits.
    features = f"+ptx{isa[0]}{isa[1]}"
    return Target(name, TRIPLE, name, features, 128, has_fma=True, has_mask=False, registers=255)


def _text(isa: tuple[int, int]) -> str:
    return f"{isa[0]}.{isa[1]}"
