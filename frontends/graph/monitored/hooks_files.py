"""Hooks that write files: checkpoints, summaries, timelines."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tensorkiln.frontends.graph import logs
from tensorkiln.frontends.graph.config import RunOptions
from tensorkiln.frontends.graph.files.meta_graph import export_meta_graph
from tensorkiln.frontends.graph.files.saver import Saver
from tensorkiln.frontends.graph.graph_keys import GraphKeys
from tensorkiln.frontends.graph.monitored.coordinator import Coordinator
from tensorkiln.frontends.graph.monitored.hooks import (
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from tensorkiln.frontends.graph.monitored.hooks_steps import counter_of_steps, integer
from tensorkiln.frontends.graph.monitored.scaffold import Scaffold
from tensorkiln.frontends.graph.monitored.timer import SecondOrStepTimer
from tensorkiln.frontends.graph.session import BaseSession
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.summary.proto_summary import SessionLog
from tensorkiln.frontends.graph.summary.writer import FileWriter, FileWriterCache
from tensorkiln.frontends.graph.trace import Timeline


class CheckpointSaverListener:
    """Methods that CheckpointSaverHook calls around each checkpoint."""

    def begin(self) -> None:
        """Before the graph is finalized."""

    def before_save(self, session: BaseSession, global_step_value: int) -> None:
        """Before a checkpoint is written."""

    def after_save(self, session: BaseSession, global_step_value: int) -> bool | None:
        """After a checkpoint was written; true ends the training."""

    def end(self, session: BaseSession, global_step_value: int) -> None:
        """After the last checkpoint."""


class CheckpointSaverHook(SessionRunHook):
    """Writes a checkpoint at the start, every so many steps or seconds, and at the end."""

    def __init__(
        self, checkpoint_dir: str, save_secs: float | None = None, save_steps: int | None = None,
        saver: Saver | None = None, checkpoint_basename: str = "model.ckpt",
        scaffold: Scaffold | None = None, listeners: Sequence[CheckpointSaverListener] | None = None,
        save_graph_def: bool = True,
    ) -> None:  # fmt: skip
        logs.info("Create CheckpointSaverHook.")
        if saver is not None and scaffold is not None:
            raise ValueError("You cannot provide both saver and scaffold.")
        self._saver, self._scaffold = saver, scaffold
        self._folder = checkpoint_dir
        self._path = os.path.join(checkpoint_dir, checkpoint_basename)
        self._timer = SecondOrStepTimer(save_secs, save_steps)
        self._listeners = list(listeners or ())
        self._save_graph_def = save_graph_def

    def begin(self) -> None:
        """See SessionRunHook."""
        self._writer = FileWriterCache.get(self._folder)
        self._step = counter_of_steps("CheckpointSaverHook")
        for listener in self._listeners:
            listener.begin()

    def after_create_session(self, session: BaseSession, coord: Coordinator) -> None:
        """See SessionRunHook."""
        step = integer(session.run(self._step))
        graph = get_default_graph()
        if self._save_graph_def:
            os.makedirs(self._folder, exist_ok=True)
            definition = graph.as_graph_def(add_shapes=True)
            with open(os.path.join(self._folder, "graph.pbtxt"), "w", encoding="utf-8") as file:
                file.write(str(definition))
        saver_def = self._chosen_saver().saver_def
        self._writer.add_graph(graph)
        self._writer.add_meta_graph(export_meta_graph(saver_def=saver_def, graph=graph))
        self._save(session, step)
        self._timer.update_last_triggered_step(step)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """See SessionRunHook."""
        return SessionRunArgs(self._step)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """See SessionRunHook."""
        if not self._timer.should_trigger_for_step(integer(run_values.results) + 1):
            return
        step = integer(run_context.session.run(self._step))
        if self._timer.should_trigger_for_step(step):
            self._timer.update_last_triggered_step(step)
            if self._save(run_context.session, step):
                run_context.request_stop()

    def end(self, session: BaseSession) -> None:
        """See SessionRunHook."""
        last = integer(session.run(self._step))
        if last != self._timer.last_triggered_step():
            self._save(session, last)
        for listener in self._listeners:
            listener.end(session, last)
        self._writer.flush()

    def _save(self, session: BaseSession, step: int) -> bool:
        """Writes a checkpoint; true if a listener wants to stop."""
        logs.info("Calling checkpoint listeners before saving checkpoint %d...", step)
        for listener in self._listeners:
            listener.before_save(session, step)
        logs.info("Saving checkpoints for %d into %s.", step, self._path)
        self._chosen_saver().save(
            session, self._path, global_step=step, write_meta_graph=self._save_graph_def
        )
        log = SessionLog(status=SessionLog.CHECKPOINT, checkpoint_path=self._path)
        self._writer.add_session_log(log, step)
        logs.info("Calling checkpoint listeners after saving checkpoint %d...", step)
        stops = [listener for listener in self._listeners if listener.after_save(session, step)]
        for listener in stops:
            logs.info(
                "A CheckpointSaverListener requested that training be stopped. listener: %s",
                listener,
            )
        return bool(stops)

    def _chosen_saver(self) -> Saver:
        if self._saver is None and self._scaffold is not None:
            self._saver = self._scaffold.saver
        if self._saver is None:
            self._saver = saver_of_graph()
        return self._saver


def saver_of_graph() -> Saver:
    """The only saver in the graph's collection of savers; RuntimeError else."""
    found = get_default_graph().get_collection(GraphKeys.SAVERS)
    if not found:
        raise RuntimeError(
            f"No items in collection {GraphKeys.SAVERS}. Please add a saver to the collection or "
            "provide a saver or scaffold."
        )
    if len(found) > 1:
        raise RuntimeError(
            f"More than one item in collection {GraphKeys.SAVERS}. Please indicate which one to "
            "use by passing it to the constructor."
        )
    assert isinstance(found[0], Saver)
    return found[0]


class SummarySaverHook(SessionRunHook):
    """Writes summaries every so many steps or seconds."""

    def __init__(
        self, save_steps: int | None = None, save_secs: float | None = None,
        output_dir: str | None = None, summary_writer: FileWriter | None = None,
        scaffold: Scaffold | None = None, summary_op: object = None,
    ) -> None:  # fmt: skip
        if (scaffold is None) == (summary_op is None):
            raise ValueError("Exactly one of scaffold or summary_op must be provided.")
        self._summary_op, self._scaffold = summary_op, scaffold
        self._writer, self._folder = summary_writer, output_dir
        self._timer = SecondOrStepTimer(save_secs, save_steps)

    def begin(self) -> None:
        """See SessionRunHook."""
        if self._writer is None and self._folder:
            self._writer = FileWriterCache.get(self._folder)
        self._next: int | None = None
        self._step = counter_of_steps("SummarySaverHook")

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """See SessionRunHook."""
        self._due = self._next is None or self._timer.should_trigger_for_step(self._next)
        fetches: dict[str, object] = {"global_step": self._step}
        summaries = self._summaries() if self._due else None
        if summaries is not None:
            fetches["summary"] = summaries
        return SessionRunArgs(fetches)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """See SessionRunHook."""
        found = run_values.results
        assert isinstance(found, dict)
        if self._writer is None:
            return
        step = integer(found["global_step"])
        if self._next is None or self._due:
            step = integer(run_context.session.run(self._step))
        if self._next is None:
            self._writer.add_session_log(SessionLog(status=SessionLog.START), step)
        if self._due:
            self._timer.update_last_triggered_step(step)
            for summary in found.get("summary", ()):
                self._writer.add_summary(summary, step)
        self._next = step + 1

    def end(self, session: BaseSession) -> None:
        """See SessionRunHook."""
        if self._writer is not None:
            self._writer.flush()

    def _summaries(self) -> list[object] | None:
        """What gives summaries."""
        given = self._summary_op
        if given is None and self._scaffold is not None:
            given = self._scaffold.summary_op
        if given is None:
            return None
        return list(given) if isinstance(given, list | tuple) else [given]


class ProfilerHook(SessionRunHook):
    """Writes a timeline (Chrome's format) every so many steps or seconds."""

    def __init__(
        self, save_steps: int | None = None, save_secs: float | None = None, output_dir: str = "",
        show_dataflow: bool = True, show_memory: bool = False,
    ) -> None:  # fmt: skip
        self._path = os.path.join(output_dir, "timeline-{}.json")
        self._timer = SecondOrStepTimer(save_secs, save_steps)
        self._shows = show_dataflow, show_memory

    def begin(self) -> None:
        """See SessionRunHook."""
        self._next: int | None = None
        self._step = counter_of_steps("ProfilerHook")

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """See SessionRunHook."""
        self._due = self._next is not None and self._timer.should_trigger_for_step(self._next)
        options = RunOptions(trace_level=RunOptions.FULL_TRACE) if self._due else None
        return SessionRunArgs(self._step, options=options)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """See SessionRunHook."""
        step = integer(run_values.results)
        if self._next is None:
            self._timer.update_last_triggered_step(step)
        if self._due:
            step = integer(run_context.session.run(self._step))
            self._timer.update_last_triggered_step(step)
            self._write(step, run_values)
        self._next = step + 1

    def _write(self, step: int, run_values: SessionRunValues) -> None:
        path = self._path.format(step)
        logs.info("Saving timeline for %d into '%s'.", step, path)
        flow, memory = self._shows
        assert run_values.run_metadata is not None
        trace = Timeline(run_values.run_metadata.step_stats)
        with open(path, "w", encoding="utf-8") as file:
            file.write(trace.generate_chrome_trace_format(show_dataflow=flow, show_memory=memory))
