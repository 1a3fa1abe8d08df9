"""Numbers at several points as polynomials of sizes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.dims import (
    Affine,
    Dim,
    Symbol,
    add_dims,
    multiply_dims,
    scale_dim,
    substitute,
    symbol_dim,
)
from tensorkiln.compiler.sizes.points import Point

_EXACT = 1 << 40  # sums of numbers below it are exact enough to be rounded


def polynomial(
    atoms: Sequence[Symbol], points: Sequence[Point], values: Sequence[int]
) -> Affine | None:
    """The values at the points as a constant and products of up to two `atoms`, which are sizes.

    The fewest atoms are tried first.  A point more than there are unknown numbers must agree, and
    the points must tell sums from products.  None if nothing does.
    """
    if max(map(abs, values)) >= _EXACT:
        return None
    for every in _candidates(atoms):
        table, scale = _table(every, points)
        if not scale.all() or np.linalg.matrix_rank(table / scale) < len(every):
            continue
        for terms in (every[:-1], every):
            if len(terms) < len(points):
                found = _fitted(terms, points, values)
                if found is not None:
                    return found
    return None


def _candidates(atoms: Sequence[Symbol]) -> Iterator[list[Dim]]:
    """Which products there may be; the last one may be missing."""
    one: Dim = 1
    dims = [symbol_dim(atom) for atom in atoms]
    for a in dims:
        yield [one, multiply_dims(a, a), a]
    for a, b in itertools.combinations(dims, 2):
        yield [one, a, b, multiply_dims(a, b)]
    for chosen in itertools.combinations(dims, 3):
        yield [one, *chosen, *(multiply_dims(a, b) for a, b in itertools.combinations(chosen, 2))]


def _table(
    terms: Sequence[Dim], points: Sequence[Point]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The terms at the points, and the largest that each is."""
    rows = [[substitute(term, point) for term in terms] for point in points]
    table = np.array(rows, np.float64)
    return table, np.abs(table).max(axis=0)


def _fitted(terms: Sequence[Dim], points: Sequence[Point], values: Sequence[int]) -> Affine | None:
    table, scale = _table(terms, points)
    solved, *_ = np.linalg.lstsq(table / scale, np.array(values, np.float64), rcond=None)
    total: Dim = 0
    for term, number in zip(terms, solved / scale, strict=True):
        if abs(number) >= _EXACT:
            return None
        total = add_dims(total, scale_dim(term, round(float(number))))
    fits = all(substitute(total, p) == v for p, v in zip(points, values, strict=True))
    return total if fits and isinstance(total, Affine) else None
