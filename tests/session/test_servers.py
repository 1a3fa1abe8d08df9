"""Clusters and servers: what sessions with the same target share, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import tensorkiln as tf
from tensorkiln.runtime.errors import UnsupportedError


@pytest.fixture(autouse=True)
def graph() -> Iterator[Any]:
    with tf.Graph().as_default() as g:
        yield g


def test_cluster_spec() -> None:
    spec = tf.train.ClusterSpec({"ps": ["a:1", "b:2"], "worker": {1: "c:3"}})
    assert (spec.jobs, spec.num_tasks("ps"), spec.task_indices("worker")) == (
        ["ps", "worker"],
        2,
        [1],
    )
    assert spec.task_address("ps", 1) == "b:2"
    assert spec.job_tasks("worker") == [None, "c:3"]
    assert repr(spec) == "ClusterSpec({'ps': ['a:1', 'b:2'], 'worker': {1: 'c:3'}})"
    assert tf.train.ClusterSpec(spec.as_cluster_def()) == spec != tf.train.ClusterSpec({})
    assert not tf.train.ClusterSpec({})
    with pytest.raises(ValueError, match="No task with index 5 in job 'ps'"):
        spec.task_address("ps", 5)
    with pytest.raises(ValueError, match="No such job in cluster: 'x'"):
        spec.num_tasks("x")
    with pytest.raises(TypeError, match="mapping one or more job names"):
        tf.train.ClusterSpec(3)
    with pytest.raises(TypeError, match="The tasks for job 'a' must be a list"):
        tf.train.ClusterSpec({"a": 3})


def test_devices_of_a_replica() -> None:
    spec = tf.train.ClusterSpec({"ps": ["a:1", "b:2"], "worker": ["c:3"]})
    with tf.device(tf.train.replica_device_setter(cluster=spec)):
        variables = [tf.Variable(1.0) for _ in range(3)]
        total = variables[0] + variables[1]
    # As TensorFlow 2.21 places them.
    assert [v.device for v in variables] == ["/job:ps/task:0", "/job:ps/task:1", "/job:ps/task:0"]
    assert total.device == "/job:worker"
    setter = tf.train.replica_device_setter(ps_tasks=2, worker_device="/job:worker/task:7")
    with tf.device(setter):
        assert tf.Variable(1.0).device == "/job:ps/task:0"
        assert tf.constant(1).device == "/job:worker/task:7"
    assert tf.train.replica_device_setter() is None
    with pytest.raises(TypeError, match="must be callable"):
        tf.train.replica_device_setter(ps_tasks=1, ps_strategy=3)


def test_sessions_of_a_server_share_variables_by_name() -> None:
    server = tf.train.Server.create_local_server()
    assert server.target.startswith("grpc://localhost:")
    v = tf.Variable(1.0, name="v")
    add = v.assign_add(1.0)
    with tf.Session(server.target) as one:
        one.run(v.initializer)
        assert one.run(add) == 2.0
        with tf.Session(server.target) as two:
            assert (two.run(add), one.run(v)) == (3.0, 3.0)
    with tf.Graph().as_default():
        other = tf.Variable(7.0, name="v")
        with tf.Session(server.target) as session:
            assert session.run(other) == 3.0
    with tf.Graph().as_default():
        other = tf.Variable([7, 8], name="v")
        with (
            tf.Session(server.target) as session,
            pytest.raises(
                tf.errors.InvalidArgumentError, match=r"has shape \(\) and dtype float32"
            ),
        ):
            session.run(other)
    with tf.Session() as session, pytest.raises(tf.errors.FailedPreconditionError):
        session.run(v)
    tf.Session.reset(server.target, ["elsewhere"])
    with tf.Session(server.target) as session:
        assert session.run(v) == 3.0
    tf.Session.reset(server.target)
    with tf.Session(server.target) as session, pytest.raises(tf.errors.FailedPreconditionError):
        session.run(v)


def test_a_cluster_in_one_process() -> None:
    spec = tf.train.ClusterSpec({"ps": ["localhost:3001"], "worker": ["localhost:3002"]})
    worker = tf.train.Server(spec, job_name="worker", task_index=0)
    with tf.device("/job:ps/task:0"):
        v = tf.Variable(2.0)
    with pytest.raises(UnsupportedError, match=r"/job:ps/task:0 \(localhost:3001\) has no server"):
        tf.Session(worker.target)
    tf.train.Server(spec, job_name="ps")
    with tf.Session(worker.target) as session:
        session.run(v.initializer)
        assert session.run(v) == 2.0
    with (
        tf.Session(config=tf.ConfigProto(allow_soft_placement=True)) as session,
        pytest.raises(
            tf.errors.InvalidArgumentError, match="explicitly assigned to /job:ps/task:0"
        ),
    ):
        session.run(v.initializer)


def test_what_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="'grpc://elsewhere:1' is not a server of this proc"):
        tf.Session("grpc://elsewhere:1")
    with pytest.raises(ValueError, match="explicit `job_name`"):
        tf.train.Server({"a": ["x:1"], "b": ["y:1"]})
    with pytest.raises(ValueError, match="explicit `task_index`"):
        tf.train.Server({"a": ["x:1", "y:1"]})
    with pytest.raises(TypeError, match="Could not convert `server_or_cluster_def`"):
        tf.train.Server(3)
    for arguments, text in (
        ({"graph": 3}, "graph must be a tf.Graph, but got <class 'int'>"),
        ({"config": 3}, "config must be a tf.ConfigProto, but got"),
        ({"target": 3}, "target must be a string, but got"),
    ):
        with pytest.raises(TypeError, match=text):
            tf.Session(**arguments)
