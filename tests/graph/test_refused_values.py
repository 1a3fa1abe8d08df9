"""Values that kernels of TensorFlow refuse when they run, in TensorFlow's words."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf


@pytest.mark.parametrize("make", [tf.floordiv, tf.floormod, tf.truncatediv, tf.truncatemod, tf.div])
def test_integers_divided_by_zero(make: Any, session: Any) -> None:
    x = tf.placeholder(tf.int32, [2])
    quotient = make(tf.constant([7, -7]), x)
    v = tf.Variable([1, 1])
    session.run(v.initializer)
    step = tf.assign(v, quotient)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Integer division by zero"):
        session.run(step, {x: [1, 0]})
    assert session.run(v).tolist() == [1, 1]
    assert session.run(quotient, {x: [7, 7]}).tolist() in ([1, -1], [0, 0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="Integer division by zero"):
        session.run(make(tf.constant(3), tf.constant(0)))
    floats = make(tf.constant([1.0]), tf.placeholder_with_default([0.0], [1]))
    assert not np.isfinite(session.run(floats)).any()


CASES = {
    "split": (
        lambda x: tf.split(x, 2, 0)[0], np.zeros((3, 3)),
        "Number of ways to split should evenly divide the split dimension, but got split_dim 0 "
        "(size = 3) and num_split 2",
    ),
    "split_v": (
        lambda x: tf.split(x, [1, 1], 0)[0], np.zeros(3),
        "Determined shape must either match input shape along split_dim exactly if fully specified",
    ),
    "slice": (
        lambda x: tf.slice(x, [2], [5]), np.zeros(3), "Expected size[0] in [0, 1], but got 5",
    ),
    "begin": (
        lambda x: tf.slice(x, [4], [-1]), np.zeros(3), "Expected begin[0] in [0, 3], but got 4",
    ),
    "matmul": (
        lambda x: tf.matmul(x, x), np.zeros((2, 3)),
        "Matrix size-incompatible: In[0]: [2,3], In[1]: [2,3]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_sizes_that_only_the_run_tells(name: str, session: Any) -> None:
    make, value, text = CASES[name]
    x = tf.placeholder(tf.float32)
    with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape(text)):
        session.run(make(x), {x: value})


def test_a_slice_of_another_rank_is_refused_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="Shape must be rank 1 but is rank 2"):
        tf.slice(tf.zeros([2, 3]), [0], [1])


def test_marks_of_compiled_ops() -> None:
    x = tf.placeholder(tf.float32, [2])
    with tf.contrib.compiler.jit.experimental_jit_scope():
        y = tf.add(x, x)
        with tf.xla.experimental.jit_scope(lambda node: node.op == "Mul"):
            z = tf.multiply(y, y), tf.add(y, y)
    with tf.xla.experimental.jit_scope():
        other = tf.add(x, x)
    assert [t.op.get_attr("_XlaCompile") for t in (y, *z, other)] == [True, True, False, True]
    scopes = [t.op.get_attr("_XlaScope") for t in (y, *z, other)]
    assert scopes == [b"jit_scope_0"] * 3 + [b"jit_scope_1"]
    (gradient,) = tf.gradients(z[0], x)
    with tf.Session() as session:
        assert session.run([y, gradient], {x: [1, 2]})[1].tolist() == [8, 16]
    total = tf.contrib.compiler.xla.compile(lambda a, b: a + b, [x, y])
    assert isinstance(total, tuple)
    assert tf.xla.experimental.compile(lambda: None).type == "NoOp"
