"""Jacobi's rotations of complex matrices, on their real and imaginary parts.

All rows are rotated at once, in disjoint pairs that change from step to step so that every pair
meets once a turn (the ordering of a round-robin tournament: Brent and Luk, The solution of
singular-value and symmetric eigenvalue problems on multiprocessor arrays, 1985).  A pair whose
product is r e^(i phi) is rotated as a real one whose product is r would be, one of the two turned by
that phase (Golub and Van Loan, Matrix Computations, 4th edition, section 8.5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.along import take_along
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.complex_functions import Pair, hypot, times
from tensorkiln.compiler.ops.formula import Formula, formulas
from tensorkiln.compiler.ops.jacobi import MOST_TURNS
from tensorkiln.compiler.ops.matrices import diagonal, flip, identity, on_diagonal, triangle
from tensorkiln.compiler.ops.scalar_bodies import row
from tensorkiln.compiler.ops.shorthand import (
    broadcast_in_dim,
    compare,
    expand_dims,
    iota,
    reduce,
    scalar,
    select,
    zeros_like,
)
from tensorkiln.compiler.ops.shorthand_control import while_loop

Parts: TypeAlias = tuple[Value, Value]
# Of rows and their partners: the squared sizes of the rows and the products of the two.
Measure: TypeAlias = Callable[[Builder, Sequence[Value], Value], tuple[Formula, Pair]]


def _partners(size: int) -> np.ndarray:
    """partners[t, i] is who row i meets in step t of a turn: itself, if nobody."""
    players = [*range(size), *([-1] if size % 2 else [])]
    rounds = []
    for _ in range(max(len(players) - 1, 1)):
        partner = list(range(size))
        for one, other in zip(players, reversed(players), strict=True):
            if -1 not in (one, other):
                partner[one] = other
        rounds.append(partner)
        players = [*players[:1], *players[-1:], *players[1:-1]]
    return np.array(rounds, np.int32)


def _epsilon(x: Value) -> float:
    return 2.0**-52 if x.dtype.bits == 64 else 2.0**-23


def hermitian_eigen(builder: Builder, a: Parts) -> tuple[Value, Parts]:
    """Eigenvalues, in no order, and as rows the conjugates of the eigenvectors, of the Hermitian
    matrices whose lower triangles those of `a` are."""
    strict = [triangle(builder, part, lower=True, strict=True) for part in a]
    real = builder.one("add", (triangle(builder, a[0], lower=True), flip(builder, strict[0])))
    imaginary = builder.one("subtract", (strict[1], flip(builder, strict[1])))

    def measure(b: Builder, values: Sequence[Value], partner: Value) -> tuple[Formula, Pair]:
        places = expand_dims(b, partner, (-1,))
        met = [_picked(b, part, places, -1) for part in values[:2]]
        return Formula(b, diagonal(b, values[0])), (met[0], met[1])

    found = _rotated(builder, (real, imaginary), measure, 1.0, two_sided=True)
    return diagonal(builder, found[0]), (found[2], found[3])


def orthogonal_rows(builder: Builder, a: Parts) -> tuple[Parts, Parts]:
    """Unitary matrices times `a` whose rows are orthogonal, and those matrices."""

    def measure(b: Builder, values: Sequence[Value], partner: Value) -> tuple[Formula, Pair]:
        x, y = formulas(b, *values[:2])
        met = [_met(b, part, partner) for part in values[:2]]
        products = times((x, y), (met[0], -met[1]))
        return (x * x + y * y).sum((-1,)), (products[0].sum((-1,)), products[1].sum((-1,)))

    share = max(2.0, float(a[0].shape[-1]) ** 0.5)
    found = _rotated(builder, a, measure, share, two_sided=False)
    return (found[0], found[1]), (found[2], found[3])


def _rotated(
    builder: Builder, a: Parts, measure: Measure, share: float, two_sided: bool
) -> Sequence[Value]:
    """`a` and the product of all rotations when a whole turn had nothing to rotate."""
    rows = a[0].shape[-2]
    turned = identity(builder, (*a[0].shape[:-2], rows, rows), a[0].dtype)
    values = [*a, turned, zeros_like(builder, turned)]
    if rows < 2 or not a[0].type.elements:
        return values
    rounds = _partners(rows)
    steps = len(rounds)
    limit = _epsilon(a[0]) * share

    def more(b: Builder, carried: Sequence[Value]) -> Value:
        left = compare(b, "LT", carried[0], scalar(b, MOST_TURNS * steps, I64))
        return b.one("and", (left, compare(b, "LT", carried[1], scalar(b, steps, I64))))

    def body(b: Builder, carried: Sequence[Value]) -> Sequence[Value]:
        number, quiet, *values = carried
        one, zero = scalar(b, 1, I64), scalar(b, 0, I64)
        place = b.one("remainder", (number, scalar(b, steps, I64)))
        order = row(b, b.constant(rounds), place)
        stack = values[0].shape[:-2]
        partner = broadcast_in_dim(b, order, (*stack, rows), (len(stack),))
        busy, found = _step(b, values, partner, measure, limit, two_sided)
        quiet = select(b, busy, zero, b.one("add", (quiet, one)))
        return [b.one("add", (number, one)), quiet, *found]

    zero = scalar(builder, 0, I64)
    return while_loop(builder, more, body, [zero, zero, *values])[2:]


def _picked(builder: Builder, x: Value, places: Value, axis: int) -> Formula:
    """x[..., i, places[i]] with the last dim, of size 1, left out."""
    found = take_along(builder, x, places, axis)
    return Formula(builder, reduce(builder, found, "add", (-1,)))


def _met(builder: Builder, x: Value, partner: Value) -> Formula:
    """Each row's partner."""
    places = broadcast_in_dim(builder, partner, x.shape, range(x.type.rank - 1))
    return Formula(builder, take_along(builder, x, places, -2))


def _step(
    b: Builder,
    values: Sequence[Value],
    partner: Value,
    measure: Measure,
    limit: float,
    two_sided: bool,
) -> tuple[Value, list[Value]]:
    """Whether anything was rotated, and the values after all pairs of a step."""
    sizes, product = measure(b, values, partner)
    numbers = Formula(b, iota(b, partner.shape, partner.type.rank - 1, partner.dtype))
    other = Formula(b, partner)
    low, alone = numbers.compare("LT", other), numbers.compare("EQ", other)

    def met(x: Formula) -> Formula:
        return Formula(b, take_along(b, x.value, partner, -1))

    # Both of a pair take the product as the lower one has it.
    re, im = (low.select(part, met(part)) for part in product)
    sizes = Formula(b, sizes.value)
    theirs = met(sizes)
    x, y = low.select(sizes, theirs), low.select(theirs, sizes)
    length = hypot(re, im)
    bound = (x.apply("abs").apply("sqrt") * limit) * y.apply("abs").apply("sqrt")
    still = Formula(b, b.one("or", (alone.value, length.compare("LE", bound).value)))
    ones = length.full(1.0)
    safe = still.select(ones, length)
    phase = still.select(ones, re / safe), still.drop(im / safe)
    theta = (y - x) / (safe * 2.0)
    size = 1.0 / (theta.apply("abs") + (theta * theta + 1.0).apply("sqrt"))
    t = still.drop(theta.compare("LT", 0.0).select(-size, size))
    c = 1.0 / (t * t + 1.0).apply("sqrt")
    s = t * c
    # The lower one becomes c x - s e^(i phi) y, the other one c y + s e^(-i phi) x.
    far = low.select(-s, s) * phase[0], -(s * phase[1])
    first, second = _rows(b, values[:2], partner, c, far), _rows(b, values[2:], partner, c, far)
    if two_sided:
        turned = flip(b, first[0].value), flip(b, (-first[1]).value)
        first = _rows(b, turned, partner, c, far)
        first = Formula(b, flip(b, first[0].value)), Formula(b, flip(b, (-first[1]).value))
        step = still.drop(t * length)
        exact = (sizes + low.select(-step, step)).value
        first = _settled(b, first, exact, partner, still)
    moving = b.one("not", (still.value,))
    busy = reduce(b, moving, "or")
    return busy, [part.value for part in (*first, *second)]


def _rows(
    b: Builder, x: Sequence[Value], partner: Value, own: Formula, far: Pair
) -> tuple[Formula, Formula]:
    """own[i] x[i] + far[i] x[partner of i] for each row i."""

    def spread(x: Formula) -> Formula:
        return Formula(b, expand_dims(b, x.value, (-1,)))

    here, scale = formulas(b, *x), spread(own)
    there = [_met(b, part, partner) for part in x]
    moved = times((spread(far[0]), spread(far[1])), (there[0], there[1]))
    return scale * here[0] + moved[0], scale * here[1] + moved[1]


def _settled(b: Builder, x: Pair, values: Value, partner: Value, still: Formula) -> Pair:
    """`x` with the diagonal as it must be, and zeros where rows and their partners met."""
    shape = x[0].value.shape
    columns = iota(b, shape, len(shape) - 1, partner.dtype)
    places = broadcast_in_dim(b, partner, shape, range(len(shape) - 1))
    moved = b.one("not", (broadcast_in_dim(b, still.value, shape, range(len(shape) - 1)),))
    gone = Formula(b, b.one("and", (compare(b, "EQ", columns, places), moved)))
    real, imaginary = (gone.drop(part).value for part in x)
    across = broadcast_in_dim(b, values, shape, range(len(shape) - 1))
    return (
        Formula(b, on_diagonal(b, across, real)),
        Formula(b, on_diagonal(b, zeros_like(b, imaginary), imaginary)),
    )
