"""Checkpoints as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tensorkiln.frontends.graph import logs
from tensorkiln.frontends.graph.files.checkpoint_state import latest_checkpoint

_WAIT = 1.0


def checkpoints_iterator(
    checkpoint_dir: str, min_interval_secs: float = 0, timeout: float | None = None,
    timeout_fn: Callable[[], bool] | None = None,
) -> Iterator[str]:  # fmt: skip
    """The path of each newest checkpoint of a folder, at most one every `min_interval_secs`.

    After `timeout` seconds without a new one it ends, or asks `timeout_fn` whether to end.
    """
    path: str | None = None
    while True:
        new = _next(checkpoint_dir, path, timeout)
        if new is None:
            if timeout_fn is None:
                logs.info("Timed-out waiting for a checkpoint.")
                return
            if timeout_fn():
                return
            continue
        path, start = new, time.time()
        yield path
        time.sleep(max(start + min_interval_secs - time.time(), 0))


def _next(folder: str, last: str | None, timeout: float | None) -> str | None:
    """The next checkpoint after `last`, None if none comes in time."""
    logs.info("Waiting for new checkpoint at %s", folder)
    end = None if timeout is None else time.time() + timeout
    while True:
        found = latest_checkpoint(folder)
        if found is not None and found != last:
            logs.info("Found new checkpoint at %s", found)
            return found
        if end is not None and time.time() + _WAIT > end:
            return None
        time.sleep(_WAIT)
