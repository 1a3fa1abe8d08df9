"""Which of a saver's checkpoints are kept: the latest, and one every so many hours."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tensorkiln.frontends.graph.files.checkpoint_state import (
    get_checkpoint_mtimes,
    remove_checkpoint,
)


class Retention:
    """The checkpoints written so far with their times, oldest first."""

    def __init__(self, max_to_keep: int, keep_every_n_hours: float) -> None:
        self.max_to_keep = max_to_keep
        self.interval = keep_every_n_hours * 3600
        self.checkpoints: list[tuple[str, float]] = []
        self._next_kept = time.time() + self.interval

    def record(self, path: str) -> None:
        """Notes a checkpoint; one of the same path is replaced.  If all are kept none is noted."""
        if not self.max_to_keep:
            return
        self.checkpoints = [item for item in self.checkpoints if item[0] != path]
        self.checkpoints.append((path, time.time()))

    def take_surplus(self) -> list[str]:
        """Forgets the oldest checkpoints beyond `max_to_keep`; the result are those to delete."""
        if not self.max_to_keep:
            return []
        surplus = self.checkpoints[: -self.max_to_keep]
        self.checkpoints = self.checkpoints[-self.max_to_keep :]
        deleted = []
        for path, written in surplus:
            if written > self._next_kept:
                self._next_kept += self.interval
            else:
                deleted.append(path)
        return deleted

    def recover(self, paths: Sequence[str]) -> None:
        """Goes on from checkpoints that an earlier run has left."""
        existing = [(path, time) for path in paths for time in get_checkpoint_mtimes([path])]
        self.checkpoints = existing


def delete_all(paths: Sequence[str], meta_graph_suffix: str) -> None:
    """Deletes checkpoints with their meta graphs."""
    for path in paths:
        remove_checkpoint(path, meta_graph_suffix)
