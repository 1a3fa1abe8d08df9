"""Supervisors, training in step with replicas, checkpoints as they come."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

QUICK = tf.ConfigProto(interpreted=True)


@pytest.fixture(autouse=True)
def graph() -> Iterator[Any]:
    with tf.Graph().as_default() as g:
        yield g


def model() -> tuple[Any, Any]:
    w = tf.get_variable("w", [], initializer=tf.constant_initializer(1.0))
    loss = tf.square(w * 3.0 - 1.0)
    tf.summary.scalar("shown", loss)
    step = tf.train.get_or_create_global_step()
    return w, tf.train.GradientDescentOptimizer(0.01).minimize(loss, global_step=step)


def test_a_supervised_training_goes_on(tmp_path: Path) -> None:
    values = []
    for _ in range(2):
        with tf.Graph().as_default() as graph:
            w, train = model()
            supervisor = tf.train.Supervisor(logdir=str(tmp_path), save_model_secs=600)
            assert graph.finalized
            with supervisor.managed_session(config=QUICK) as session:
                for _ in range(2):
                    session.run(train)
                values.append(float(session.run(w)))
                supervisor.saver.save(session, supervisor.save_path, supervisor.global_step)
            assert supervisor.should_stop()
    np.testing.assert_allclose(values, [0.7816, 0.63474784], rtol=1e-5)
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith("model.ckpt-4")
    events = [
        e for p in sorted(tmp_path.glob("events*")) for e in tf.train.summary_iterator(str(p))
    ]
    assert [e.session_log.status for e in events if e.HasField("session_log")].count(2) == 2
    assert any(e.HasField("graph_def") for e in events)


def test_what_is_raised_inside(tmp_path: Path) -> None:
    _, train = model()
    supervisor = tf.train.Supervisor(logdir=str(tmp_path), save_summaries_secs=0)

    def fail() -> None:
        with supervisor.managed_session(config=QUICK) as session:
            session.run(train)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()


def test_the_end_of_data_is_no_error() -> None:
    model()
    supervisor = tf.train.Supervisor(logdir=None)
    with supervisor.managed_session(config=QUICK):
        raise tf.errors.OutOfRangeError(None, None, "end")
    with pytest.raises(RuntimeError, match="requires a summary writer"):
        supervisor.summary_computed(None, b"", 1)


def test_basic_train_loop() -> None:
    _, train = model()
    supervisor = tf.train.Supervisor(logdir=None)
    seen = []

    def step(session: Any, rate: float) -> None:
        session.run(train)
        seen.append(rate)
        if len(seen) == 3:
            supervisor.request_stop()

    tf.train.basic_train_loop(supervisor, step, args=(0.5,))
    assert seen == [0.5] * 3


@pytest.mark.parametrize("interpreted", [True, False])
def test_steps_of_replicas_are_one_update(interpreted: bool) -> None:
    x = tf.placeholder(tf.float32, [])
    w = tf.get_variable("w", [2], initializer=tf.zeros_initializer())
    step = tf.train.get_or_create_global_step()
    optimizer = tf.train.SyncReplicasOptimizer(tf.train.MomentumOptimizer(0.1, 0.9), 3)
    train = optimizer.minimize(tf.reduce_sum(w) * x, global_step=step)
    hook = optimizer.make_session_run_hook(True)
    config = tf.ConfigProto(interpreted=interpreted, intra_op_parallelism_threads=1)
    with tf.train.SingularMonitoredSession([hook], config=config) as session:
        found = []
        for value in (1.0, 2.0, 6.0, 3.0, 3.0, 3.0):
            session.run(train, {x: value})
            found.append(session.run([w, step]))
    np.testing.assert_allclose([v[0] for v, _ in found], [0, 0, -0.3, -0.3, -0.3, -0.87], rtol=1e-6)
    assert [int(s) for _, s in found] == [0, 0, 1, 1, 1, 2]
    assert optimizer.get_slot_names() == ["momentum"]


def test_what_replicas_need() -> None:
    w = tf.Variable(1.0)
    optimizer = tf.train.SyncReplicasOptimizer(tf.train.GradientDescentOptimizer(0.1), 2)
    with pytest.raises(ValueError, match="Global step is required"):
        optimizer.minimize(w * w)
    with pytest.raises(ValueError, match="should apply gradients"):
        tf.train.SingularMonitoredSession([optimizer.make_session_run_hook(True)])


def test_checkpoints_as_they_come(tmp_path: Path) -> None:
    tf.Variable(1.0)
    saver = tf.train.Saver()
    found = []
    with tf.Session(config=QUICK) as session:
        session.run(tf.global_variables_initializer())
        saver.save(session, str(tmp_path / "m"), 1)
        for path in tf.train.checkpoints_iterator(str(tmp_path), timeout=0):
            found.append(os.path.basename(path))
            if len(found) == 1:
                saver.save(session, str(tmp_path / "m"), 2)
    assert found == ["m-1", "m-2"]
    again = tf.train.checkpoints_iterator(
        str(tmp_path / "none"), timeout=0, timeout_fn=lambda: True
    )
    assert list(again) == []
