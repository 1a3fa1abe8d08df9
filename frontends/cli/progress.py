"""Tells on stderr what long work is doing, where somebody is looking."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from tensorkiln.compiler.dump import Dump


class Progress:
    """One line that changes on a terminal; a line a step with `verbose`; else silent."""

    def __init__(self, verbose: bool) -> None:
        self._terminal = sys.stderr.isatty()
        self._verbose = verbose
        self._start = time.monotonic()
        self._step = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def step(self, text: str) -> None:
        """Tells what starts now."""
        self._step = text
        if self._verbose:
            elapsed = time.monotonic() - self._start
            print(f"[{elapsed:6.1f} s] {text}", file=sys.stderr, flush=True)
        else:
            self._show(text)

    def detail(self, text: str) -> None:
        """Tells how far the step is, on a terminal's line only."""
        if not self._verbose:
            self._show(f"{self._step}: {text}")

    def clear(self) -> None:
        """Removes the line from the terminal, so that something else can be printed."""
        if self._terminal and not self._verbose:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _show(self, text: str) -> None:
        if self._terminal:
            elapsed = time.monotonic() - self._start
            print(f"\r\x1b[K[{elapsed:.1f} s] {text}", end="", file=sys.stderr, flush=True)

    def watch(self, name: str) -> Dump:
        """The dump of a model's compilation, which tells of each stage."""
        return _WatchedDump(Dump.from_environment(name).folder, progress=self)


@dataclass
class _WatchedDump(Dump):
    """Tells of stages as they are done, whether or not they are written."""

    progress: Progress | None = None

    def write(self, stage: str, extension: str, text: Callable[[], str]) -> None:
        super().write(stage, extension, text)
        if self.progress is not None:
            self.progress.step(f"compiling: {stage.replace('_', ' ')} done")
