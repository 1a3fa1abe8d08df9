"""Templates, local variables, variables without values, switches, second derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.runtime.errors import UnsupportedError


def test_template_shares_variables(session: Any) -> None:
    def scaled(x: Any, factor: float = 1.0) -> Any:
        return x * tf.get_variable("w", initializer=2.0) * factor

    template = tf.make_template("scale", scaled, factor=3.0)
    first, second = template(1.0), template(10.0)
    assert [v.name for v in tf.global_variables()] == ["scale/w:0"]
    session.run(tf.global_variables_initializer())
    assert session.run([first, second]) == [6, 60]
    tf.make_template("scale", scaled)(1.0)
    assert tf.global_variables()[-1].name == "scale_1/w:0"


def test_local_variable() -> None:
    v = tf.get_local_variable("count", initializer=0)
    assert tf.local_variables() == [v]
    assert tf.global_variables() == []


def test_report_uninitialized(session: Any) -> None:
    a, b = tf.Variable(1.0, name="a"), tf.Variable(2.0, name="b")
    report = tf.report_uninitialized_variables()
    check = tf.assert_variables_initialized([a, b])
    assert session.run(report).tolist() == [b"a", b"b"]
    session.run(a.initializer)
    assert session.run(report).tolist() == [b"b"]
    with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value b"):
        session.run(check)
    session.run(b.initializer)
    assert session.run(report).tolist() == []
    session.run(check)


def test_hessian(any_session: Any) -> None:
    x = tf.placeholder(tf.float32, [2])
    (h,) = tf.hessians(x[0] ** 3 * x[1] + x[1] ** 2, x)
    np.testing.assert_allclose(any_session.run(h, {x: [1, 2]}), [[12, 3], [3, 2]], rtol=1e-5)


def test_switches() -> None:
    assert not tf.executing_eagerly()
    tf.disable_resource_variables()
    with pytest.raises(UnsupportedError, match="eager"):
        tf.enable_eager_execution()
    assert tf.is_tensor(tf.constant(1))
    assert not tf.is_tensor(1)


def test_where_v2(session: Any) -> None:
    found = tf.where_v2([[True], [False]], [1.0, 2.0], 0.0)
    assert session.run(found).tolist() == [[1, 2], [0, 0]]


def test_unconnected_gradients(session: Any) -> None:
    x = tf.constant([1.0, 2.0])
    y = tf.constant(3.0) * 2
    assert tf.gradients(y, x) == [None]
    (zero,) = tf.gradients(y, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    assert session.run(zero).tolist() == [0, 0]
