"""Monitored sessions and their hooks; what is expected here is what TensorFlow 2.21 (compat.v1)
does for the same programs."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf


@pytest.fixture(autouse=True)
def graph() -> Iterator[Any]:
    tf.summary.FileWriterCache.clear()
    with tf.Graph().as_default() as g:
        yield g
    tf.summary.FileWriterCache.clear()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(tf.logging.INFO, logger="tensorflow"):
        yield caplog


QUICK = tf.ConfigProto(interpreted=True)


class Model:
    """One weight, w from 1 towards 1/3, and the loss (3w - 1)**2."""

    def __init__(self) -> None:
        self.x = tf.placeholder_with_default(3.0, [], name="x")
        self.w = tf.get_variable("w", [], initializer=tf.constant_initializer(1.0))
        self.loss = tf.square(self.w * self.x - 1.0, name="loss")
        self.step = tf.train.get_or_create_global_step()
        optimizer = tf.train.GradientDescentOptimizer(0.01)
        self.train = optimizer.minimize(self.loss, global_step=self.step)
        tf.summary.scalar("shown", self.loss)


class Diary(tf.train.SessionRunHook):  # type: ignore[misc]
    """Notes which of its methods are called."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def begin(self) -> None:
        self.calls.append(("begin", tf.get_default_graph().finalized))

    def after_create_session(self, session: Any, coord: Any) -> None:
        self.calls.append(("created", tf.get_default_graph().finalized, type(coord).__name__))

    def before_run(self, run_context: Any) -> Any:
        assert run_context.original_args.fetches is not None
        return tf.train.SessionRunArgs({"l": "loss:0"})

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.calls.append(round(float(run_values.results["l"]), 4))

    def end(self, session: Any) -> None:
        self.calls.append("end")


def test_a_training_stops_saves_and_goes_on(tmp_path: Path, lines: Any) -> None:
    found = []
    for last in (5, 9):
        with tf.Graph().as_default():
            model, diary = Model(), Diary()
            hooks = [
                tf.train.StopAtStepHook(last_step=last),
                tf.train.LoggingTensorHook(
                    {"loss": model.loss, "step": model.step}, every_n_iter=2
                ),
                diary,
                tf.train.NanTensorHook(model.loss),
            ]
            with tf.train.MonitoredTrainingSession(
                checkpoint_dir=str(tmp_path), hooks=hooks, save_checkpoint_steps=3,
                save_summaries_steps=2, log_step_count_steps=2, config=QUICK,
            ) as session:  # fmt: skip
                while not session.should_stop():
                    session.run(model.train)
                with pytest.raises(RuntimeError, match="Run called even after should_stop"):
                    session.run(model.train)
            assert session.should_stop()
            assert session.graph is None
            with pytest.raises(RuntimeError, match="Session is already closed"):
                session.run(model.train)
            found.append(diary.calls)
    start = [("begin", False), ("created", True, "Coordinator")]
    assert found[0] == [*start, 4.0, 2.6896, 1.8085, 1.216, 0.8177, "end"]
    assert found[1] == [*start, 0.5498, 0.3697, 0.2486, 0.1671, "end"]
    names = sorted(name for name in os.listdir(tmp_path) if "events" not in name)
    kept = [f"model.ckpt-{k}" for k in (0, 3, 5, 8, 9)]
    assert [n[:-5] for n in names if n.endswith(".meta")] == kept
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-9")
    assert "graph.pbtxt" in names
    told = [record.getMessage() for record in lines.records]
    assert "Graph was finalized." in told
    assert f"Saving checkpoints for 3 into {tmp_path}/model.ckpt." in told
    assert f"Restoring parameters from {tmp_path}/model.ckpt-5" in told
    assert told.count("loss = 4.0, step = 0") + told.count("loss = 4.0, step = 1") == 1
    assert any(line.startswith("global_step/sec: ") for line in told)


def test_summaries_and_session_logs(tmp_path: Path) -> None:
    model = Model()
    with tf.train.MonitoredTrainingSession(
        checkpoint_dir=str(tmp_path), save_checkpoint_steps=3, save_summaries_steps=2,
        log_step_count_steps=None, config=QUICK,
    ) as session:  # fmt: skip
        for _ in range(4):
            session.run(model.train)
    (path,) = tmp_path.glob("events*")
    events = list(tf.train.summary_iterator(str(path)))
    shown = [(e.step, round(v.simple_value, 3)) for e in events for v in e.summary.value]
    assert shown == [(1, 4.0), (3, 1.808)]
    logs = [(e.step, e.session_log.status) for e in events if e.HasField("session_log")]
    assert logs == [(0, 3), (1, 1), (3, 3), (4, 3)]
    assert sum(e.HasField("graph_def") for e in events) == 1


def test_the_end_of_data_ends_the_block(graph: Any) -> None:
    model, diary = Model(), Diary()
    with tf.train.MonitoredSession(hooks=[diary]) as session:
        session.run(model.train)
        raise tf.errors.OutOfRangeError(None, None, "end of data")
    assert diary.calls[-1] == "end"
    assert not graph.finalized


def test_errors_pass_and_the_hooks_do_not_end() -> None:
    model, diary = Model(), Diary()

    def steps() -> None:
        with tf.train.SingularMonitoredSession([diary], config=QUICK) as session:
            assert isinstance(session.raw_session(), tf.Session)
            assert session.run_step_fn(lambda step_context: step_context.session.run("w:0")) == 1
            session.run_step_fn(lambda step_context: step_context.run_with_hooks(model.train))
            with pytest.raises(ValueError, match="`step_context` argument"):
                session.run_step_fn(lambda other: None)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        steps()
    assert diary.calls[2:] == [4.0]


def test_a_step_function_stops() -> None:
    model = Model()
    with tf.train.SingularMonitoredSession(config=QUICK) as session:
        session.run_step_fn(lambda step_context: step_context.request_stop())
    with tf.train.SingularMonitoredSession(config=QUICK) as session:
        assert session.run(model.step) == 0


def test_nan_losses(lines: Any) -> None:
    model = Model()
    with (
        pytest.raises(tf.train.NanLossDuringTrainingError, match="NaN loss during training"),
        tf.train.SingularMonitoredSession([tf.train.NanTensorHook(model.loss)], config=QUICK) as s,
    ):
        s.run(model.train, {model.x: np.nan})
    quiet = tf.train.NanTensorHook(model.loss, fail_on_nan_loss=False)
    with tf.train.SingularMonitoredSession([quiet], config=QUICK) as session:
        session.run(model.train, {model.x: np.nan})
        assert session.should_stop()


def test_feeds_of_hooks() -> None:
    model = Model()
    feeding = tf.train.FeedFnHook(lambda: {model.x: 1.0})
    final = tf.train.FinalOpsHook(model.w + 1.0)
    with tf.train.SingularMonitoredSession([feeding, final], config=QUICK) as session:
        assert session.run(model.loss) == 0
        with pytest.raises(RuntimeError, match="Conflict"):
            session.run(model.loss, {model.x: 2.0})
    assert final.final_ops_values == 2


def test_logging_at_the_end_with_a_formatter(lines: Any) -> None:
    model = Model()
    hook = tf.train.LoggingTensorHook(
        ["loss"], at_end=True, formatter=lambda values: f"at last {values['loss']:.1f}"
    )
    with tf.train.SingularMonitoredSession([hook], config=QUICK) as session:
        session.run(model.train)
    assert [r.getMessage() for r in lines.records][-1] == "at last 2.7"


def test_listeners_of_checkpoints(tmp_path: Path) -> None:
    calls: list[Any] = []

    class Listener(tf.train.CheckpointSaverListener):  # type: ignore[misc]
        def begin(self) -> None:
            calls.append("begin")

        def before_save(self, session: Any, global_step_value: int) -> None:
            calls.append(("before", global_step_value))

        def after_save(self, session: Any, global_step_value: int) -> bool:
            calls.append(("after", global_step_value))
            return global_step_value >= 2

        def end(self, session: Any, global_step_value: int) -> None:
            calls.append(("end", global_step_value))

    model = Model()
    hook = tf.train.CheckpointSaverHook(
        str(tmp_path), save_steps=2, saver=tf.train.Saver(), listeners=[Listener()]
    )
    with tf.train.SingularMonitoredSession([hook], config=QUICK) as session:
        while not session.should_stop():
            session.run(model.train)
    saves = [(word, k) for k in (0, 2) for word in ("before", "after")]
    assert calls == ["begin", *saves, ("end", 2)]


def test_timelines(tmp_path: Path) -> None:
    model = Model()
    hook = tf.train.ProfilerHook(save_steps=2, output_dir=str(tmp_path))
    with tf.train.SingularMonitoredSession([hook], config=QUICK) as session:
        for _ in range(3):
            session.run(model.train)
    assert [path.name for path in tmp_path.iterdir()] == ["timeline-3.json"]


def test_scaffolds(graph: Any) -> None:
    v = tf.Variable(1.0, name="v")
    go = tf.assign(v, 7.0)
    first = tf.train.Scaffold(init_fn=lambda scaffold, session: session.run(go))
    scaffold = tf.train.Scaffold(copy_from_scaffold=first)
    with tf.train.MonitoredTrainingSession(scaffold=scaffold, config=QUICK) as session:
        assert session.run(v) == 7
        assert graph.finalized
    assert scaffold.init_op in graph.get_collection(tf.GraphKeys.INIT_OP)
    with pytest.raises(TypeError, match="copy_from_scaffold is not a Scaffold"):
        tf.train.Scaffold(copy_from_scaffold=3)


def test_what_is_not_initialized() -> None:
    v, _ = tf.Variable(1.0, name="v"), tf.Variable(2.0, name="u")
    creator = tf.train.ChiefSessionCreator(tf.train.Scaffold(init_op=v.initializer))
    with pytest.raises(RuntimeError, match=r"Init operations did not make model ready.*: u"):
        tf.train.MonitoredSession(creator)


def test_recovery_after_a_lost_connection() -> None:
    model = Model()
    lost = []

    class Loses(tf.train.SessionRunHook):  # type: ignore[misc]
        def before_run(self, run_context: Any) -> None:
            if len(lost) < 2:
                lost.append(run_context.session)
                raise tf.errors.AbortedError(None, None, "lost")

    with tf.train.MonitoredSession(hooks=[Loses()]) as session:
        assert session.run(model.step) == 0
    assert len(set(map(id, lost))) == 2


WRONG = {
    "One of num_steps or last_step must": tf.train.StopAtStepHook,
    "Only one of num_steps or last_step": lambda: tf.train.StopAtStepHook(1, 2),
    "invalid every_n_iter=0": lambda: tf.train.LoggingTensorHook(["a"], every_n_iter=0),
    "either at_end and/or exactly one": lambda: tf.train.LoggingTensorHook(["a"]),
    "Exactly one of scaffold or summary_op": lambda: tf.train.SummarySaverHook(save_steps=1),
    "Either every_secs or every_steps": tf.train.SecondOrStepTimer,
    "exactly one of every_n_steps": lambda: tf.train.StepCounterHook(every_n_steps=None),
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_arguments(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        WRONG[text]()


def test_hooks_that_need_a_step_counter() -> None:
    tf.Variable(1.0)
    with pytest.raises(RuntimeError, match="Global step should be created to use StopAtStepHook"):
        tf.train.MonitoredSession(hooks=[tf.train.StopAtStepHook(1)])


# -- coordinators --------------------------------------------------------------------------------


def test_a_coordinator_raises_what_a_thread_reported() -> None:
    coord = tf.train.Coordinator()

    def fail() -> None:
        with coord.stop_on_exception():
            raise KeyError("bad")

    thread = threading.Thread(target=fail)
    thread.start()
    with pytest.raises(KeyError, match="bad"):
        coord.join([thread])
    assert coord.joined
    assert coord.should_stop()
    coord.clear_stop()
    assert not coord.should_stop()


def test_the_end_of_data_is_a_clean_stop() -> None:
    coord = tf.train.Coordinator()
    coord.request_stop(tf.errors.OutOfRangeError(None, None, "end"))
    coord.join([])
    assert coord.should_stop()


def test_threads_that_do_not_stop() -> None:
    coord, go = tf.train.Coordinator(), threading.Event()
    thread = threading.Thread(target=go.wait, daemon=True, name="slow")
    thread.start()
    coord.request_stop()
    with pytest.raises(RuntimeError, match="threads still running: slow"):
        coord.join([thread], stop_grace_period_secs=0.05)
    coord.join([thread], stop_grace_period_secs=0.05, ignore_live_threads=True)
    go.set()


def test_looper_threads() -> None:
    coord, calls = tf.train.Coordinator(), []

    def once() -> None:
        calls.append(1)
        if len(calls) == 3:
            coord.request_stop()

    tf.train.LooperThread.loop(coord, 0.001, once)
    coord.join()
    assert len(calls) == 3
    with pytest.raises(ValueError, match="'coord' argument must be a Coordinator"):
        tf.train.LooperThread(None, 1)
