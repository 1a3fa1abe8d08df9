"""Options of sessions and runs: traces, deadlines, devices, callables, partial runs."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.python.client import device_lib, timeline


@pytest.fixture(autouse=True)
def graph() -> Iterator[Any]:
    with tf.Graph().as_default() as g:
        yield g


def test_trace() -> None:
    x = tf.placeholder(tf.float32, [None], name="x")
    doubled = tf.multiply(x, 2.0, name="doubled")
    y = tf.py_func(lambda a: a + 1, [doubled], tf.float32, name="host")
    z = tf.square(y, name="z")
    metadata = tf.RunMetadata()
    with tf.Session() as session:
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        value = session.run(z, {x: [1.0]}, options=options, run_metadata=metadata)
        assert value.tolist() == [9.0]
        session.run(z, {x: [1.0]}, options=tf.RunOptions(), run_metadata=tf.RunMetadata())
    (device,) = metadata.step_stats.dev_stats
    assert device.device == "/job:localhost/replica:0/task:0/device:CPU:0"
    assert [n.node_name for n in device.node_stats] == ["cluster_0", "host", "cluster_1"]
    times = [(n.all_start_nanos, n.all_end_rel_nanos) for n in device.node_stats]
    assert all(0 < took < 60e9 for _, took in times)
    assert times[0][0] + times[0][1] <= times[1][0]
    assert "doubled = Mul(x, doubled/y)" in device.node_stats[0].timeline_label
    trace = timeline.Timeline(metadata.step_stats).generate_chrome_trace_format()
    events = json.loads(trace)["traceEvents"]
    assert [e["name"] for e in events if e["ph"] == "X"] == ["Compiled", "PyFunc", "Compiled"]
    assert events[2]["args"] == {"name": "host", "op": "PyFunc", "input0": "doubled"}


def test_deadline() -> None:
    gate = threading.Event()
    slow = tf.py_func(lambda: np.float32(gate.wait(20)), [], tf.float32)
    quick = tf.constant(1.0) + 1.0
    with tf.Session() as session:
        with pytest.raises(tf.errors.DeadlineExceededError, match="Timed out waiting for notif"):
            session.run(slow, options=tf.RunOptions(timeout_in_ms=20))
        gate.set()
        options = tf.RunOptions(timeout_in_ms=60000)
        assert session.run([slow, quick], options=options) == [1.0, 2.0]
        with pytest.raises(tf.errors.InvalidArgumentError, match="You must feed a value"):
            session.run(tf.placeholder(tf.float32), options=options)
    gate.clear()
    with tf.Session(config=tf.ConfigProto(operation_timeout_in_ms=20)) as session:
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(slow)
        gate.set()


def test_device_names() -> None:
    a = tf.constant(1.0)
    with tf.device("/cpu:0"):
        b = tf.constant(1.0)
        with tf.device("/job:worker/task:3"):
            c = tf.constant(1.0)
        with tf.device("/device:GPU:1"):
            d = tf.constant(1.0)
            with tf.device(None):
                e = tf.constant(1.0)
    with tf.device(lambda op: "/gpu:2" if op.type == "MatMul" else "/cpu:0"):
        f = tf.matmul([[1.0]], [[1.0]])
    assert [t.device for t in (a, b, c, d, e, f, f.op.inputs[0])] == [
        "", "/device:CPU:0", "/job:worker/task:3/device:CPU:0", "/device:GPU:1", "",
        "/device:GPU:2", "/device:CPU:0",
    ]  # fmt: skip
    assert str(b) == 'Tensor("Const_1:0", shape=(), dtype=float32, device=/device:CPU:0)'
    spec = tf.DeviceSpec.from_string("/job:ps/replica:1/task:2/gpu:*")
    assert (spec.job, spec.replica, spec.task, spec.device_type) == ("ps", 1, 2, "GPU")
    assert spec.to_string() == "/job:ps/replica:1/task:2/device:GPU:*"
    with (
        pytest.raises(ValueError, match=r"Unknown attribute 'what' is encountered .*'/what:0'"),
        tf.device("/what:0"),
    ):
        pass


def test_missing_devices() -> None:
    good = tf.constant(1.0)
    with tf.Session() as session:
        assert session.run(good) == 1.0
        with tf.device("/gpu:1"):
            bad = tf.add(good, 1.0, name="bad")
        text = (
            "Cannot assign a device for operation bad/y: .* was explicitly assigned to /device:GPU:1 "
            "but available devices are"
        )
        for fetch in (bad, good * 2.0):
            with pytest.raises(tf.errors.InvalidArgumentError, match=text):
                session.run(fetch)
    with tf.Session(config=tf.ConfigProto(allow_soft_placement=True)) as session:
        assert session.run(bad) == 2.0
    with tf.device("/device:XLA_CPU:0"):
        other = tf.constant(2.0)
    assert other.device == "/device:XLA_CPU:0"


def test_log_device_placement(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with tf.device("/gpu:0"):
        c = tf.matmul([[1.0]], [[2.0]], name="c")
    config = tf.ConfigProto(allow_soft_placement=True, log_device_placement=True)
    with tf.Session(config=config) as session:
        session.run(c)
        lines = capsys.readouterr().err.splitlines()
        assert "c: (MatMul): /job:localhost/replica:0/task:0/device:CPU:0" in lines
        assert len([line for line in lines if line.startswith("c")]) == 3
        d = c + c
        session.run(d)
        assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == ["add:"]
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
    with tf.Session(config=config) as session:
        session.run(c)
    assert capsys.readouterr().err == ""


def test_lists_of_devices() -> None:
    with tf.Session() as session:
        assert [d.device_type for d in session.list_devices()] == ["CPU", "XLA_CPU"]
    assert device_lib.list_local_devices()[0].name == "/device:CPU:0"


def test_config_fields() -> None:
    config = tf.ConfigProto(gpu_options=tf.GPUOptions(per_process_gpu_memory_fraction=0.3))
    config.gpu_options.allow_growth = True
    config.graph_options.optimizer_options.global_jit_level = tf.OptimizerOptions.ON_1
    config.intra_op_parallelism_threads = 1
    config.inter_op_parallelism_threads = 1
    with tf.Session(config=config) as session:
        assert session.run(tf.constant(1) + 2) == 3


def test_make_callable() -> None:
    x, y = tf.placeholder(tf.float32), tf.placeholder(tf.float32)
    with tf.Session() as session:
        call = session.make_callable([x + y, {"d": x * y}], [x, y])
        assert call(2.0, 3.0) == [5.0, {"d": 6.0}]
        assert call(2.0, [1.0, 2.0])[0].tolist() == [3.0, 4.0]
        with pytest.raises(ValueError, match="2 fed values are wanted, 1 are given"):
            call(1.0)
        metadata = tf.RunMetadata()
        traced = session.make_callable(x + 1.0, [x], accept_options=True)
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        assert traced(1.0, options=options, run_metadata=metadata) == 2.0
        assert len(metadata.step_stats.dev_stats[0].node_stats) == 1
        assert session.make_callable(tf.no_op())() is None


def test_partial_runs() -> None:
    a, b, c = (tf.placeholder(tf.float32, [], name=n) for n in "abc")
    drawn = tf.random_uniform([]) + a
    first, second = drawn + b, drawn * c
    with tf.Session() as session:
        handle = session.partial_run_setup([drawn, first, second], [a, b, c])
        x = session.partial_run(handle, drawn, {a: 1.0})
        y = session.partial_run(handle, first, {b: 2.0})
        assert y == x + 2
        assert session.partial_run(handle, [second], {c: 10.0}) == [x * 10]
        for fetch, feeds, text in (
            (first, {}, "The fetch add_1:0 has already been fetched."),
            ([], {a: 1.0}, "The feed a:0 has already been fed."),
        ):
            again = session.partial_run_setup([first, second], [a, b, c])
            session.partial_run(again, first, {a: 1.0, b: 2.0})
            with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape(text)):
                session.partial_run(again, fetch, feeds)
        with pytest.raises(tf.errors.InvalidArgumentError, match="Must run 'setup' before"):
            session.partial_run(handle, first)
        with pytest.raises(tf.errors.InvalidArgumentError, match="a:0 is both fed and fetched"):
            session.partial_run_setup([a], [a])


def test_graph_def_of_a_session() -> None:
    tf.constant(1.0, name="c")
    with tf.Session() as session:
        assert [node.name for node in session.graph_def.node] == ["c"]


def test_callables_tell_at_once_what_they_cannot_do() -> None:
    x = tf.placeholder(tf.float32, [None])
    session = tf.Session()
    call = session.make_callable([x * 2.0, {"sum": tf.reduce_sum(x)}], [x])
    doubled, found = call([1, 2])
    assert (doubled.tolist(), found["sum"]) == ([2.0, 4.0], 3.0)
    values = np.ones(3, np.float32)
    assert call(values, options=None)[0].tolist() == [2.0, 2.0, 2.0]
    for arguments, text in (
        ((3.0,), "Fetch argument 3.0"),
        ((x, [3]), "Cannot interpret feed_dict"),
    ):
        with pytest.raises(TypeError, match=text):
            session.make_callable(*arguments)
    with pytest.raises(TypeError, match="`feed_list` must be a list or tuple"):
        session.make_callable(x, x)
    with pytest.raises(ValueError, match="Cannot feed value of shape"):
        call([[1.0]])
    with pytest.raises(ValueError, match="1 fed values are wanted, 0 are given"):
        call()
    sparse = tf.sparse_placeholder(tf.float32, [2])
    total = session.make_callable(tf.sparse_reduce_sum(sparse), [sparse])
    assert total(tf.SparseTensorValue([[1]], [3.0], [2])) == 3.0
    session.close()
    with pytest.raises(RuntimeError, match="Attempted to use a closed Session"):
        call([1.0])
