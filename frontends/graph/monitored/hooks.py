"""What a hook is: it sees every run of a monitored session, may add to it, and may end it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tensorkiln.frontends.graph.config import RunOptions
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.monitored.coordinator import Coordinator
from tensorkiln.frontends.graph.session import BaseSession


class SessionRunArgs(NamedTuple):
    """What a hook adds to a run, or what the caller asked for."""

    fetches: object
    feed_dict: Mapping[object, object] | None = None
    options: RunOptions | None = None


class SessionRunValues(NamedTuple):
    """What a run gave for what a hook added."""

    results: object
    options: RunOptions | None
    run_metadata: Proto | None


class SessionRunContext:
    """The run that a hook is asked about."""

    def __init__(self, original_args: SessionRunArgs, session: BaseSession) -> None:
        self._original_args, self._session = original_args, session
        self._stop_requested = False

    @property
    def original_args(self) -> SessionRunArgs:
        """What the caller asked for."""
        return self._original_args

    @property
    def session(self) -> BaseSession:
        """The session that runs."""
        return self._session

    @property
    def stop_requested(self) -> bool:
        """True if a hook has asked to stop."""
        return self._stop_requested

    def request_stop(self) -> None:
        """Ends the training after this run."""
        self._stop_requested = True


class SessionRunHook:
    """Methods that a monitored session calls; each does nothing unless a subclass says more."""

    def begin(self) -> None:
        """Before the graph is finalized: ops may be added."""

    def after_create_session(self, session: BaseSession, coord: Coordinator) -> None:
        """After the session was made and its variables have values."""

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Before each run: what to run beside, or None."""
        return None

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """After each run that raised nothing."""

    def end(self, session: BaseSession) -> None:
        """At the end, unless the training ended with an error."""
