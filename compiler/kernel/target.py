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

    @property
    def has_half(self) -> bool:
        """True if f16 and f32 are converted into each other by an instruction."""
        # other machines than these would call a function of the C compiler's own library
        return self.architecture in ("aarch64", "arm64") or self._has("f16c")

    @property
    def has_rounding(self) -> bool:
        """True if floor, ceil, trunc and round_even are instructions."""
        return self.architecture in ("aarch64", "arm64", "wasm32") or self._has("sse4.1")

    @property
    def has_byte_dot(self) -> bool:
        """True if VPDPBUSD works on vectors of the target's width."""
        wide = self._has("avx512vnni") and (self.vector_bits == 512 or self._has("avx512vl"))
        return wide or (self._has("avxvnni") and self.vector_bits <= 256)

    @property
    def has_broadcasting_operands(self) -> bool:
        """True if vector arithmetic takes one number from memory for all its lanes."""
        return self.vector_bits == 512 and self._has("avx512f")

    def _has(self, feature: str) -> bool:
        return f"+{feature}" in self.features.split(",")

    def lanes(self, bits: int) -> int:
        """How many elements of `bits` bits one vector holds."""
        return max(1, self.vector_bits // bits)
