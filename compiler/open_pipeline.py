"""Models for ranges of sizes: code for each part of the range."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from tensorkiln.compiler.cache import Cache
from tensorkiln.compiler.cache_key import content_key, function_key
from tensorkiln.compiler.dump import Dump
from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.pipeline import compile_function, generate, lower, passes_without
from tensorkiln.compiler.sizes.bound import Bounded, bound
from tensorkiln.compiler.sizes.model import open_sizes
from tensorkiln.compiler.sizes.ranges import Part, parts
from tensorkiln.compiler.sizes.samples import Make
from tensorkiln.runtime.compiled import Compiled
from tensorkiln.runtime.errors import ModelError
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.open_executable import OpenExecutable
from tensorkiln.runtime.open_executable import Part as LoadedPart
from tensorkiln.runtime.open_sizes import OpenSizes, SizeRange

LARGEST = 1 << 20  # of an open size


@dataclass(frozen=True, slots=True, eq=False)
class OpenCompiled:
    """A model compiled for ranges of sizes: its parts, and what is open in it as a whole."""

    sizes: OpenSizes
    parts: tuple[tuple[Part, Compiled], ...]


def compile_open(
    make: Make,
    symbols: Sequence[Symbol],
    target: Target,
    cache: Cache | None = None,
    without: Collection[str] = (),
) -> OpenCompiled:
    """Machine code for the model that `make` builds for given sizes, for all in the ranges.

    Passes named in `without` are not run. UnsupportedError names what depends on the sizes in a way that cannot be compiled.
    """
    check_symbols(symbols)
    tops = {s.name: s.maximum or s.minimum for s in symbols}
    whole = bound(make, symbols, tops)
    ranges = {s.name: (s.minimum, tops[s.name]) for s in symbols}
    made = []
    for part in parts(symbols):
        made.append((part, _compile_part(make, symbols, part, whole, target, cache, without)))
    return OpenCompiled(open_sizes(whole, ranges), tuple(made))


def check_symbols(symbols: Sequence[Symbol]) -> None:
    """ModelError for a range that is empty, has no end, or is too large."""
    for symbol in symbols:
        if symbol.maximum is None or not 0 <= symbol.minimum <= symbol.maximum <= LARGEST:
            top = "" if symbol.maximum is None else symbol.maximum
            raise ModelError(
                f"dim {symbol.name} is given the range {symbol.minimum}..{top}; its ends must be"
                f" from 0 to {LARGEST}, the first not above the second"
            )


def _compile_part(
    make: Make,
    symbols: Sequence[Symbol],
    part: Part,
    whole: Bounded,
    target: Target,
    cache: Cache | None,
    without: Collection[str],
) -> Compiled:
    capacities = {name: high for name, (_, high) in part.items()}
    opened = [s for s in symbols if part[s.name][0] < part[s.name][1]]
    fixed = {
        name: high for name, high in capacities.items() if name not in {s.name for s in opened}
    }
    if not opened:
        return compile_function(make(capacities), target, cache=cache, without=without)
    if capacities == whole.capacities and len(opened) == len(symbols):
        bounded = whole
    else:
        bounded = bound(
            lambda point: make({**fixed, **point}),
            opened,
            {s.name: capacities[s.name] for s in opened},
        )
    sizes = open_sizes(bounded, part)
    name = "_".join([bounded.function.name, *(f"{s}{n}" for s, n in capacities.items())])
    dump = Dump.from_environment(name)
    key = ""
    if cache is not None and dump.folder is None:
        key = content_key(function_key(bounded.function, target, without), sizes, target)
        found = cache.load(key)
        if found is not None:
            return found
    stages = lower(bounded.function, target, dump, passes_without(without), bounded=bounded)
    compiled = generate(bounded.function, stages, target, dump)
    compiled = replace(compiled, manifest=replace(compiled.manifest, sizes=sizes))
    if cache is not None and key:
        cache.store(key, compiled)
    return compiled


def load_open(compiled: OpenCompiled, threads: int = 0) -> OpenExecutable:
    """The model loaded into this process; `threads` 0 means all processors."""
    loaded = []
    for part, code in compiled.parts:
        sizes = code.manifest.sizes
        arguments = () if sizes is None else tuple(size.name for size in sizes.ranges)
        loaded.append(LoadedPart(part, load_compiled(code, threads), arguments))
    return OpenExecutable(loaded, compiled.sizes)


__all__ = ["OpenCompiled", "SizeRange", "check_symbols", "compile_open", "load_open"]
