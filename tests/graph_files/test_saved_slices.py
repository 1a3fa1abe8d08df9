"""Variables in parts are saved as slices of one tensor, as TensorFlow saves them.

`data/parts` was written by TensorFlow 2.21 (compat.v1): s/v in three rows, c/w in two columns, x.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.frontends.graph.files.bundle import Bundle
from tensorkiln.frontends.graph.save_slices import Slice, parse_slice

DATA = Path(__file__).parent / "data"
V = np.arange(21, dtype=np.float32).reshape(7, 3)
W = np.arange(10, dtype=np.int32).reshape(2, 5)


@pytest.fixture(autouse=True)
def graph() -> Iterator[Any]:
    with tf.Graph().as_default() as g:
        yield g


def rows(count: int) -> Any:
    return tf.fixed_size_partitioner(count)


def columns(shape: Any, dtype: Any) -> list[int]:
    return [1, 2]


def variables(filled: bool, v_parts: Any, w_parts: Any) -> tuple[Any, Any, Any]:
    zeros = tf.zeros_initializer()
    with tf.variable_scope("s", partitioner=v_parts):
        v = tf.get_variable("v", [7, 3], initializer=tf.constant(V) if filled else zeros)
    with tf.variable_scope("c", partitioner=w_parts):
        value = tf.constant(W) if filled else zeros
        w = tf.get_variable("w", [2, 5], None if filled else tf.int32, value)
    return v, w, tf.get_variable("x", [2], initializer=tf.ones_initializer())


def new_session() -> Any:
    return tf.Session(config=tf.ConfigProto(interpreted=True))


def restored(path: str, v_parts: Any, w_parts: Any) -> list[Any]:
    with tf.Graph().as_default(), new_session() as session:
        v, w, _ = variables(False, v_parts, w_parts)
        tf.train.Saver().restore(session, path)
        return list(session.run([tf.identity(v), tf.identity(w)]))


@pytest.fixture
def saved(tmp_path: Path) -> str:
    with new_session() as session:
        variables(True, rows(3), columns)
        session.run(tf.global_variables_initializer())
        return str(tf.train.Saver().save(session, str(tmp_path / "m")))


PARTS = {"the same": (rows(3), columns), "other": (rows(2), rows(2)), "one": (rows(1), rows(1))}


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("ours", [True, False])
def test_values_come_back_into_any_parts(parts: str, ours: bool, saved: str) -> None:
    v, w = restored(saved if ours else str(DATA / "parts"), *PARTS[parts])
    np.testing.assert_array_equal(v, V)
    np.testing.assert_array_equal(w, W)


def test_the_file_is_that_of_tensorflow(saved: str) -> None:
    name = ".data-00000-of-00001"
    assert Path(saved + name).read_bytes() == Path(f"{DATA / 'parts'}{name}").read_bytes()
    ours, theirs = Bundle(saved), Bundle(str(DATA / "parts"))
    assert {k: str(e) for k, e in ours.entries.items()} == {
        k: str(e) for k, e in theirs.entries.items()
    }
    assert {k: str(e) for k, e in ours._slices.items()} == {
        k: str(e) for k, e in theirs._slices.items()
    }
    assert [(n, list(s)) for n, s in tf.train.list_variables(saved)] == [
        ("c/w", [2, 5]), ("s/v", [7, 3]), ("x", [2]),
    ]  # fmt: skip
    np.testing.assert_array_equal(tf.train.load_variable(saved, "s/v"), V)


def test_whole_variables_take_what_was_saved_in_parts(saved: str) -> None:
    with tf.Graph().as_default(), new_session() as session:
        v = tf.get_variable("v", [7, 3])
        tf.train.Saver({"s/v": v}).restore(session, saved)
        np.testing.assert_array_equal(session.run(v), V)


def test_parts_under_another_name(tmp_path: Path) -> None:
    with new_session() as session:
        v, _, x = variables(True, rows(3), columns)
        session.run(tf.global_variables_initializer())
        path = tf.train.Saver({"renamed": v, "x": x}).save(session, str(tmp_path / "m"))
        listed = tf.train.Saver([v]).save(session, str(tmp_path / "n"))
    assert [name for name, _ in tf.train.list_variables(path)] == ["renamed", "x"]
    assert [name for name, _ in tf.train.list_variables(listed)] == ["s/v"]


def test_meta_graphs_keep_the_slices(saved: str) -> None:
    with tf.Graph().as_default(), new_session() as session:
        tf.train.import_meta_graph(f"{saved}.meta").restore(session, saved)
        np.testing.assert_array_equal(session.run("s/v/part_1:0"), V[3:5])


def test_shapes_that_differ(saved: str) -> None:
    with tf.Graph().as_default(), new_session() as session:
        with tf.variable_scope("s", partitioner=rows(2)):
            tf.get_variable("v", [8, 3])
        with pytest.raises(tf.errors.InvalidArgumentError, match="shape_and_slice spec"):
            tf.train.Saver().restore(session, saved)


def test_what_is_no_slice() -> None:
    with pytest.raises(ValueError, match="Slices must all be slices"):
        tf.train.Saver({"a": [tf.Variable(1.0), tf.Variable(2.0)]})


def test_text_of_slices() -> None:
    part = Slice((10, 4), (5, 0), (5, 4))
    assert part.spec == "10 4 5,5:0,4"
    assert parse_slice(part.spec) == part
    assert parse_slice("10 4 -:1,2") == Slice((10, 4), (0, 1), (10, 2))
    for wrong in ("", "10", "10 4 0,5", "10 8,5", "a b"):
        with pytest.raises(ValueError, match=r"is no shape and slice|slice of|leaves its tensor"):
            parse_slice(wrong)
