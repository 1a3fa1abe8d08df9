"""Indices out of range, shapes that do not fit, and sizes that change from run to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from graph.conftest import new_session

import tensorkiln as tf


def _fed(values: Any) -> Any:
    array = np.asarray(values)
    if array.dtype == np.int64:
        array = array.astype(np.int32)
    return tf.placeholder_with_default(array.astype(array.dtype), array.shape)


ROWS = np.float32([[1, 2], [3, 4], [5, 6]])
BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "gather": (lambda: tf.gather(ROWS, _fed([0, 5])), r"indices\[1\] = 5 is not in \[0, 3\)"),
    "gather constant": (lambda: tf.gather(ROWS, [[0, -1]]), r"indices\[0,1\] = -1 is not in \[0, 3\)"),
    "gather_nd": (
        lambda: tf.gather_nd(ROWS, _fed([[0, 1], [1, 9]])),
        r"indices\[1\] = \[1, 9\] does not index into param shape \[3,2\]",
    ),
    "scatter_nd": (
        lambda: tf.scatter_nd(_fed([[0], [5]]), [1.0, 2.0], [3]),
        r"indices\[1\] = \[5\] does not index into shape \[3\]",
    ),
    "segments not sorted": (
        lambda: tf.segment_sum(ROWS, [1, 0, 2]), "segment ids are not increasing",
    ),
    "segments negative": (
        lambda: tf.segment_sum(ROWS, _fed([-1, 0, 2])), "segment ids must be >= 0",
    ),
    "segments too few": (
        lambda: tf.segment_sum(ROWS, [0, 0]),
        "segment_ids should be the same size as dimension 0 of input.",
    ),
    "unsorted": (
        lambda: tf.unsorted_segment_sum(ROWS, _fed([0, 5, -1]), 2),
        r"segment_ids\[1\] = 5 is out of range \[0, 2\)",
    ),
    "partition": (
        lambda: tf.dynamic_partition(ROWS, [0, 4, 0], 3), r"partitions\[1\] = 4 is not in \[0, 3\)",
    ),
    "scan axis": (
        lambda: tf.cumsum(ROWS, 2),
        r"ScanOp: Expected scan axis in the range \[-2, 2\), but got 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_indices_out_of_range_are_reported_as_tensorflow_does(name: str, session: Any) -> None:
    make, message = BAD[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message) as caught:
        session.run(make())
    assert "test_indices.py" in str(caught.value)


STATIC: dict[str, tuple[Callable[[], Any], str]] = {
    "axis": (lambda: tf.gather([1.0, 2.0], [0], axis=3), "at least rank 4 but is rank 1"),
    "tuples": (lambda: tf.gather_nd(ROWS, [[0, 1, 2]]), r"indices.shape\[-1\] must be <="),
    "updates": (
        lambda: tf.scatter_nd([[0], [1]], [1.0, 2.0, 3.0], [3]),
        r"Dimensions \[0,1\) of indices\[shape=\[2,1\]\] = \[2\] must match dimensions \[0,1\) of",
    ),
    "mask": (
        lambda: tf.boolean_mask(ROWS, [True, False]), r"Shapes \(3,\) and \(2,\) are incompatible",
    ),
    "scalar mask": (lambda: tf.boolean_mask(ROWS, True), "mask cannot be scalar."),
}  # fmt: skip


@pytest.mark.parametrize("name", STATIC)
def test_shapes_that_do_not_fit_are_refused_while_the_graph_is_built(name: str) -> None:
    make, message = STATIC[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_a_bad_index_leaves_the_variable_as_it_was(any_session: Any) -> None:
    variable = tf.Variable(np.float32([1, 2, 3]))
    places = tf.placeholder(tf.int32, [None])
    changed = tf.scatter_add(variable, places, [10.0, 20.0])
    any_session.run(variable.initializer)
    any_session.run(changed, {places: [0, 2]})
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"indices\[1\] = 3 is not in"):
        any_session.run(changed, {places: [0, 3]})
    assert any_session.run(variable).tolist() == [11, 2, 23]


def test_sizes_may_change_from_run_to_run() -> None:
    x = tf.placeholder(tf.float32, [None])
    ids = tf.placeholder(tf.int32, [None])
    kept = tf.boolean_mask(x, x > 0)
    fetches = [tf.reduce_sum(kept * kept), tf.gradients(kept * kept, x)[0], tf.segment_sum(x, ids)]
    with new_session(interpreted=False) as session:
        for size in (1, 4, 3):
            values = np.arange(-1, size - 1).astype(np.float32)
            given = np.sort(np.arange(size) // 2 * 2).astype(np.int32)
            total, slope, sums = session.run(fetches, {x: values, ids: given})
            positive = np.maximum(values, 0)
            assert total == pytest.approx((positive**2).sum())
            np.testing.assert_allclose(slope, 2 * positive)
            expected = np.zeros(given[-1] + 1, np.float32)
            np.add.at(expected, given, values)
            np.testing.assert_allclose(sums, expected)


def test_variables_change_rows_by_slices(session: Any) -> None:
    variable = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    rows = tf.IndexedSlices(tf.constant([[10.0, 20.0]]), tf.constant([1]))
    session.run(variable.initializer)
    for method, expected in (
        ("scatter_add", [13, 24]), ("scatter_sub", [3, 4]), ("scatter_mul", [30, 80]),
        ("scatter_div", [3, 4]), ("scatter_max", [10, 20]), ("scatter_min", [10, 20]),
        ("scatter_update", [10, 20]),
    ):  # fmt: skip
        changed = getattr(variable, method)(rows)
        assert session.run(changed)[1].tolist() == expected, method
        with pytest.raises(TypeError, match="sparse_delta is not IndexedSlices: 3"):
            getattr(variable, method)(3)
    session.run(variable.scatter_nd_add([[0, 1]], [5.0]))
    session.run(variable.scatter_nd_sub([[2]], [[1.0, 1.0]]))
    session.run(variable.scatter_nd_update([[1, 0]], [0.5]))
    assert session.run(variable).tolist() == [[1, 7], [0.5, 20], [4, 5]]
    picked = session.run([variable.sparse_read([2]), variable.gather_nd([[1, 1]])])
    assert [p.tolist() for p in picked] == [[[4, 5]], [20]]


def test_strings_are_gathered_by_the_host(session: Any) -> None:
    names = tf.constant([b"cat", b"dog", b"eel"])
    best = tf.argmax(tf.placeholder_with_default([[0.1, 0.7, 0.2], [0.9, 0, 0]], [2, 3]), 1)
    assert session.run(tf.gather(names, best)).tolist() == [b"dog", b"cat"]
    assert session.run(tf.unique(tf.constant([b"b", b"a", b"b"])).y).tolist() == [b"b", b"a"]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"indices\[0\] = 3 is not in"):
        session.run(tf.gather(names, [3]))
