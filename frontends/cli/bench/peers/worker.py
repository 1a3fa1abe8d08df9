"""Runs one other engine in this process, on requests that come as lines of JSON.

Started as a script with the engine's name; modules beside it, `run_<engine>.py`, know the engines.
Each has `VERSION` and `prepare(model path, inputs by name, threads)`, which gives a function that
runs the model once on bound inputs, and one that gives its outputs.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np


def timed(call: Callable[[], object], seconds: float, most: int) -> list[float]:
    """Seconds of single calls, after one that is not counted; at least one, for `seconds`."""
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
        self._call: Callable[[], object] | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request, of the kind `do`."""
        if request["do"] == "version":
            return {"version": self._engine.VERSION}
        if request["do"] == "prepare":
            return self._prepare(request)
        if request["do"] == "time":
            assert self._call is not None
            return {"times": timed(self._call, request["seconds"], request["most"])}
        self._call = None
        return {}

    def _prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        self._call = None
        with np.load(request["inputs"]) as archive:
            inputs = {name: archive[name] for name in archive.files}
        start = time.perf_counter()
        call, outputs = self._engine.prepare(request["model"], inputs, request["threads"])
        call()
        seconds = time.perf_counter() - start
        self._call = call
        found = outputs()
        np.savez(request["outputs"], *map(np.asarray, found))
        return {"seconds": seconds}


def serve(engine: str) -> None:
    """Answers until stdin ends; what engines print goes to stderr."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker: Worker | None = None
    for line in sys.stdin:
        try:
            worker = worker or Worker(engine)
            answer = worker.answer(json.loads(line))
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
