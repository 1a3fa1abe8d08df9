"""Variables in parts, what cuts them, and functions that stand before `get_variable`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorkiln as tf


def parted(count: int = 3, **options: Any) -> Any:
    with tf.variable_scope("s", partitioner=tf.fixed_size_partitioner(count)):
        return tf.get_variable("v", [7, 2], **options)


def test_names_shapes_and_values(evaluate: Any) -> None:
    v = parted(initializer=tf.glorot_uniform_initializer(seed=3))
    assert [part.name for part in v] == ["s/v/part_0:0", "s/v/part_1:0", "s/v/part_2:0"]
    assert [part.shape.as_list() for part in v] == [[3, 2], [2, 2], [2, 2]]
    assert (v.name, v.shape.as_list(), v.dtype, len(v)) == ("s/v", [7, 2], tf.float32, 3)
    assert [v.name for v in tf.global_variables()] == [part.name for part in v]
    assert str(tf.convert_to_tensor(v)) == 'Tensor("s/v:0", shape=(7, 2), dtype=float32)'
    assert v.as_tensor().name == "s/v_1:0"
    # The parts' initializers have one seed; the numbers are TensorFlow's.
    rows = [[-0.1846435, -0.22857618], [0.7787411, -0.67521596], [0.00620741, -0.23106539]]
    expected = [*rows, *rows[:2], *rows[:2]]
    np.testing.assert_allclose(evaluate(v.as_tensor()), expected, rtol=1e-6)


def test_initial_values_assignment_and_lookup(evaluate: Any, session: Any) -> None:
    start = np.arange(14, dtype=np.float32).reshape(7, 2)
    v = tf.get_variable("v", initializer=start, partitioner=tf.fixed_size_partitioner(3))
    ids = np.array([1, 6, 0])
    rows = tf.nn.embedding_lookup(v, ids, partition_strategy="div")
    slopes = tf.gradients(tf.reduce_sum(rows), list(v))
    change = v.assign(v * 2.0)
    whole, found, dense = evaluate(
        [v.as_tensor(), rows, [tf.convert_to_tensor(slope) for slope in slopes]]
    )
    np.testing.assert_array_equal(whole, start)
    np.testing.assert_array_equal(found, start[ids])
    np.testing.assert_array_equal(np.concatenate(dense)[:, 0], [1, 1, 0, 0, 0, 0, 1])
    session.run(change)
    np.testing.assert_array_equal(session.run(v + 0.0), start * 2)


def test_reuse() -> None:
    v = parted()
    with tf.variable_scope("s", reuse=True):
        assert tf.get_variable("v", [7, 2]) is v
    with pytest.raises(ValueError, match="Partitioned variable with name s/v already exists"):
        parted()


def test_partitioners() -> None:
    def cuts(partitioner: Any, *sizes: int, dtype: Any = tf.float32) -> Any:
        return partitioner(shape=tf.TensorShape(sizes), dtype=dtype)

    by_bytes = tf.variable_axis_size_partitioner(100)
    assert [cuts(by_bytes, 100, 4), cuts(by_bytes, 1, 4)] == [[17, 1], [1, 1]]
    assert cuts(by_bytes, 16, 4, dtype=tf.float64) == [6, 1]
    least = tf.min_max_variable_partitioner(5, 0, 64)
    assert [cuts(least, 100, 4), cuts(least, 1, 4)] == [[5, 1], [1, 1]]
    assert cuts(tf.fixed_size_partitioner(9, axis=1), 3, 4) == [1, 4]
    parts = tf.create_partitioned_variables([6, 2], [2, 1], tf.zeros_initializer(), name="cp")
    assert [part.name for part in parts] == ["cp/part_0:0", "cp/part_1:0"]
    with pytest.raises(ValueError, match="Can only slice a variable along one dimension"):
        tf.get_variable("w", [4, 2], partitioner=lambda **_: [2, 2])


def test_custom_getters() -> None:
    seen: list[tuple[str, str]] = []

    def getter(word: str) -> Any:
        def ask(true_getter: Any, name: str, **options: Any) -> Any:
            seen.append((word, name))
            options["dtype"] = tf.float64
            return tf.cast(true_getter(name, **options), tf.float32)

        return ask

    with tf.variable_scope("a", custom_getter=getter("outer")):
        one = tf.get_variable("x", [2])
        with tf.variable_scope("b", custom_getter=getter("inner")):
            tf.get_variable("y", [2])
    assert seen == [("outer", "a/x"), ("inner", "a/b/y"), ("outer", "a/b/y")]
    assert one.dtype == tf.float32
    assert tf.global_variables()[0].dtype.base_dtype == tf.float64
