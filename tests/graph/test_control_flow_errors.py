"""What is wrong with loops and branches is said as TensorFlow says it, and by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

ERRORS: dict[str, tuple[Any, type[Exception], str]] = {
    "python bool": (lambda: tf.cond(True, lambda: 1, lambda: 2), TypeError, "Python bool"),
    "pred type": (
        lambda: tf.cond(tf.constant(3), lambda: 1, lambda: 2), TypeError,
        "Input 'pred' of 'Switch' Op has type int32 that does not match expected type of bool.",
    ),
    "no function": (
        lambda: tf.cond(tf.constant(True), 1, lambda: 2), TypeError, "'true_fn' must be callable."
    ),
    "no result": (
        lambda: tf.cond(tf.constant(True), lambda: None, lambda: 2), ValueError,
        "'true_fn' must have a return value.",
    ),
    "branch types": (
        lambda: tf.cond(tf.constant(True), lambda: 1.0, lambda: 2), ValueError,
        "Received float32 from 'true_fn' and int32 from 'false_fn'.",
    ),
    "branch structures": (
        lambda: tf.cond(tf.constant(True), lambda: [1, 2], lambda: [2]), ValueError,
        "don't have the same nested structure",
    ),
    "cond not callable": (lambda: tf.while_loop(3, lambda i: i, [0]), TypeError, "'cond' must be"),
    "body not callable": (lambda: tf.while_loop(lambda i: i < 1, 3, [0]), TypeError, "'body' must"),
    "no variables": (
        lambda: tf.while_loop(lambda: True, lambda: (), []), ValueError, "'loop_vars' must be"
    ),
    "condition type": (
        lambda: tf.while_loop(lambda i: i, lambda i: i + 1, [0]), TypeError,
        "Input 'input' of 'LoopCond' Op has type int32",
    ),
    "growing": (
        lambda: tf.while_loop(lambda x: tf.reduce_sum(x) < 3, lambda x: tf.concat([x, x], 0),
                              [tf.ones([1])]),
        ValueError, r"enters the loop with shape \(1,\), but has shape \(2,\) after one iteration",
    ),
    "structure": (
        lambda: tf.while_loop(lambda i, x: i < 3, lambda i, x: i + 1, [0, tf.constant(1.0)]),
        ValueError, "don't have the same number of elements",
    ),
    "invariant": (
        lambda: tf.while_loop(lambda x: tf.reduce_sum(x) < 3, lambda x: x, [tf.ones([1])],
                              shape_invariants=[tf.TensorShape([2])]),
        ValueError, r"the specified shape invariant is \(2,\)",
    ),
    "case": (lambda: tf.case(3), TypeError, "'pred_fn_pairs' must be a list, tuple, or dict"),
    "case pairs": (lambda: tf.case([(1, 2, 3)]), TypeError, "must be a 2-tuple"),
    "case predicate": (lambda: tf.case([(1, lambda: 3)]), TypeError, "pred must be a Tensor"),
    "array shapes": (
        lambda: tf.TensorArray(tf.float32, 3).write(0, tf.ones([2])).write(1, tf.ones([3])),
        ValueError, r"Inconsistent shapes: saw \(3,\) but expected \(2,\)",
    ),
    "array size": (lambda: tf.TensorArray(tf.float32), ValueError, "Size must be provided"),
    "map scalars": (lambda: tf.map_fn(lambda x: x, tf.constant(1.0)), ValueError, "1\\+ dim"),
    "map structure": (
        lambda: tf.map_fn(lambda x: (x, x), tf.ones([3])), ValueError, "same nested structure"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors_while_building(name: str, session: Any) -> None:
    make, kind, text = ERRORS[name]
    with pytest.raises(kind, match=text):
        make()


def test_what_is_inside_cannot_be_fetched(session: Any) -> None:
    tf.while_loop(lambda i: i < 3, lambda i: tf.add(i, 1, name="next"), [tf.constant(0)])
    with pytest.raises(ValueError, match="'while/next' has been marked as not fetchable"):
        session.run("while/next:0")


def test_writing_past_the_end_of_an_array(session: Any) -> None:
    ta = tf.TensorArray(tf.float32, 2).write(2, 1.0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="index 2 of a TensorArray whose size"):
        session.run(ta.stack())


def test_reading_what_nobody_wrote(session: Any) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="nothing has been written"):
        session.run(tf.TensorArray(tf.float32, 2).read(0))


def test_branches_of_unlike_shapes(session: Any) -> None:
    x = tf.placeholder(tf.float32, [None])
    p = tf.placeholder(tf.bool, [])
    found = tf.cond(p, lambda: x, lambda: tf.zeros([3]))
    assert found.shape.as_list() == [None]
    np.testing.assert_array_equal(session.run(found, {x: [1, 2, 3], p: True}), [1, 2, 3])
    with pytest.raises(tf.errors.InvalidArgumentError, match="cond/StatelessIf"):
        session.run(found, {x: [1, 2], p: True})


def test_strings_in_branches(session: Any) -> None:
    flag = tf.placeholder_with_default(True, [])
    s = tf.cond(flag, lambda: tf.constant("a"), lambda: "b")
    assert session.run(s) == b"a"
    assert session.run(s, {flag: False}) == b"b"
