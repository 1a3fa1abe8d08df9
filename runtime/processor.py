"""Whether this processor can run code that was made for certain instruction-set features."""

from __future__ import annotations

import functools
import platform
from pathlib import Path

# LLVM's name of a feature -> the name in /proc/cpuinfo; only features that change code matter
_FLAGS = {
    "sse2": "sse2", "sse3": "pni", "ssse3": "ssse3", "sse4.1": "sse4_1", "sse4.2": "sse4_2",
    "popcnt": "popcnt", "cx16": "cx16", "avx": "avx", "avx2": "avx2", "fma": "fma", "f16c": "f16c",
    "bmi": "bmi1", "bmi2": "bmi2", "lzcnt": "abm", "movbe": "movbe", "gfni": "gfni",
    "avx512f": "avx512f", "avx512bw": "avx512bw", "avx512cd": "avx512cd", "avx512dq": "avx512dq",
    "avx512vl": "avx512vl", "avx512vnni": "avx512_vnni", "avx512bf16": "avx512_bf16",
    "avx512fp16": "avx512_fp16", "avx512vbmi": "avx512vbmi", "avx512vbmi2": "avx512_vbmi2",
    "avx512ifma": "avx512ifma", "avx512bitalg": "avx512_bitalg", "avxvnni": "avx_vnni",
    "avx512vpopcntdq": "avx512_vpopcntdq", "neon": "asimd", "sve": "sve", "sve2": "sve2",
}  # fmt: skip


def architecture() -> str:
    """This machine's architecture as the first part of a triple: "x86_64", "aarch64", ..."""
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def missing_features(features: str) -> tuple[str, ...]:
    """The features wanted by `features` ("+avx2,-sse4a") that this processor lacks."""
    flags = _processor_flags()
    if not flags:
        return ()
    wanted = [item[1:] for item in features.split(",") if item.startswith("+")]
    return tuple(name for name in wanted if name in _FLAGS and _FLAGS[name] not in flags)


@functools.cache
def _processor_flags() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()
