"""Runs that host ops split into several clusters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.frontends.graph.apply import apply_op, make
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import TABLE, OpKind
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import like_input
from tensorkiln.runtime.errors import UnsupportedError


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A host op `HostDouble`; the list holds what it was called with."""
    seen: list[Any] = []

    def double(context: HostContext, op: Operation, arrays: Sequence[Any]) -> Sequence[Any]:
        seen.append(np.array(arrays[0]))
        return [arrays[0] * 2]

    kind = OpKind("HostDouble", "x:T", like_input, host_only, differentiable=False, host=double)
    monkeypatch.setitem(TABLE, kind.name, kind)
    with tf.Graph().as_default():
        yield seen


@pytest.fixture(params=[True, False], ids=["interpreted", "compiled"])
def session(request: pytest.FixtureRequest) -> Iterator[Any]:
    with tf.Session(config=tf.ConfigProto(interpreted=request.param)) as s:
        yield s


def test_host_between_clusters(session: Any, calls: list[Any]) -> None:
    x = tf.placeholder(tf.float32, [None])
    y = make("HostDouble", (x + 1,))
    z = make("HostDouble", (y * y,)) + tf.reduce_sum(y)
    assert session.run(z, {x: [1, 2]}).tolist() == [42.0, 82.0]
    assert session.run([y, z], {x: [0]})[1].tolist() == [10.0]
    assert [c.tolist() for c in calls] == [[2, 3], [16, 36], [1], [4]]


def test_host_first_and_last(session: Any) -> None:
    first = make("HostDouble", (tf.constant([1.0, 2.0]),))
    assert session.run(make("HostDouble", (tf.exp(first) * 0,))).tolist() == [0, 0]
    assert session.run(first).tolist() == [2, 4]


def test_host_op_reads_variable(session: Any, calls: list[Any]) -> None:
    v = tf.Variable([1.0, 2.0])
    doubled = make("HostDouble", (v,))
    with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value Variable"):
        session.run(doubled)
    session.run(v.initializer)
    assert session.run(doubled).tolist() == [2, 4]
    with tf.control_dependencies([v.assign_add([1.0, 1.0])]):
        after = make("HostDouble", (v.value(),))
    assert session.run([after, v])[0].tolist() == [4, 6]


def test_variables_change_in_both_clusters(session: Any) -> None:
    v = tf.Variable(1.0)
    session.run(v.initializer)
    first = v.assign_add(1.0)
    second = v.assign_add(make("HostDouble", (first + 0.0,)))
    assert session.run([second, v]) == [6.0, 6.0]
    assert session.run(v) == 6.0


def test_gradient_over_values_that_host_ops_read(session: Any) -> None:
    x = tf.placeholder(tf.float32, [2])
    hidden = tf.square(x)
    weight = make("HostDouble", (hidden,))
    loss = tf.reduce_sum(hidden * weight)
    (gradient,) = tf.gradients(loss, [x])
    assert session.run(gradient, {x: [1.0, 3.0]}).tolist() == [4.0, 108.0]


def test_random_values_are_drawn_once(session: Any) -> None:
    drawn = tf.random_uniform([3], seed=1)
    other = make("HostDouble", (drawn,)) - 2 * drawn
    assert session.run(other).tolist() == [0, 0, 0]


def test_shape_from_a_host_op(session: Any) -> None:
    n = make("HostDouble", (tf.placeholder_with_default(3, []),))
    assert session.run(tf.zeros(tf.stack([n, 2]))).shape == (6, 2)


def test_control_dependencies_order_host_ops(session: Any, calls: list[Any]) -> None:
    second = apply_op("HostDouble", (tf.constant(2.0),))
    with tf.control_dependencies([second]):
        first = apply_op("HostDouble", (tf.constant(1.0),))
    assert session.run([first, second]) == [None, None]
    assert [float(c) for c in calls] == [2.0, 1.0]


def test_a_host_op_cannot_be_lowered(session: Any) -> None:
    y = make("HostDouble", (tf.constant(1.0),)) + 1.0
    with pytest.raises(UnsupportedError, match=r"host ops split.*HostDouble"):
        session.lower(y)


def test_strings_that_no_host_op_takes(session: Any) -> None:
    x = make("Reverse" if "Reverse" in TABLE else "ReverseV2", (tf.constant(["a", "b"]), [0]))
    with pytest.raises(UnsupportedError, match="of strings is not there"):
        session.run(x)
