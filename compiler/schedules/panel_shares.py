"""Shares of a panel that tiles fetch, where only the call tells how many tiles there are."""

from __future__ import annotations

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Expr, Select
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.schedules.numbered import Range, rounded_up

RUN = 2  # steps of depth between which one tile asks for lines


def shares_of_call(
    body: Body, rows: Range, tiles: Expr, depth: int, longest: int, soon: int
) -> tuple[Expr, Expr, Expr, Expr]:
    """The rows of a panel that a tile fetches, the steps of a run between which it does so, how
    many in each, and where a tile that is alone begins.

    The fewer of a call's `tiles` are among `rows`, the shorter are the runs, `longest` at most. One
    alone does not fetch the next panel but what it needs `soon`: panels lie one behind the other.
    """
    left = ix.sub(tiles, rows.first)
    there = body.let(Binary("max", Binary("min", rows.count, left), ix.const(1)))
    share = body.let(rounded_up(ix.const(depth), there))
    run = body.let(Binary("min", ix.const(longest), ix.mul(there, RUN)))
    every = ix.add(Binary("mul", share, run), ix.const(depth - 1))
    pace = body.let(ix.floordiv(every, depth))
    alone = Binary("lt", there, ix.const(2))
    back = body.let(Select(alone, ix.const(soon - depth), ix.ZERO)) if soon != depth else ix.ZERO
    return share, run, pace, back
