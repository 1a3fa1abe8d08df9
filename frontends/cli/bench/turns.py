"""Engines in turns, each at rest before the next one begins."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tensorkiln.frontends.cli.bench.engines import on_processors
from tensorkiln.frontends.cli.bench.peer import PeerError
from tensorkiln.frontends.cli.bench.rest import wait_for_rest
from tensorkiln.frontends.cli.bench.result import COMPILED, Times

# A turn of one engine; its calls follow each other, so caches are as warm as in a loop.
_TURN_SECONDS = 0.1
_TURN_CALLS = 300

# times(seconds, most) of one engine in one form
Turn = Callable[[float, int], list[float]]


@dataclass
class Contestant:
    """An engine in one form (`whole`: from numpy to numpy), its process, and its samples."""

    engine: str
    turn: Turn
    process: int = field(default_factory=os.getpid)
    whole: bool = False
    turns: list[list[float]] = field(default_factory=list)

    @property
    def times(self) -> Times:
        """What the samples of all turns say."""
        return Times.of([sample for turn in self.turns for sample in turn])

    def share_of(self, ceiling: Contestant) -> float:
        """The ceiling's time over this engine's, the median over rounds: a shared machine's speed
        changes from round to round, but little between two neighbours in a round."""
        pairs = zip(ceiling.turns, self.turns, strict=True)
        return float(np.median([np.median(bound) / np.median(own) for bound, own in pairs]))


def take_turns(
    contestants: Sequence[Contestant], rounds: int, processors: Sequence[int],
    started: Callable[[int], None],
) -> tuple[dict[str, str], dict[str, float]]:  # fmt: skip
    """One turn for each in every round, on `processors`; `started` is told of every round.

    Gives what went wrong, by engine, and the median of the seconds that each engine's process was
    busy after its turns.
    """
    for process in dict.fromkeys(c.process for c in contestants):
        wait_for_rest(process)
    failed: dict[str, str] = {}
    rests: dict[str, list[float]] = {}
    for number in range(rounds):
        started(number)
        for c in contestants:
            if c.engine in failed:
                continue
            try:
                with on_processors(processors):
                    c.turns.append(c.turn(_TURN_SECONDS, _TURN_CALLS))
            except PeerError as error:
                failed[c.engine] = str(error)
                continue
            rests.setdefault(c.engine, []).append(wait_for_rest(c.process))
    return failed, {name: float(np.median(seconds)) for name, seconds in rests.items()}


def in_order(engines: Sequence[Contestant], ceilings: Sequence[Contestant]) -> list[Contestant]:
    """Engines with the ceilings of each right behind it, so that both are of one moment; ceilings
    of none last."""
    found: list[Contestant] = []
    for engine in engines:
        found += [engine, *(bound for bound in ceilings if _bounds(bound, engine))]
    return [*found, *(bound for bound in ceilings if bound not in found)]


def shares(engines: Sequence[Contestant], ceilings: Sequence[Contestant]) -> dict[str, float]:
    """What compiled code reached of each ceiling, by the ceiling's name."""
    return {
        bound.engine: engine.share_of(bound)
        for bound in ceilings
        for engine in engines
        if _bounds(bound, engine)
    }


def _bounds(ceiling: Contestant, engine: Contestant) -> bool:
    """Whether a ceiling is of the target for which the engine was compiled, as their names say."""
    return not engine.whole and engine.engine.split() == [COMPILED, *ceiling.engine.split()[1:]]
