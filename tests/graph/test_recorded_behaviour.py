"""What functions of sections 4 to 8 of the interface give, or how they refuse: recorded from
TensorFlow 2.21's compat.v1, error texts of 1.15 where those differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

VALUES: dict[str, tuple[Callable[[], Any], Any]] = {
    "zeros like texts": (lambda: tf.zeros_like(tf.constant(["a", "b"])), [b"", b""]),
    "fill with a text": (lambda: tf.fill([2], "x"), [b"x", b"x"]),
    "range of floats": (lambda: tf.range(1, 2.5, 0.5), [1.0, 1.5, 2.0]),
    "equal texts": (lambda: tf.equal(["a", "b"], ["a", "c"]), [True, False]),
    "different texts": (lambda: tf.not_equal("a", "b"), True),
    "divide is true division": (lambda: tf.divide(7, 2), 3.5),
    "leaky relu of integers": (lambda: tf.nn.leaky_relu([-1, 2], alpha=0.5), [-0.5, 2.0]),
    "labels that are integers": (
        lambda: tf.nn.softmax_cross_entropy_with_logits(
            labels=tf.one_hot([0], 2, dtype=tf.int32), logits=[[1.0, 2.0]]
        ),
        [1.3132617],
    ),
    "rounded integers": (lambda: tf.round([1, 2]), [1, 2]),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str, session: Any) -> None:
    make, expected = VALUES[name]
    made = make()
    found = np.asarray(session.run(made))
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    else:
        assert found.tolist() == expected
    assert made.shape.as_list() == list(found.shape)


REFUSED: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "a range that goes backwards": (
        ValueError, "Requires start <= limit when delta > 0: 5/1", lambda: tf.range(5, 1),
    ),
    "a range that goes forwards": (
        ValueError, "Requires start >= limit when delta < 0: 1/5", lambda: tf.range(1, 5, -1),
    ),
    "uniform bytes": (
        ValueError, "Argument `dtype` got invalid value",
        lambda: tf.random_uniform([2], dtype=tf.int8, maxval=3),
    ),
    "the old order of concat": (
        ValueError, "must have rank 0", lambda: tf.concat(0, [[1, 2], [3, 4]]),
    ),
    "a condition of other length": (
        ValueError, "Dimension 0 in both shapes must be equal, but are 1 and 2",
        lambda: tf.where([True], [1, 2], [3, 4]),
    ),
    "one_hot of floats": (TypeError, "parameter 'indices'", lambda: tf.one_hot([0.5], 2)),
    "scalar_mul by a vector": (
        ValueError, "Only scalar multiply works", lambda: tf.scalar_mul([1.0], tf.ones([2])),
    ),
    "a sum of different shapes": (
        ValueError, "Dimension 0 in both shapes must be equal, but are 1 and 2",
        lambda: tf.add_n([tf.ones([1]), tf.ones([2])]),
    ),
    "bias of a vector": (
        ValueError, "Shape must be at least rank 2 but is rank 1",
        lambda: tf.nn.bias_add([1.0], [1.0]),
    ),
    "strides with dilation": (
        ValueError, "strides > 1 not supported in conjunction with dilation_rate > 1",
        lambda: tf.nn.convolution(
            tf.ones([1, 8, 8, 1]), tf.ones([3, 3, 1, 1]), "SAME", [2, 2], [2, 2]
        ),
    ),
    "softmax along no dim": (
        tf.errors.InvalidArgumentError, "`dim` must be in the range",
        lambda: tf.nn.softmax([[1.0]], axis=3),
    ),
    "a constant with a shape": (
        ValueError, "If initializer is a constant, do not specify shape.",
        lambda: tf.get_variable("a", [2], initializer=tf.constant([3.0, 4.0])),
    ),
    "counting up a float": (TypeError, "parameter 'ref'", lambda: tf.Variable(1.0).count_up_to(3)),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    kind, text, make = REFUSED[name]
    with pytest.raises(kind, match=text):
        make()


def test_no_integer_between_bounds(session: Any) -> None:
    drawn = tf.random_uniform([3], 5, 5, dtype=tf.int32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Need minval < maxval, got 5 >= 5"):
        session.run(drawn)


def test_random_crop_counts_the_ops_that_tensorflow_makes(graph: Any) -> None:
    tf.set_random_seed(7)
    tf.random_crop(tf.zeros([4]), [2])
    assert graph.version == 19
    assert graph.get_operation_by_name("random_crop/random_uniform").get_attr("seed2") == 16


def test_dropout_keeps_the_shape() -> None:
    assert tf.nn.dropout(tf.ones([2, 3]), tf.placeholder(tf.float32)).shape == [2, 3]


def test_counting_up(any_session: Any) -> None:
    v = tf.Variable(1)
    counted = tf.count_up_to(v, 3)
    any_session.run(v.initializer)
    assert [any_session.run(counted) for _ in range(2)] == [1, 2]
    with pytest.raises(tf.errors.OutOfRangeError, match="Reached limit of 3"):
        any_session.run(counted)
    assert any_session.run(v) == 3


SLICES = {
    "one": (np.s_[1], 9.0),
    "a row": (np.s_[0, :], [7.0, 8.0, 9.0]),
    "steps": (np.s_[:, ::2], [[1.0, 2.0], [3.0, 4.0]]),
    "backwards": (np.s_[::-1, 1:], [[1.0, 2.0], [3.0, 4.0]]),
    "new axes": (np.s_[..., None, 2], [[5.0], [6.0]]),
    "a column that spreads": (np.s_[:, 0:2], [[5.0], [6.0]]),
    "nothing": (np.s_[2:], np.zeros((0, 3))),
    "all": (np.s_[...], np.ones((2, 3))),
}


@pytest.mark.parametrize("name", SLICES)
def test_parts_of_variables_are_set(name: str, session: Any) -> None:
    key, value = SLICES[name]
    start = np.arange(6, dtype=np.float32).reshape(2, 3)
    v = tf.Variable(start)
    changed = v[key].assign(value)
    session.run(v.initializer)
    expected = start.copy()
    expected[key] = value
    np.testing.assert_array_equal(session.run(changed), expected)
    np.testing.assert_array_equal(session.run(v), expected)


def test_an_element_whose_place_is_fed(any_session: Any) -> None:
    v, k = tf.Variable([[1.0, 2.0], [3.0, 4.0]]), tf.placeholder(tf.int32, [])
    changed = v[k].assign([9.0, 8.0])
    one = v[k, 1].assign(0.0)
    any_session.run(v.initializer)
    assert any_session.run(changed, {k: -1}).tolist() == [[1, 2], [9, 8]]
    assert any_session.run(one, {k: 0}).tolist() == [[1, 0], [9, 8]]


def test_a_value_that_does_not_fit(session: Any) -> None:
    v = tf.Variable([1.0, 2.0, 3.0])
    changed = v[:2].assign([1.0, 2.0, 3.0])
    session.run(v.initializer)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"to a part of shape \(2,\)"):
        session.run(changed)
