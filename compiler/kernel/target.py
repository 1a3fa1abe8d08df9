"""What a schedule needs to know of the machine that a kernel is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A machine to make code for.

    `features` is in LLVM's form ("+avx2,+fma"). `vector_bits` is the width of the vectors that
    kernels use, `registers` the number of such registers. `has_fma` tells that a fused
    multiply-add is one instruction, `has_mask` that masked loads and stores are.
    """

    name: str
    triple: str
    cpu: str
    features: str
    vector_bits: int
    has_fma: bool
    has_mask: bool
    registers: int

    @property
    def architecture(self) -> str:
        """The first part of the triple: "x86_64", "aarch64", ..."""
        return self.triple.split("-")[0]

    def lanes(self, bits: int) -> int:
        """How many elements of `bits` bits one vector holds."""
        return max(1, self.vector_bits // bits)
