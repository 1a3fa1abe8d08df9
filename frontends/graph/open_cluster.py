"""Clusters that are given arrays of many sizes: compiled once for a range of them.

The rule: the first `SPECIALISED` combinations of input shapes get code of their own, which is the
fastest. When one more comes that differs from them in sizes only, the dims that have had several
sizes are given the range from 1 to at least twice the largest one seen, rounded up to a power of
two, and the cluster is compiled for that; dims that were always equal are one size. Combinations
outside of a range start this again. A cluster that cannot be compiled for a range (see
docs/open_sizes.md) gets code for each combination; the log says so at level INFO.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tensorkiln.compiler.cache import default_cache
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.open_pipeline import LARGEST, compile_open
from tensorkiln.frontends.graph import logs
from tensorkiln.runtime.compiled import Compiled
from tensorkiln.runtime.errors import UnsupportedError

SPECIALISED = 3
Shapes: TypeAlias = tuple[tuple[int, ...], ...]
Place: TypeAlias = tuple[int, int]  # an input and one of its dims


@dataclass(frozen=True)
class OpenDims:
    """The open dims of some shapes: for each symbol the places that have its size."""

    symbols: tuple[Symbol, ...]
    places: Mapping[str, tuple[Place, ...]]
    like: Shapes  # the other dims' sizes

    def sizes(self, shapes: Shapes) -> dict[str, int] | None:
        """The sizes of symbols in `shapes`; None if they are other shapes or out of range."""
        if len(shapes) != len(self.like) or any(
            len(a) != len(b) for a, b in zip(shapes, self.like, strict=True)
        ):
            return None
        found: dict[str, int] = {}
        opened = set()
        for symbol in self.symbols:
            own = {shapes[k][axis] for k, axis in self.places[symbol.name]}
            opened |= set(self.places[symbol.name])
            size = own.pop()
            top = symbol.maximum or size
            if own or not symbol.minimum <= size <= top:
                return None
            found[symbol.name] = size
        for k, shape in enumerate(shapes):
            for axis, size in enumerate(shape):
                if (k, axis) not in opened and size != self.like[k][axis]:
                    return None
        return found

    def shapes(self, sizes: Mapping[str, int]) -> Shapes:
        """The inputs' shapes for these sizes."""
        made = [list(shape) for shape in self.like]
        for name, places in self.places.items():
            for k, axis in places:
                made[k][axis] = sizes[name]
        return tuple(map(tuple, made))


def open_dims(seen: Sequence[Shapes]) -> OpenDims | None:
    """What is open where inputs have had the shapes `seen`; None where ranks differ, a size is 0,
    or nothing is open."""
    last = seen[-1]
    if any([len(s) for s in shapes] != [len(s) for s in last] for shapes in seen):
        return None
    groups: dict[tuple[int, ...], list[Place]] = {}
    for k, shape in enumerate(last):
        for axis in range(len(shape)):
            sizes = tuple(shapes[k][axis] for shapes in seen)
            if len(set(sizes)) > 1:
                groups.setdefault(sizes, []).append((k, axis))
    if not groups or any(min(sizes) < 1 or max(sizes) > LARGEST // 4 for sizes in groups):
        return None
    symbols = []
    places: dict[str, tuple[Place, ...]] = {}
    for number, (sizes, own) in enumerate(groups.items()):
        name = f"n{number}"
        symbols.append(Symbol(name, 1, 2 << (max(sizes) - 1).bit_length()))
        places[name] = tuple(own)
    return OpenDims(tuple(symbols), places, last)


def compile_cluster(make: Callable[[Shapes], Function], dims: OpenDims) -> Compiled | None:
    """Code for all shapes of `dims`, None if the cluster cannot be compiled so."""

    def at(point: Mapping[str, int]) -> Function:
        try:
            return make(dims.shapes(point))
        except Exception as error:
            # Nobody has asked for these shapes: what is wrong with them is no error of the user's.
            raise UnsupportedError(f"the cluster has no form for {dict(point)}: {error}") from error

    try:
        return compile_open(at, dims.symbols, target_named("host"), default_cache())
    except UnsupportedError as error:
        logs.info("each combination of shapes is compiled by itself: %s", error)
        return None
