"""Shapes that depend on the sizes of a call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tensorkiln.runtime.elements import ELEMENTS


@dataclass(frozen=True, slots=True)
class Quotient:
    """`coefficient` times the whole part of `over / divisor`; `over` has neither quotients nor
    products."""

    coefficient: int
    over: Extent
    divisor: int

    def at(self, sizes: Mapping[str, int]) -> int:
        """Its value for these sizes."""
        return self.coefficient * (self.over.at(sizes) // self.divisor)

    def __str__(self) -> str:
        over = str(self.over)
        whole = f"{f'({over})' if '+' in over else over}/{self.divisor}"
        return whole if self.coefficient == 1 else f"{self.coefficient}*({whole})"


@dataclass(frozen=True, slots=True)
class Product:
    """`coefficient` times `factors`, which have no products."""

    coefficient: int
    factors: tuple[Extent, ...]

    def at(self, sizes: Mapping[str, int]) -> int:
        """Its value for these sizes."""
        return self.coefficient * math.prod(factor.at(sizes) for factor in self.factors)

    def __str__(self) -> str:
        whole = _product(self.factors)
        return whole if self.coefficient == 1 else f"{self.coefficient}*{whole}"


@dataclass(frozen=True, slots=True)
class Extent:
    """`constant + sum(coefficient * size) + sum(quotient) + sum(product)`; `terms` are (name of the
    size, coefficient)."""

    terms: tuple[tuple[str, int], ...]
    constant: int
    quotients: tuple[Quotient, ...] = ()
    products: tuple[Product, ...] = ()

    def at(self, sizes: Mapping[str, int]) -> int:
        """Its value for these sizes."""
        whole = sum(sizes[name] * coefficient for name, coefficient in self.terms)
        whole += sum(quotient.at(sizes) for quotient in self.quotients)
        return self.constant + whole + sum(product.at(sizes) for product in self.products)

    @property
    def names(self) -> tuple[str, ...]:
        """The sizes that it depends on."""
        inner = [name for quotient in self.quotients for name in quotient.over.names]
        inner += [name for each in self.products for f in each.factors for name in f.names]
        return (*(name for name, _ in self.terms), *inner)

    def __str__(self) -> str:
        parts = [name if c == 1 else f"{c}*{name}" for name, c in self.terms]
        parts += [*map(str, self.quotients), *map(str, self.products)]
        if self.constant or not parts:
            parts.append(str(self.constant))
        return "+".join(parts)


@dataclass(frozen=True, slots=True)
class OpenShape:
    """A shape; each dim is the product of its extents."""

    dims: tuple[tuple[Extent, ...], ...]

    def at(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape for these sizes."""
        return tuple(math.prod(extent.at(sizes) for extent in dim) for dim in self.dims)

    @property
    def words(self) -> tuple[str, ...]:
        """Each dim in words: "3", "batch", "batch*(seq+1)"."""
        return tuple(_product(dim) for dim in self.dims)

    def __str__(self) -> str:
        return ",".join(self.words)


def _product(dim: tuple[Extent, ...]) -> str:
    if len(dim) == 1:
        return str(dim[0])
    return "*".join(f"({e})" if "+" in str(e) or "/" in str(e) else str(e) for e in dim)


@dataclass(frozen=True, slots=True)
class SizeRange:
    """A size that a call chooses, from `minimum` to `maximum`."""

    name: str
    minimum: int
    maximum: int

    def __str__(self) -> str:
        return f"{self.name}={self.minimum}..{self.maximum}"


@dataclass(frozen=True, slots=True)
class PartInfo:
    """Code for a part of the ranges, in the order of the sizes, and the workspace it needs."""

    ranges: tuple[SizeRange, ...]
    workspace_bytes: int

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """True if it is for these sizes."""
        return all(r.minimum <= sizes[r.name] <= r.maximum for r in self.ranges)


@dataclass(frozen=True, slots=True)
class OpenSizes:
    """What is open in a model: its sizes, and the shapes of the user's inputs and outputs.

    `parts` are the pieces of code that the model is made of, which together hold all sizes.
    """

    ranges: tuple[SizeRange, ...]
    inputs: tuple[OpenShape, ...]
    outputs: tuple[OpenShape, ...]
    parts: tuple[PartInfo, ...] = ()


def widest(all_sizes: Sequence[OpenSizes | None]) -> OpenSizes | None:
    """The sizes of versions of one model, with the most workspace that one of them needs."""
    first, *others = all_sizes
    if first is None:
        return None
    parts = [
        replace(part, workspace_bytes=max(part.workspace_bytes, *more, 0))
        for k, part in enumerate(first.parts)
        if (more := [o.parts[k].workspace_bytes for o in others if o is not None]) is not None
    ]
    return replace(first, parts=tuple(parts))


@dataclass(frozen=True, slots=True)
class OpenSpec:
    """A tensor's name, open shape and dtype; `alias` as in `TensorSpec`."""

    name: str
    shape: OpenShape
    dtype: str
    alias: int | None = None

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The numpy dtype of the elements."""
        return ELEMENTS[self.dtype].numpy

    def __str__(self) -> str:
        return f"{self.dtype}[{self.shape}]"
