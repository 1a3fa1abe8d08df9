"""Hooks that count steps: they stop, measure speed, wait for others."""

from __future__ import annotations

import time

import numpy as np

from tensorkiln.frontends.graph import logs
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.monitored.coordinator import Coordinator
from tensorkiln.frontends.graph.monitored.hooks import (
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from tensorkiln.frontends.graph.monitored.timer import SecondOrStepTimer
from tensorkiln.frontends.graph.schedules import get_global_step
from tensorkiln.frontends.graph.session import BaseSession
from tensorkiln.frontends.graph.summary.proto_summary import Summary
from tensorkiln.frontends.graph.summary.writer import FileWriterCache
from tensorkiln.frontends.graph.variables import Variable


def counter_of_steps(hook: str) -> Variable:
    """The graph's step counter; RuntimeError if the program has made none."""
    found = get_global_step()
    if found is None:
        raise RuntimeError(f"Global step should be created to use {hook}.")
    return found


def integer(value: object) -> int:
    """A fetched number."""
    return int(np.asarray(value))


class StopAtStepHook(SessionRunHook):
    """Stops after `num_steps` more steps, or at step `last_step`."""

    def __init__(self, num_steps: int | None = None, last_step: int | None = None) -> None:
        if num_steps is None and last_step is None:
            raise ValueError("One of num_steps or last_step must be specified.")
        if num_steps is not None and last_step is not None:
            raise ValueError("Only one of num_steps or last_step can be specified.")
        self._num_steps, self._last_step = num_steps, last_step

    def begin(self) -> None:
        """See SessionRunHook."""
        self._step = counter_of_steps("StopAtStepHook")

    def after_create_session(self, session: BaseSession, coord: Coordinator) -> None:
        """See SessionRunHook."""
        if self._last_step is None:
            assert self._num_steps is not None
            self._last_step = integer(session.run(self._step)) + self._num_steps

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """See SessionRunHook."""
        return SessionRunArgs(self._step)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """See SessionRunHook."""
        assert self._last_step is not None
        step = integer(run_values.results) + 1
        # The value fetched beside the step may be that before or after its update.
        if step >= self._last_step:
            step = integer(run_context.session.run(self._step))
            if step >= self._last_step:
                run_context.request_stop()


class StepCounterHook(SessionRunHook):
    """Logs (and writes as a summary) how many steps are made in a second."""

    def __init__(
        self, every_n_steps: int | None = 100, every_n_secs: float | None = None,
        output_dir: str | None = None, summary_writer: object = None,
    ) -> None:  # fmt: skip
        if (every_n_steps is None) == (every_n_secs is None):
            raise ValueError("exactly one of every_n_steps and every_n_secs should be provided.")
        self._timer = SecondOrStepTimer(every_n_secs, every_n_steps)
        self._writer, self._folder = summary_writer, output_dir
        self._before: int | None = None

    def begin(self) -> None:
        """See SessionRunHook."""
        if self._writer is None and self._folder:
            self._writer = FileWriterCache.get(self._folder)
        self._step = counter_of_steps("StepCounterHook")
        self._tag = f"{self._step.op.name}/sec"

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """See SessionRunHook."""
        return SessionRunArgs(self._step)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """See SessionRunHook."""
        stale = integer(run_values.results)
        if self._timer.should_trigger_for_step(stale + 1):
            step = integer(run_context.session.run(self._step))
            if self._timer.should_trigger_for_step(step):
                seconds, steps = self._timer.update_last_triggered_step(step)
                if seconds is not None and steps is not None:
                    self._report(steps / max(seconds, 1e-9), step)
        if stale == self._before:
            logs.log_first_n(
                logs.WARN,
                "It seems that global step (tf.train.get_global_step) has not been increased. "
                "Current value (could be stable): %s vs previous value: %s. You could increase the "
                "global step by passing tf.train.get_global_step() to Optimizer.apply_gradients "
                "or Optimizer.minimize.", 5, stale, self._before,
            )  # fmt: skip
        self._before = stale

    def _report(self, rate: float, step: int) -> None:
        if self._writer is not None:
            summary: Proto = Summary()
            summary.value.add(tag=self._tag, simple_value=rate)
            self._writer.add_summary(summary, step)  # type: ignore[attr-defined]
        logs.info("%s: %g", self._tag, rate)


class GlobalStepWaiterHook(SessionRunHook):
    """Waits, before the first run, until others have made so many steps."""

    def __init__(self, wait_until_step: int) -> None:
        self._wait_until_step, self._started = wait_until_step, False

    def begin(self) -> None:
        """See SessionRunHook."""
        self._step = counter_of_steps("_GlobalStepWaiterHook")

    def before_run(self, run_context: SessionRunContext) -> None:
        """See SessionRunHook."""
        if self._started or self._wait_until_step <= 0:
            self._started = True
            return
        logs.info("Waiting for global step %d before starting training.", self._wait_until_step)
        told = 0
        while (step := integer(run_context.session.run(self._step))) < self._wait_until_step:
            if step - told > 1000:
                logs.info(
                    "Waiting for global step %d before starting training. Current step is %d.",
                    self._wait_until_step, step,
                )  # fmt: skip
                told = step
            time.sleep(0.5)
        self._started = True
