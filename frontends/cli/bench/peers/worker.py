"""Runs one other engine in this process, on requests that come as lines of JSON.

Started as a script with the engine's name, the numbers of the processors it may use, and folders;
modules `run_<engine>.py` there or beside it know the engines. Each has `VERSION` and `prepare(model path, inputs
by name, threads)`, which gives a `Prepared`.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# A turn starts with calls that are not counted: caches, clocks and sleeping threads.
_WARM_SHARE = 0.1


def timed(call: Callable[[], object], seconds: float, most: int) -> list[float]:
    """Seconds of single calls, after some that are not counted; at least one, for `seconds`."""
    begin = time.perf_counter()
    call()
    while time.perf_counter() < begin + _WARM_SHARE * seconds:
        call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < most and (not times or times[-1] + time.perf_counter() < end):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


class Worker:
    """Answers requests about one engine."""

    def __init__(self, engine: str) -> None:
        self._engine = importlib.import_module(f"run_{engine}")
        self._forms: dict[str, Callable[[], object]] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request, of the kind `do`."""
        if request["do"] == "version":
            return {"version": self._engine.VERSION}
        if request["do"] == "prepare":
            return self._prepare(request)
        if request["do"] == "time":
            call = self._forms[request["form"]]
            return {"times": timed(call, request["seconds"], request["most"])}
        self._release()
        return {}

    def _release(self) -> None:
        self._forms = {}
        gc.collect()

    def _prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        self._release()
        with np.load(request["inputs"]) as archive:
            inputs = {name: archive[name] for name in archive.files}
        start = time.perf_counter()
        prepared = self._engine.prepare(request["model"], inputs, request["threads"])
        prepared.call()
        seconds = time.perf_counter() - start
        found = list(map(np.asarray, prepared.outputs()))
        again = list(map(np.asarray, prepared.end_to_end()))
        if not all(map(np.array_equal, found, again)) and not all(map(_close, found, again)):
            raise ValueError("results differ between bound arrays and numpy arrays")
        self._forms = {"bound": prepared.call, "end_to_end": prepared.end_to_end}
        np.savez(request["outputs"], *found)
        return {"seconds": seconds}


def _close(a: Any, b: Any) -> bool:
    return bool(np.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True))


def serve(engine: str, processors: str, folders: Sequence[str]) -> None:
    """Answers until stdin ends; what engines print goes to stderr."""
    # Only the first before the standard library: the names of others may be in that, too.
    sys.path[:0] = folders[:1]
    sys.path += folders[1:]
    os.sched_setaffinity(0, [int(number) for number in processors.split(",")])
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker: Worker | None = None
    for line in sys.stdin:
        try:
            worker = worker or Worker(engine)
            answer = worker.answer(json.loads(line))
        except Exception as error:
            traceback.print_exc()
            first = " ".join(str(error).split())[:300]
            answer = {"error": f"{type(error).__name__}: {first}"}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], sys.argv[3:])
