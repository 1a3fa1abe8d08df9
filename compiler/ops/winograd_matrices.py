"""The matrices of minimal filtering F(4, 3): four outputs of a three-tap filter by six products.

    y = AT [ (G g) * (BT d) ]            along one axis; both axes in turn make F(4x4, 3x3)

Scheme: S. Winograd, Arithmetic Complexity of Computations, SIAM 1980; for convolution nets:
A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016.  The six points
are 0, 1, -1, 1/2, -2 and infinity: of reciprocal pairs with unlike signs the products cancel least
(B. Barabasz et al., Error Analysis and Improving the Accuracy of Winograd Convolution for Deep
Neural Networks, ACM TOMS 2020).  With them the f32 error is less than three times that of the
direct sum from 32 channels on (docs/math.md has the measured figures).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

OUTPUTS = 4  # a tile of the result, per axis
TAPS = 3
POINTS = OUTPUTS + TAPS - 1  # elements of an input tile, per axis

Matrix: TypeAlias = tuple[tuple[Fraction, ...], ...]

_FINITE = (Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(-2))


def _powers(count: int) -> list[list[Fraction]]:
    """The finite points' powers 0 to count - 1, then infinity's: the highest power alone."""
    rows = [[point**k for k in range(count)] for point in _FINITE]
    return [*rows, [Fraction(k == count - 1) for k in range(count)]]


def _product(roots: list[Fraction]) -> list[Fraction]:
    """Coefficients of the polynomial with these roots, lowest power first."""
    found = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *found]
        scaled = [*(root * c for c in found), Fraction(0)]
        found = [a - b for a, b in zip(shifted, scaled, strict=True)]
    return found


def _interpolation() -> Matrix:
    """BT: for each finite point the product over the others, for infinity the product over all."""
    rows = [_product([q for q in _FINITE if q != p]) for p in _FINITE]
    rows.append(_product(list(_FINITE)))
    return tuple((*row, *[Fraction(0)] * (POINTS - len(row))) for row in rows)


def _filter() -> Matrix:
    """G: powers of the points, each row divided by the point's product of differences."""
    rows = _powers(TAPS)
    for row, p in zip(rows, _FINITE, strict=False):
        scale = Fraction(1)
        for q in _FINITE:
            scale *= p - q if q != p else 1
        row[:] = [c / scale for c in row]
    return tuple(map(tuple, rows))


INPUT: Matrix = _interpolation()
FILTER: Matrix = _filter()
OUTPUT: Matrix = tuple(zip(*_powers(OUTPUTS), strict=True))


_BLOCK = 32  # inputs transformed at a time, so that the wide numbers stay in cache


def as_array(matrix: Matrix) -> NDArray[np.float64]:
    """The matrix in f64 (every element of INPUT and OUTPUT is exact)."""
    return np.array([[float(c) for c in row] for row in matrix])


def nonzeros(matrix: Matrix) -> int:
    """Elements that cost a multiply-add."""
    return sum(c != 0 for row in matrix for c in row)


def transformed_filter(kernel: NDArray[np.floating]) -> NDArray[np.floating]:
    """G g GT of filters [output, input, 3, 3], as [36, input, output], rounded once from f64."""
    g = as_array(FILTER)
    both = np.kron(g, g)  # [36, 9]: one product with all nine taps
    outputs, inputs = kernel.shape[:2]
    found = np.empty((POINTS * POINTS, inputs, outputs), kernel.dtype)
    for first in range(0, inputs, _BLOCK):
        block = slice(first, first + _BLOCK)
        taps = kernel[:, block].transpose(2, 3, 1, 0).astype(np.float64)
        products = both @ taps.reshape(TAPS * TAPS, -1)
        found[:, block] = products.reshape(len(both), -1, outputs)
    return found
