"""What the benchmark finds: times of one row with one number of threads, as data and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from tensorkiln.runtime.errors import TensorKilnError

COMPILED = "compiled"
INTERPRETED = "interpreted"


@dataclass(frozen=True)
class Times:
    """Median and quartiles of single calls, in seconds."""

    median: float
    low: float
    high: float
    calls: int

    @staticmethod
    def of(samples: Sequence[float]) -> Times:
        """From single times."""
        low, median, high = np.percentile(samples, [25, 50, 75]).tolist()
        return Times(median, low, high, len(samples))


@dataclass(frozen=True)
class Point:
    """Where a row lies in a series that is drawn as a curve: time against `x`, named `axis`."""

    series: str
    axis: str
    x: float


@dataclass(frozen=True)
class KernelTime:
    """A kernel's part of the time of compiled code, and what it reaches of the ceilings."""

    kernel: str
    nodes: str
    seconds: float
    share: float
    peak: float
    bandwidth: float


@dataclass
class Result:
    """One row with one number of threads; all times in seconds.

    `engines` has "compiled", "interpreted", other targets of the compiler ("compiled x86-64-v3")
    and peers, called on bound arrays; `end_to_end` the same on numpy arrays, results new arrays.
    `ceilings` has the least times by kind of ceiling, `shares` what compiled code reached of each
    (the median over rounds of both times' ratio, which the machine's changes leave alone), `errors` what went wrong by engine,
    `differences` from the reference relative to its largest element, `prepare` what each took
    before the first call, `rest` how long an engine's process was busy after its turns, `missing`
    why an engine that was asked for is not there. `limit` is the time that compiled code should
    not exceed, where there is one.
    """

    name: str
    threads: int
    group: str = "models"
    flops: int = 0
    bytes: int = 0
    peak_bytes: int = 0
    point: Point | None = None
    limit: float | None = None
    engines: dict[str, Times] = field(default_factory=dict)
    end_to_end: dict[str, Times] = field(default_factory=dict)
    ceilings: dict[str, Times] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    prepare: dict[str, float] = field(default_factory=dict)
    rest: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    kernels: list[KernelTime] = field(default_factory=list)

    @property
    def compared(self) -> dict[str, Times]:
        """The times that engines are compared by: on bound arrays, but calls that cost nothing
        else on numpy arrays."""
        return self.end_to_end if self.group == "overhead" and self.end_to_end else self.engines

    @property
    def peers(self) -> dict[str, Times]:
        """The other engines' times."""
        return {name: times for name, times in self.compared.items() if is_peer(name)}

    @property
    def fastest(self) -> str | None:
        """The fastest peer, None if none was measured."""
        peers = self.peers
        return min(peers, key=lambda name: peers[name].median) if peers else None

    @property
    def ratio(self) -> float | None:
        """Time of compiled code over that of the fastest peer: below 1 is faster."""
        if self.fastest is None or COMPILED not in self.compared:
            return None
        return self.compared[COMPILED].median / self.compared[self.fastest].median

    @property
    def bound(self) -> tuple[str, float] | None:
        """The ceiling that binds and its time: arithmetic or the fastest way to move the bytes,
        whichever takes longer."""
        times = {n: t.median for n, t in self.ceilings.items() if " " not in n}
        moving = [(time, name) for name, time in times.items() if name != "fma_peak"]
        found = [min(moving)] if moving else []
        found += [(times["fma_peak"], "fma_peak")] if "fma_peak" in times else []
        return max(found)[::-1] if found else None

    @property
    def share(self) -> float | None:
        """The share of the ceiling that binds which compiled code reaches."""
        return None if self.bound is None else self.shares.get(self.bound[0])

    @property
    def wrong(self) -> bool:
        """Whether compiled code failed or differs from the reference."""
        return any(name.startswith(COMPILED) for name in self.errors)


def is_peer(engine: str) -> bool:
    """Whether an engine's name is not one of our own."""
    return not engine.startswith((COMPILED, INTERPRETED))


def to_json(result: Result) -> dict[str, object]:
    """The result as plain data, with what follows from it."""
    bound = result.bound
    return {
        **asdict(result),
        "fastest": result.fastest,
        "ratio": result.ratio,
        "bound": None if bound is None else bound[0],
        "share": result.share,
    }


def from_json(data: Mapping[str, Any]) -> Result:
    """The result of which `to_json` made `data`; KeyError or TypeError if it did not."""
    known = {field.name for field in fields(Result)}
    found: dict[str, Any] = {name: data[name] for name in known}
    for name in ("engines", "end_to_end", "ceilings"):
        found[name] = {key: Times(**times) for key, times in data[name].items()}
    found["kernels"] = [KernelTime(**kernel) for kernel in data["kernels"]]
    found["point"] = None if data["point"] is None else Point(**data["point"])
    return Result(**found)


def read_report(path: Path) -> tuple[dict[str, Any], list[Result]]:
    """Machine and versions, and the results, of a file written by `bench -o`.

    TensorKilnError if the file holds something else.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        results = [from_json(data) for data in report["results"]]
        return {"machine": dict(report["machine"]), "versions": dict(report["versions"])}, results
    except (ValueError, KeyError, TypeError) as error:
        raise TensorKilnError(f"{path} is no report of `tensorkiln bench`: {error!r}") from None
