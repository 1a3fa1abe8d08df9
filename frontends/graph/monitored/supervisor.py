"""Supervisor: an older way to run a training that saves, summarizes and restores by itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from tensorkiln.frontends.graph import logs
from tensorkiln.frontends.graph.config import ConfigProto, RunOptions
from tensorkiln.frontends.graph.files.saver import Saver
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.monitored.coordinator import Coordinator, LooperThread
from tensorkiln.frontends.graph.monitored.scaffold import Feeds, Scaffold
from tensorkiln.frontends.graph.monitored.session_manager import SessionManager
from tensorkiln.frontends.graph.monitored.sessions import start_queue_runners_of
from tensorkiln.frontends.graph.schedules import get_global_step
from tensorkiln.frontends.graph.session import BaseSession, Session
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.summary.proto_summary import SessionLog, Summary
from tensorkiln.frontends.graph.summary.writer import FileWriter

USE_DEFAULT = 0
"""Stands for an argument that was not given, where None means that there is none."""


class Supervisor:
    """Makes sessions that are initialized or restored from `logdir`, and threads that save a
    checkpoint there every `save_model_secs` and summaries every `save_summaries_secs`."""

    USE_DEFAULT = USE_DEFAULT

    def __init__(
        self,
        graph: Graph | None = None,
        ready_op: object = USE_DEFAULT,
        ready_for_local_init_op: object = USE_DEFAULT,
        is_chief: bool = True,
        init_op: object = USE_DEFAULT,
        init_feed_dict: Feeds | None = None,
        local_init_op: object = USE_DEFAULT,
        logdir: str | None = None,
        summary_op: object = USE_DEFAULT,
        saver: Saver | int | None = USE_DEFAULT,
        global_step: object = USE_DEFAULT,
        save_summaries_secs: float = 120,
        save_model_secs: float = 600,
        recovery_wait_secs: float = 30,
        stop_grace_secs: float = 120,
        checkpoint_basename: str = "model.ckpt",
        session_manager: SessionManager | None = None,
        summary_writer: FileWriter | int | None = USE_DEFAULT,
        init_fn: Callable[[BaseSession], object] | None = None,
        local_init_run_options: RunOptions | None = None,
    ) -> None:
        self._graph = graph or get_default_graph()
        self.is_chief, self.coord = is_chief, Coordinator()
        self.save_summaries_secs, self.save_model_secs = save_summaries_secs, save_model_secs
        self._grace, self._logdir = stop_grace_secs, logdir if is_chief else None
        self.init_feed_dict, self._init_fn = init_feed_dict, init_fn
        self._looper_threads: list[LooperThread] = []
        with self._graph.as_default():
            scaffold = Scaffold(
                _given(init_op), None, None, _given(ready_op), _given(ready_for_local_init_op),
                _given(local_init_op), _given(summary_op),
                saver if isinstance(saver, Saver) else None,
            ).finalize()  # fmt: skip
            step = get_global_step(self._graph)
        self.init_op = None if init_op is None else scaffold.init_op
        self.ready_op = None if ready_op is None else scaffold.ready_op
        self.ready_for_local_init_op = (
            None if ready_for_local_init_op is None else scaffold.ready_for_local_init_op
        )
        self.local_init_op = None if local_init_op is None else scaffold.local_init_op
        self.summary_op = None if summary_op is None else scaffold.summary_op
        self.saver = None if saver is None else scaffold.saver
        self.global_step = step if _is_default(global_step) else global_step
        self.save_path = None
        self.summary_writer: FileWriter | None = None
        if self._logdir:
            self.save_path = os.path.join(self._logdir, checkpoint_basename)
        if isinstance(summary_writer, FileWriter):
            self.summary_writer = summary_writer
        elif self._logdir and summary_writer is not None:
            self.summary_writer = FileWriter(self._logdir)
        local = self.ready_for_local_init_op if self.local_init_op is not None else None
        self.session_manager = session_manager or SessionManager(
            self.local_init_op, self.ready_op, local, self._graph, recovery_wait_secs,
            local_init_run_options,
        )  # fmt: skip

    # -- sessions --------------------------------------------------------------------------

    def prepare_or_wait_for_session(
        self, master: str = "", config: ConfigProto | None = None,
        wait_for_checkpoint: bool = False, max_wait_secs: float = 7200,
        start_standard_services: bool = True,
    ) -> Session:  # fmt: skip
        """A session that is ready: made by the chief, awaited by others."""
        self.coord.clear_stop()
        if self.is_chief:
            session = self.session_manager.prepare_session(
                master, self.init_op, self.saver, self._logdir, None, wait_for_checkpoint,
                max_wait_secs, config, self.init_feed_dict, self._init_fn,
            )  # fmt: skip
            if self.summary_writer is not None:
                self.summary_writer.add_graph(self._graph)
                if self.global_step is not None:
                    log = SessionLog(status=SessionLog.START)
                    self.summary_writer.add_session_log(log, self._step(session))
            if start_standard_services:
                logs.info("Starting standard services.")
                self.start_standard_services(session)
        else:
            session = self.session_manager.wait_for_session(master, config, max_wait_secs)
        if start_standard_services:
            logs.info("Starting queue runners.")
            self.start_queue_runners(session)
        return session

    @contextmanager
    def managed_session(
        self, master: str = "", config: ConfigProto | None = None,
        start_standard_services: bool = True, close_summary_writer: bool = True,
    ) -> Iterator[Session]:  # fmt: skip
        """A session for a block; what is raised inside stops all threads and is raised again,
        except the end of the data."""
        session: Session | None = None
        try:
            session = self.prepare_or_wait_for_session(
                master, config, start_standard_services=start_standard_services
            )
            yield session
        except Exception as error:  # the coordinator raises it when the threads have stopped
            self.request_stop(error)
        finally:
            try:
                self.stop(close_summary_writer=close_summary_writer)
            finally:
                if session is not None:
                    session.close()

    # -- threads ---------------------------------------------------------------------------

    def start_standard_services(self, sess: Session) -> list[LooperThread]:
        """Starts the threads that write summaries, speed and checkpoints."""
        if not self.is_chief:
            raise RuntimeError("Only chief supervisor can start standard services.")
        if not self._logdir:
            logs.warn("Standard services need a 'logdir' passed to the SessionManager")
            return []
        started: list[LooperThread] = []
        if self.global_step is not None and self.summary_writer and self.save_summaries_secs:
            started.append(self.loop(self.save_summaries_secs, _Speed(self, sess).report))
        if self.summary_op is not None and self.summary_writer and self.save_summaries_secs:
            started.append(self.loop(self.save_summaries_secs, self._summarize, (sess,)))
        if self.saver is not None and self.save_model_secs:
            started.append(self.loop(self.save_model_secs, self._save, (sess,)))
        return started

    def loop(
        self, timer_interval_secs: float | None, target: Callable[..., object],
        args: Sequence[object] | None = None, kwargs: Mapping[str, object] | None = None,
    ) -> LooperThread:  # fmt: skip
        """A thread that calls a function every so many seconds until all stop."""
        made = LooperThread(self.coord, timer_interval_secs, target, args, kwargs)
        made.start()
        self._looper_threads.append(made)
        return made

    def start_queue_runners(self, sess: Session, queue_runners: object = None) -> None:
        """Starts the threads of the queue runners that the graph lists."""
        start_queue_runners_of(sess, self.coord)

    def _save(self, session: Session) -> None:
        assert self.saver is not None
        assert self.save_path is not None
        logs.info("Saving checkpoint to path %s", self.save_path)
        step = None if self.global_step is None else self._step(session)
        self.saver.save(session, self.save_path, step)
        if self.summary_writer is not None and step is not None:
            log = SessionLog(status=SessionLog.CHECKPOINT, checkpoint_path=self.save_path)
            self.summary_writer.add_session_log(log, step)

    def _summarize(self, session: Session) -> None:
        self.summary_computed(session, session.run(self.summary_op))

    def _step(self, session: BaseSession) -> int:
        return int(np.asarray(session.run(self.global_step)))

    def summary_computed(
        self, sess: BaseSession, summary: object, global_step: int | None = None
    ) -> None:
        """Writes a summary that the program has computed; RuntimeError without a writer."""
        if self.summary_writer is None:
            raise RuntimeError("Writing a summary requires a summary writer.")
        if global_step is None and self.global_step is not None:
            global_step = self._step(sess)
        self.summary_writer.add_summary(summary, global_step)

    # -- stopping --------------------------------------------------------------------------

    def request_stop(self, ex: BaseException | None = None) -> None:
        """Asks all threads to stop."""
        self.coord.request_stop(ex)

    def should_stop(self) -> bool:
        """True once a stop was asked for."""
        return self.coord.should_stop()

    def stop_on_exception(self) -> object:
        """A context that reports what is raised inside, and stops."""
        return self.coord.stop_on_exception()

    def wait_for_stop(self) -> None:
        """Waits until a stop was asked for."""
        self.coord.wait_for_stop()

    def stop(
        self, threads: Sequence[LooperThread] | None = None, close_summary_writer: bool = True,
        ignore_live_threads: bool = False,
    ) -> None:  # fmt: skip
        """Stops all threads, raises what one of them reported, and closes the writer."""
        self.coord.request_stop()
        try:
            self.coord.join(threads or self._looper_threads, self._grace, ignore_live_threads)
        finally:
            if close_summary_writer and self.summary_writer is not None:
                self.summary_writer.add_session_log(SessionLog(status=SessionLog.STOP))
                self.summary_writer.close()

    # The names of version 0.
    PrepareSession, Loop = prepare_or_wait_for_session, loop
    StartQueueRunners, StartStandardServices = start_queue_runners, start_standard_services
    RequestStop, ShouldStop, Stop = request_stop, should_stop, stop
    StopOnException, SummaryComputed, WaitForStop = (
        stop_on_exception,
        summary_computed,
        wait_for_stop,
    )


class _Speed:
    """Reports how many steps are made in a second."""

    def __init__(self, supervisor: Supervisor, session: Session) -> None:
        self._supervisor, self._session = supervisor, session
        self._time, self._step = time.time(), -1

    def report(self) -> None:
        """Logs and writes the speed since the last report."""
        step, now = self._supervisor._step(self._session), time.time()
        if self._step >= 0:
            rate = (step - self._step) / max(now - self._time, 1e-9)
            summary = Summary()
            summary.value.add(tag="global_step/sec", simple_value=rate)
            assert self._supervisor.summary_writer is not None
            self._supervisor.summary_writer.add_summary(summary, step)
            logs.info("global_step/sec: %g", rate)
        self._time, self._step = now, step


def _is_default(value: object) -> bool:
    return isinstance(value, int) and value == USE_DEFAULT


def _given(value: object) -> object:
    """An op that the program gave, None where it did not."""
    return None if _is_default(value) else value


def basic_train_loop(
    supervisor: Supervisor, train_step_fn: Callable[..., object],
    args: Sequence[object] | None = None, kwargs: Mapping[str, object] | None = None,
    master: str = "",
) -> None:  # fmt: skip
    """Calls `train_step_fn(session, *args, **kwargs)` in a managed session until it stops."""
    with supervisor.managed_session(master) as session:
        while not supervisor.should_stop():
            train_step_fn(session, *(args or ()), **(kwargs or {}))
