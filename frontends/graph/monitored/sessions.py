"""Monitored sessions: hooks take part in every run and decide when it ends."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import cast

from tensorkiln.frontends.graph.config import ConfigProto, RunOptions
from tensorkiln.frontends.graph.errors import AbortedError, OutOfRangeError, UnavailableError
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.graph_keys import GraphKeys
from tensorkiln.frontends.graph.monitored.coordinator import Coordinator
from tensorkiln.frontends.graph.monitored.creators import ChiefSessionCreator, SessionCreator
from tensorkiln.frontends.graph.monitored.hooks import (
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from tensorkiln.frontends.graph.monitored.scaffold import Scaffold
from tensorkiln.frontends.graph.proto_run import RunMetadata
from tensorkiln.frontends.graph.session import Session
from tensorkiln.frontends.graph.stack import get_default_graph

_ENDS = (OutOfRangeError, StopIteration)
_LOST = (AbortedError, UnavailableError)


class StepContext:
    """What a step function of `run_step_fn` works with."""

    def __init__(self, session: Session, run_with_hooks: Callable[..., object]) -> None:
        self._session, self._run = session, run_with_hooks

    @property
    def session(self) -> Session:
        """The session itself: its runs are no steps, hooks do not see them."""
        return self._session

    def run_with_hooks(self, *args: object, **kwargs: object) -> object:
        """A run that hooks see."""
        return self._run(*args, **kwargs)

    def request_stop(self) -> None:
        """Ends the training."""
        raise StopIteration("step_fn has requested the iterations to stop.")


class _Monitored:
    """A session, its hooks and its coordinator."""

    StepContext = StepContext

    def __init__(
        self, session_creator: SessionCreator | None, hooks: Sequence[SessionRunHook] | None,
        should_recover: bool, stop_grace_period_secs: float = 120,
    ) -> None:  # fmt: skip
        self._graph = get_default_graph()
        self._was_final = self._graph.finalized
        self._hooks = list(hooks or ())
        self._recovers, self._grace = should_recover, stop_grace_period_secs
        self._creator = session_creator or ChiefSessionCreator()
        for hook in self._hooks:
            hook.begin()
        self._session: Session | None = None
        self._stopped = self._closed = False
        self._open()

    def _open(self) -> None:
        """Makes the session and starts what works beside it; again after a lost connection."""
        while True:
            try:
                session = self._creator.create_session()
                self._coord = Coordinator(clean_stop_exception_types=())
                start_queue_runners_of(session, self._coord)
                for hook in self._hooks:
                    hook.after_create_session(session, self._coord)
                self._session = session
                return
            except _LOST:
                if not self._recovers:
                    raise

    @property
    def graph(self) -> Graph | None:
        """The graph that runs, None once closed."""
        return None if self._session is None else self._session.graph

    def should_stop(self) -> bool:
        """True once a hook, an end of data, an error or `close` has ended the training."""
        return self._session is None or self._stopped or self._coord.should_stop()

    def run(
        self, fetches: object, feed_dict: Mapping[object, object] | None = None,
        options: RunOptions | None = None, run_metadata: Proto | None = None,
    ) -> object:  # fmt: skip
        """The values of `fetches`, as of Session.run, in a run that hooks see.

        RuntimeError once the training was ended.
        """
        while True:
            try:
                return self._run_once(fetches, feed_dict, options, run_metadata)
            except _LOST:
                if not self._recovers:
                    raise
                self._leave()
                self._open()

    def _run_once(
        self, fetches: object, feed_dict: Mapping[object, object] | None,
        options: RunOptions | None, run_metadata: Proto | None,
    ) -> object:  # fmt: skip
        session = self._usable()
        if self.should_stop():
            self._coord.raise_requested_exception()
            raise RuntimeError("Run called even after should_stop requested.")
        wanted: dict[object, object] = {"caller": fetches}
        context = SessionRunContext(SessionRunArgs(fetches, feed_dict), session)
        feeds = dict(feed_dict or {})
        merged = RunOptions()
        if options is not None:
            merged.CopyFrom(options)
        asked: list[SessionRunHook] = []
        for hook in self._hooks:
            request = hook.before_run(context)
            if request is None:
                continue
            asked.append(hook)
            if request.fetches is not None:
                wanted[hook] = request.fetches
            if request.feed_dict:
                _add_feeds(feeds, request.feed_dict)
            if request.options is not None:
                merged.trace_level = max(merged.trace_level, request.options.trace_level)
                merged.timeout_in_ms = max(merged.timeout_in_ms, request.options.timeout_in_ms)
        # Options make a run slower, so it gets none unless somebody wants them.
        special = merged if options is not None or merged.ByteSize() else None
        metadata = run_metadata if run_metadata is not None or special is None else RunMetadata()
        try:
            found = session.run(wanted, feeds, special, metadata)
        except Exception:
            self._coord.raise_requested_exception()
            raise
        assert isinstance(found, dict)
        for hook in self._hooks:
            hook.after_run(context, SessionRunValues(found.get(hook), merged, metadata))
        self._stopped = self._stopped or context.stop_requested
        return found["caller"]

    def run_step_fn(self, step_fn: Callable[..., object]) -> object:
        """What `step_fn(step_context)` gives, run as one step; its StopIteration ends the loop."""
        names = list(inspect.signature(step_fn).parameters)
        if names != ["step_context"]:
            raise ValueError(
                "`step_fn` may either have one `step_context` argument, or `self` and "
                f"`step_context` arguments if it's an instance method. Got {names} instead."
            )
        return step_fn(StepContext(self._usable(), self.run))

    def _usable(self) -> Session:
        if self._session is None:
            raise RuntimeError("Session is already closed.")
        return self._session

    def close(self) -> None:
        """Lets the hooks end, stops all threads and frees the session."""
        self._finish(None)

    def _finish(self, kind: type[BaseException] | None) -> None:
        if self._session is None:
            if self._closed:
                raise RuntimeError("Session is already closed.")
            return
        try:
            if kind is None or issubclass(kind, _ENDS):
                for hook in self._hooks:
                    hook.end(self._session)
        finally:
            self._closed = True
            try:
                self._leave()
            finally:
                if not self._was_final:
                    self._graph.unfinalize()

    def _leave(self) -> None:
        session, self._session = self._session, None
        self._coord.request_stop()
        try:
            self._coord.join(stop_grace_period_secs=self._grace, ignore_live_threads=True)
        finally:
            if session is not None:
                session.close()

    def __enter__(self) -> _Monitored:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:  # fmt: skip
        ended = kind is not None and issubclass(kind, _ENDS)
        self._finish(None if ended else kind)
        # The end of the data is how a training loop ends, and no error.
        return ended


def _add_feeds(feeds: dict[object, object], more: Mapping[object, object]) -> None:
    both = [key for key in more if key in feeds]
    if both:
        raise RuntimeError(
            f"Same tensor is fed by two hooks, or by a hook and the caller. Conflict(s): {both}"
        )
    feeds.update(more)


def start_queue_runners_of(session: Session, coord: Coordinator) -> None:
    """Starts the threads of the queue runners that the graph lists."""
    for runner in session.graph.get_collection(GraphKeys.QUEUE_RUNNERS):
        create = cast("Callable[..., list[threading.Thread]]", runner.create_threads)  # type: ignore[attr-defined]
        create(session, coord=coord, daemon=True, start=True)


class MonitoredSession(_Monitored):
    """A session with hooks: initialized or restored, and made anew if its connection is lost.

    As a context manager it is closed at the end; the end of the input data ends the block without
    an error.
    """

    def __init__(
        self, session_creator: SessionCreator | None = None,
        hooks: Sequence[SessionRunHook] | None = None, stop_grace_period_secs: float = 120,
    ) -> None:  # fmt: skip
        super().__init__(session_creator, hooks, True, stop_grace_period_secs)


class SingularMonitoredSession(_Monitored):
    """A session with hooks, of one worker and without recovery; `raw_session` gives the Session."""

    def __init__(
        self, hooks: Sequence[SessionRunHook] | None = None, scaffold: Scaffold | None = None,
        master: str = "", config: ConfigProto | None = None, checkpoint_dir: str | None = None,
        stop_grace_period_secs: float = 120, checkpoint_filename_with_path: str | None = None,
    ) -> None:  # fmt: skip
        creator = ChiefSessionCreator(
            scaffold, master, config, checkpoint_dir, checkpoint_filename_with_path
        )
        super().__init__(creator, hooks, False, stop_grace_period_secs)

    def raw_session(self) -> Session | None:
        """The session itself, None once closed."""
        return self._session
