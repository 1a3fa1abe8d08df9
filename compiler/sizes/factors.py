"""How much of a dim is in use.

A function for a range of sizes is compiled at the largest ones, its capacities.  A dim is then a
product of factors, outermost first, each with a capacity (its place in memory) and an extent (how
much of it a call uses): a batch of up to 64 images merged with their 49 places is one factor of
capacity 3136 and extent `49*batch`; 4 static rows merged with up to 8 open columns are two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tensorkiln.compiler.ir.dims import Affine, Dim, multiply_dims, scale_dim, substitute


@dataclass(frozen=True, slots=True)
class Factor:
    """`size` places of which the first `extent` are in use; an integer extent is `size`."""

    size: int
    extent: Dim

    @property
    def is_open(self) -> bool:
        """True if the extent depends on the call."""
        return isinstance(self.extent, Affine)


Factors: TypeAlias = tuple[Factor, ...]  # of one dim, outermost first
Dims: TypeAlias = tuple[Factors, ...]


def closed(size: int) -> Factors:
    """A dim of which every place is always in use."""
    return (Factor(size, size),)


def closed_dims(shape: Sequence[int]) -> Dims:
    """`closed` for every dim."""
    return tuple(map(closed, shape))


def is_open(dim: Factors) -> bool:
    """True if the dim's size depends on the call."""
    return any(factor.is_open for factor in dim)


def capacity(dim: Factors) -> int:
    """The places of a dim."""
    return math.prod(factor.size for factor in dim)


def actual(dim: Factors, sizes: Mapping[str, int]) -> int:
    """The elements of a dim that calls with these sizes of symbols use."""
    count = 1
    for factor in dim:
        extent = substitute(factor.extent, sizes)
        if not isinstance(extent, int):
            raise ValueError(f"no size is given for {extent}")
        count *= extent
    return count


def normal(dim: Factors) -> Factors:
    """The shortest equal list: a closed factor behind another one becomes part of that."""
    kept: list[Factor] = []
    for factor in dim:
        if factor.size == 1 and not factor.is_open:
            continue
        if kept and not factor.is_open:
            outer = kept[-1]
            kept[-1] = Factor(outer.size * factor.size, scale_dim(outer.extent, factor.size))
        else:
            kept.append(factor)
    return tuple(kept) or closed(1)


def dense(dim: Factors) -> Factors:
    """The dim as one factor: what is in use lies one behind the other."""
    (outer, *inner) = normal(dim)
    for factor in inner:
        size = outer.size * factor.size
        outer = Factor(size, multiply_dims(outer.extent, factor.extent))
    return (outer,)


def prefix(dim: Factors) -> Factor:
    """The first places of a dim, as one factor, that hold everything in use."""
    outer, *inner = dim
    count = math.prod(factor.size for factor in inner)
    return Factor(outer.size * count, scale_dim(outer.extent, count))


def regroup(dims: Dims, shape: Sequence[int]) -> Dims | None:
    """The dims after a reshape to `shape`; None where a dim would hold a part of an open factor."""
    if not any(map(is_open, dims)):
        return closed_dims(shape)
    flat = [factor for dim in dims for factor in dim]
    found: list[Factors] = []
    for size in shape:
        taken: list[Factor] = []
        missing = size
        while missing > 1:
            if not flat:
                return None
            factor = flat.pop(0)
            if missing % factor.size == 0:
                taken.append(factor)
                missing //= factor.size
                continue
            parts = _split(factor, missing)
            if parts is None:
                return None
            taken.append(parts[0])
            flat.insert(0, parts[1])
            missing = 1
        # A capacity of one may still belong to a symbol: it goes with the dim of size 1.
        if not taken and flat and flat[0].size == 1 and flat[0].is_open:
            taken.append(flat.pop(0))
        found.append(normal(tuple(taken)))
    return None if any(factor.size > 1 for factor in flat) else tuple(found)


def _split(factor: Factor, outer: int) -> tuple[Factor, Factor] | None:
    """The factor as `outer` places of what is left, if whole parts are in use only."""
    if factor.size % outer:
        return None
    inner = factor.size // outer
    extent = factor.extent
    if isinstance(extent, int):
        return Factor(outer, outer), Factor(inner, inner)
    if extent.constant % inner or any(c % inner for _, c in extent.terms):
        return None
    terms = tuple((symbol, c // inner) for symbol, c in extent.terms)
    return Factor(outer, Affine(terms, extent.constant // inner)), Factor(inner, inner)
