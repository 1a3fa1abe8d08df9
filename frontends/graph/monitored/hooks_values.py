"""Hooks that look at tensors: they log, check, feed, and fetch at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tensorkiln.frontends.graph import logs
from tensorkiln.frontends.graph.errors import OutOfRangeError
from tensorkiln.frontends.graph.monitored.hooks import (
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from tensorkiln.frontends.graph.monitored.timer import SecondOrStepTimer
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.session import BaseSession
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor


class NanLossDuringTrainingError(RuntimeError):
    """The loss has become NaN."""

    def __str__(self) -> str:
        return "NaN loss during training."


class LoggingTensorHook(SessionRunHook):
    """Logs tensors every so many runs or seconds, and after the last run if `at_end`.

    `tensors` is a list of tensors or names, or a dict from labels to them; `formatter` makes the
    line from a dict of values.
    """

    def __init__(
        self, tensors: Mapping[str, object] | Sequence[object], every_n_iter: int | None = None,
        every_n_secs: float | None = None, at_end: bool = False,
        formatter: Callable[[Mapping[object, object]], str] | None = None,
    ) -> None:  # fmt: skip
        only_at_end = at_end and every_n_iter is None and every_n_secs is None
        if not only_at_end and (every_n_iter is None) == (every_n_secs is None):
            raise ValueError(
                "either at_end and/or exactly one of every_n_iter and every_n_secs must be "
                "provided."
            )
        if every_n_iter is not None and every_n_iter <= 0:
            raise ValueError(f"invalid every_n_iter={every_n_iter}.")
        pairs = (
            tensors.items() if isinstance(tensors, Mapping) else zip(tensors, tensors, strict=True)
        )
        self._named: dict[object, object] = dict(pairs)
        self._timer = None if only_at_end else SecondOrStepTimer(every_n_secs, every_n_iter)
        self._at_end, self._formatter = at_end, formatter

    def begin(self) -> None:
        """See SessionRunHook."""
        if self._timer is not None:
            self._timer.reset()
        self._runs, self._due = 0, False
        self._fetches = {label: _element(item) for label, item in self._named.items()}

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """See SessionRunHook."""
        self._due = self._timer is not None and self._timer.should_trigger_for_step(self._runs)
        return SessionRunArgs(self._fetches) if self._due else None

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """See SessionRunHook."""
        if self._due:
            self._log(run_values.results)
        self._runs += 1

    def end(self, session: BaseSession) -> None:
        """See SessionRunHook."""
        if self._at_end:
            self._log(session.run(self._fetches))

    def _log(self, values: object) -> None:
        assert isinstance(values, dict)
        seconds = None
        if self._timer is not None:
            seconds, _ = self._timer.update_last_triggered_step(self._runs)
        with np.printoptions(suppress=True):
            if self._formatter is not None:
                logs.info(self._formatter(values))
                return
            line = ", ".join(f"{label} = {values[label]!s}" for label in self._named)
            if seconds is None:
                logs.info("%s", line)
            else:
                logs.info("%s (%.3f sec)", line, seconds)


def _element(item: object) -> Tensor | Operation:
    """The tensor or operation that a name, a tensor or a variable stands for."""
    graph = get_default_graph()
    if not isinstance(item, str):
        return graph.as_graph_element(item)
    found = graph.as_graph_element(item)
    if isinstance(found, Operation):
        if len(found.outputs) != 1:
            raise ValueError(
                f"Name {item} is ambiguous, as this `Operation` has {len(found.outputs)} outputs."
            )
        return found.outputs[0]
    return found


class NanTensorHook(SessionRunHook):
    """Ends the training when the loss is NaN: with an error, or in silence."""

    def __init__(self, loss_tensor: object, fail_on_nan_loss: bool = True) -> None:
        self._loss, self._fail = loss_tensor, fail_on_nan_loss

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """See SessionRunHook."""
        return SessionRunArgs(self._loss)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """See SessionRunHook."""
        if not np.isnan(np.asarray(run_values.results)).any():
            return
        if self._fail:
            logs.error("Model diverged with loss = NaN.")
            raise NanLossDuringTrainingError
        logs.warn("Model diverged with loss = NaN.")
        run_context.request_stop()


class FeedFnHook(SessionRunHook):
    """Feeds every run with what a function gives."""

    def __init__(self, feed_fn: Callable[[], Mapping[object, object]]) -> None:
        self.feed_fn = feed_fn

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """See SessionRunHook."""
        return SessionRunArgs(None, feed_dict=self.feed_fn())


class FinalOpsHook(SessionRunHook):
    """Runs `final_ops` at the end; `final_ops_values` are their values."""

    def __init__(
        self, final_ops: object, final_ops_feed_dict: Mapping[object, object] | None = None
    ) -> None:
        self._final_ops, self._feeds = final_ops, final_ops_feed_dict
        self._values: object = None

    @property
    def final_ops_values(self) -> object:
        """The values, None before the end."""
        return self._values

    def end(self, session: BaseSession) -> None:
        """See SessionRunHook."""
        if self._final_ops is None:
            return
        try:
            self._values = session.run(self._final_ops, self._feeds)
        except (OutOfRangeError, StopIteration):
            logs.warn(
                "the final ops read input data, of which there is no more; they should depend on "
                "variables only, such as the value of a metric and not its update"
            )
            raise
