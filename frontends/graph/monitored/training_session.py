"""MonitoredTrainingSession: a monitored session with the usual hooks."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph.config import ConfigProto
from tensorkiln.frontends.graph.monitored.creators import (
    ChiefSessionCreator,
    SessionCreator,
    WorkerSessionCreator,
)
from tensorkiln.frontends.graph.monitored.hooks import SessionRunHook
from tensorkiln.frontends.graph.monitored.hooks_files import CheckpointSaverHook, SummarySaverHook
from tensorkiln.frontends.graph.monitored.hooks_steps import StepCounterHook
from tensorkiln.frontends.graph.monitored.scaffold import Scaffold
from tensorkiln.frontends.graph.monitored.sessions import MonitoredSession

USE_DEFAULT = object()
"""Stands for an argument that was not given, where None means never."""


def MonitoredTrainingSession(
    master: str = "",
    is_chief: bool = True,
    checkpoint_dir: str | None = None,
    scaffold: Scaffold | None = None,
    hooks: Sequence[SessionRunHook] | None = None,
    chief_only_hooks: Sequence[SessionRunHook] | None = None,
    save_checkpoint_secs: object = USE_DEFAULT,
    save_summaries_steps: object = USE_DEFAULT,
    save_summaries_secs: object = USE_DEFAULT,
    config: ConfigProto | None = None,
    stop_grace_period_secs: float = 120,
    log_step_count_steps: int | None = 100,
    max_wait_secs: float = 7200,
    save_checkpoint_steps: object = USE_DEFAULT,
    summary_dir: str | None = None,
    save_graph_def: bool = True,
) -> MonitoredSession:
    """A monitored session that initializes or restores from `checkpoint_dir`, and that writes
    checkpoints (every 600 seconds) and summaries (every 100 steps) there, and the speed.

    Where neither steps nor seconds are given the figures above hold; None for both writes none.  A
    worker that is no chief waits for the chief and runs only `hooks`.
    """
    scaffold = scaffold or Scaffold()
    everyone = list(hooks or ())
    if not is_chief:
        worker = WorkerSessionCreator(scaffold, master, config, max_wait_secs)
        return MonitoredSession(worker, everyone, stop_grace_period_secs)
    creator: SessionCreator = ChiefSessionCreator(scaffold, master, config, checkpoint_dir)
    standard: list[SessionRunHook] = list(chief_only_hooks or ())
    folder = summary_dir or checkpoint_dir
    if folder:
        if log_step_count_steps and log_step_count_steps > 0:
            standard.append(StepCounterHook(log_step_count_steps, output_dir=folder))
        steps, seconds = _every(save_summaries_steps, save_summaries_secs, 100, None)
        if (steps and steps > 0) or (seconds and seconds > 0):
            standard.append(
                SummarySaverHook(_whole(steps), seconds, output_dir=folder, scaffold=scaffold)
            )
    if checkpoint_dir:
        steps, seconds = _every(save_checkpoint_steps, save_checkpoint_secs, None, 600)
        if (steps and steps > 0) or (seconds and seconds > 0):
            standard.append(
                CheckpointSaverHook(
                    checkpoint_dir, seconds, _whole(steps), scaffold=scaffold,
                    save_graph_def=save_graph_def,
                )
            )  # fmt: skip
    return MonitoredSession(creator, [*standard, *everyone], stop_grace_period_secs)


def _every(
    steps: object, seconds: object, usual_steps: float | None, usual_seconds: float | None
) -> tuple[float | None, float | None]:
    if steps is USE_DEFAULT and seconds is USE_DEFAULT:
        return usual_steps, usual_seconds
    given = [None if item is USE_DEFAULT else item for item in (steps, seconds)]
    for item in given:
        if item is not None and not isinstance(item, int | float):
            raise TypeError(f"steps and seconds between files are numbers or None, not {item!r}")
    return given[0], given[1]  # type: ignore[return-value]


def _whole(steps: float | None) -> int | None:
    return None if steps is None else int(steps)
