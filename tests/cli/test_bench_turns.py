"""Turns of engines and ceilings: their order, and shares on a machine whose speed changes."""

from __future__ import annotations

from tensorkiln.frontends.cli.bench.turns import Contestant, in_order, shares, take_turns


def contestant(name: str, log: list[str], *seconds: float, whole: bool = False) -> Contestant:
    left = list(seconds)

    def turn(_: float, __: int) -> list[float]:
        log.append(name)
        return [left.pop(0)] * 3

    return Contestant(name, turn, whole=whole)


def test_shares_are_of_the_same_round() -> None:
    log: list[str] = []
    # The machine is at half speed in the second round and at a third in the third.
    engines = [
        contestant("compiled", log, 10.0, 20.0, 30.0),
        contestant("compiled", log, 50.0, 50.0, 50.0, whole=True),
        contestant("compiled x86-64-v3", log, 16.0, 32.0, 32.0),
        contestant("jax", log, 1.0, 1.0, 1.0),
    ]
    bounds = [
        contestant("fma_peak", log, 8.0, 16.0, 27.0),
        contestant("fma_peak x86-64-v3", log, 12.0, 24.0, 8.0),
        contestant("fma_peak x86-64-v2", log, 1.0, 1.0, 1.0),
    ]
    failed, _ = take_turns(in_order(engines, bounds), 3, [0], lambda _: None)
    assert not failed
    once = ["compiled", "fma_peak", "compiled", "compiled x86-64-v3", "fma_peak x86-64-v3", "jax"]
    assert log == [*once, "fma_peak x86-64-v2"] * 3
    assert shares(engines, bounds) == {"fma_peak": 0.8, "fma_peak x86-64-v3": 0.75}
    assert engines[0].times.median == 20.0
    assert engines[0].times.calls == 9
