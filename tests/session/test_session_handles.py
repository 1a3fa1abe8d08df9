"""Tensors that stay in a session between runs."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf


@pytest.fixture(autouse=True)
def graph() -> Iterator[Any]:
    with tf.Graph().as_default() as g:
        yield g


@pytest.fixture
def session() -> Iterator[Any]:
    with tf.Session(config=tf.ConfigProto(interpreted=True)) as s:
        yield s


def test_a_value_is_kept_and_read(session: Any) -> None:
    x = tf.placeholder(tf.float32, [None])
    handle = session.run(tf.get_session_handle(x * 2.0), {x: [1.0, 2.0]})
    holder, kept = tf.get_session_tensor(handle.handle, tf.float32)
    y = kept + 1.0
    assert session.run(y, {holder: handle.handle}).tolist() == [3, 5]
    assert session.run(y, {holder: handle}).tolist() == [3, 5]
    assert session.run(x + 1.0, {x: handle}).tolist() == [3, 5]
    assert handle.eval().tolist() == [2, 4]
    assert session.run([tf.get_session_handle(x)], {x: [3.0]})[0].eval().tolist() == [3]


def test_a_loop_over_handles(session: Any) -> None:
    handle = session.run(tf.get_session_handle(tf.constant(1)))
    holder, value = tf.get_session_tensor(handle.handle, tf.int32)
    after = tf.get_session_handle(value * 2)
    for _ in range(5):
        handle = session.run(after, {holder: handle.handle})
    assert handle.eval() == 32


def test_values_that_are_gone(session: Any) -> None:
    first, second = (session.run(tf.get_session_handle(tf.constant(k))) for k in range(2))
    assert first.handle != second.handle
    holder, deleter = tf.delete_session_tensor(first.handle)
    session.run(deleter, {holder: first.handle})
    second.delete()
    place, value = tf.get_session_tensor("", tf.int32)
    for handle in (first, second):
        with pytest.raises(tf.errors.InvalidArgumentError, match="is not in the session store"):
            handle.eval()
        with pytest.raises(tf.errors.InvalidArgumentError, match="is not in the session store"):
            session.run(value, {place: handle.handle})


def test_another_type_and_another_session(session: Any) -> None:
    handle = session.run(tf.get_session_handle(tf.constant([1.0])))
    holder, value = tf.get_session_tensor(handle.handle, tf.int32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="of type float32, and not int32"):
        session.run(value, {holder: handle.handle})
    with tf.Session() as other, pytest.raises(tf.errors.InvalidArgumentError, match="not in the"):
        other.run(value, {holder: handle.handle})
    raw = pickle.loads(pickle.dumps(handle.get_raw_handle()))
    holder, value = tf.get_session_tensor(raw, tf.float32)
    np.testing.assert_array_equal(session.run(value, {holder: raw}), [1.0])
