"""Loops over numbered tiles and panels, the last of which may be partial, and over their steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Expr
from tensorkiln.compiler.kernel.stmt import LoopKind
from tensorkiln.compiler.lower.body import Body


@dataclass(frozen=True, slots=True)
class Range:
    """`count` tiles or panels from number `first` on; `count` is at most `most`."""

    first: Expr
    count: Expr
    most: int


@contextmanager
def numbers(body: Body, among: Range, limit: int) -> Iterator[Expr]:
    """A loop over the numbers of a range, as far as they are below `limit`."""
    if among.first == ix.ZERO:
        with body.over(min(among.most, limit)) as var:
            yield var
        return
    stop = Binary("min", among.count, ix.sub(ix.const(limit), among.first))
    with body.between(ix.ZERO, stop, among.most) as var:
        yield ix.add(among.first, var)


@contextmanager
def edge(body: Body, among: Range, limit: int) -> Iterator[None]:
    """Statements for the partial tile number `limit`, run by the range that contains it."""
    if among.first == ix.ZERO:
        yield
        return
    inside = Binary("lt", ix.const(limit), ix.add(among.first, among.count))
    with body.when(inside):
        yield


def unrolled(body: Body, start: Expr, stop: Expr, most: int, copies: int) -> Iterator[Expr]:
    """The steps from `start` below `stop`, in order, at most `most` of them.

    `copies` of them are written out one after the other, which a second loop does for those that
    are left: yields in each of the two, where the caller emits the statements of a step.
    """
    if copies > 1 and most >= copies:
        turns = body.let(ix.floordiv(ix.sub(stop, start), copies))
        with (
            body.between(ix.ZERO, turns, most // copies) as turn,
            body.over(copies, LoopKind.UNROLLED) as copy,
        ):
            yield ix.add(start, ix.add(ix.mul(turn, copies), copy))
        start = body.let(ix.add(start, Binary("mul", turns, ix.const(copies))))
    with body.between(start, stop, most) as step:
        yield step


def rounded_up(a: Expr, b: Expr) -> Expr:
    """`a / b`, rounded up, of numbers that are at least 1."""
    divisor = Binary("max", b, ix.const(1))  # which says so
    return Binary("floordiv", ix.sub(ix.add(a, b), ix.const(1)), divisor)
