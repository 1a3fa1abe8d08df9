"""The machine's ceilings as rows: multiply-adds, and copies and reads from memory and caches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tensorkiln.compiler.codegen.ceilings import copy_ceiling, fma_ceiling, read_ceiling
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.frontends.cli.bench.engines import Ceiling, on_processors
from tensorkiln.frontends.cli.bench.result import COMPILED, Result, Times
from tensorkiln.runtime.compiled import Compiled

_TURN_SECONDS = 0.1
_TURN_CALLS = 300
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_USUAL = {2: 1 << 20, 3: 32 << 20}  # where the system does not say
_MEMORY_BYTES = 1 << 28


def machine_rates(
    threads: int, rounds: int, processors: Sequence[int], levels: Sequence[str] = ()
) -> list[Result]:
    """Results of the group "ceilings", whose times are those of kernels that do nothing else.

    Sizes: for a cache, half of it for each thread (of L3 at most 8 times L2, as other processors
    share it) but more than the cache before it; for memory 256 MB.
    """
    kinds: dict[str, Compiled] = {}
    for level in ("host", *levels):
        name = "fma_peak" if level == "host" else f"fma_peak {level}"
        kinds[name] = fma_ceiling(target_named(level))
    second, third = cache_bytes(2), cache_bytes(3)
    near = second // 2 * threads
    far = min(third // 2, 8 * second * threads)
    host = target_named("host")
    for place, size, repeats in (("L2", near, 16), ("L3", far, 4), ("memory", _MEMORY_BYTES, 1)):
        kinds[f"copy {place}"] = copy_ceiling(host, size // 8, False, repeats)
        kinds[f"read {place}"] = read_ceiling(host, size // 4, repeats)
    kinds["copy_streaming memory"] = copy_ceiling(host, _MEMORY_BYTES // 8, True)
    found = {
        name: Ceiling(compiled, threads, compiled.manifest.flops or compiled.manifest.bytes)
        for name, compiled in kinds.items()
    }
    samples: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, ceiling in found.items():
            with on_processors(processors[:threads]):
                samples[name] += ceiling.times(_TURN_SECONDS, _TURN_CALLS)
    results = []
    for name, compiled in kinds.items():
        manifest = compiled.manifest
        result = Result(
            f"ceiling {name}", threads, "ceilings", manifest.flops, manifest.bytes,
            manifest.peak_bytes,
        )  # fmt: skip
        result.engines[COMPILED] = Times.of(samples[name])
        results.append(result)
    return results


def cache_bytes(level: int) -> int:
    """The size of the first processor's cache of this level."""
    for folder in sorted(_CACHES.glob("index*")):
        try:
            if int((folder / "level").read_text()) == level:
                text = (folder / "size").read_text().strip()
                return int(text.rstrip("KM")) << (20 if text.endswith("M") else 10)
        except (OSError, ValueError):
            break
    return _USUAL[level]
