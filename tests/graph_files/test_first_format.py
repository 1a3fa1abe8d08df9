"""Checkpoints of TensorFlow's first format; data/first_format was written by TensorFlow 2.21."""

from pathlib import Path

import numpy as np
import pytest

import tensorkiln as tf

DATA = str(Path(__file__).parent / "data" / "first_format")


@pytest.fixture(autouse=True)
def _fresh_graph() -> None:
    tf.reset_default_graph()


def test_every_element_type() -> None:
    reader = tf.train.NewCheckpointReader(DATA)
    kinds = {n for n in reader.get_variable_to_shape_map() if n.startswith("k/")}
    assert len(kinds) == 10
    for name in kinds:
        kind = np.dtype(name.removeprefix("k/"))
        found = reader.get_tensor(name)
        assert found.dtype == kind == reader.get_variable_to_dtype_map()[name].as_numpy_dtype
        expected = np.arange(6).reshape(2, 3) % (2 if kind.kind == "b" else 6)
        np.testing.assert_array_equal(found, expected.astype(kind))
    assert dict(tf.train.list_variables(DATA))["p"] == [6, 2]
    with pytest.raises(tf.errors.NotFoundError, match="missing"):
        reader.get_tensor("missing")


def test_restore_with_a_variable_in_slices() -> None:
    s, p = tf.get_variable("s", []), tf.get_variable("p", [6, 2])
    with tf.Session() as sess:
        tf.train.Saver().restore(sess, DATA)
        assert sess.run(s) == 3.5
        np.testing.assert_array_equal(sess.run(p), np.ones((6, 2)))
        wrong = tf.Variable(tf.zeros([3]), name="wrong")
        with pytest.raises(tf.errors.InvalidArgumentError, match="shape"):
            tf.train.Saver({"s": wrong}).restore(sess, DATA)


def test_several_files(tmp_path: Path) -> None:
    whole = Path(DATA).read_bytes()
    (tmp_path / "m-00000-of-00001").write_bytes(whole)
    assert tf.train.checkpoint_exists(str(tmp_path / "m"))
    assert tf.train.load_variable(str(tmp_path / "m"), "s") == 3.5
    assert not tf.train.checkpoint_exists(str(tmp_path / "n"))


def test_broken_files(tmp_path: Path) -> None:
    whole = Path(DATA).read_bytes()
    path = tmp_path / "m"
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(tf.errors.DataLossError, match="m: Data loss"):
            tf.train.NewCheckpointReader(str(path))
    for place in range(0, len(whole) - 60, 37):
        broken = bytearray(whole)
        broken[place] ^= 0xFF
        path.write_bytes(broken)
        with pytest.raises(tf.errors.DataLossError):
            tf.train.NewCheckpointReader(str(path)).get_tensor("k/float32")
