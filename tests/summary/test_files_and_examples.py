"""tf.gfile, training examples, tf.test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

gfile = tf.gfile


def test_reading_and_writing(tmp_path: Path) -> None:
    path = str(tmp_path / "a.txt")
    with gfile.GFile(path, "w") as file:
        file.write("one\ntwo ü\n")
        file.write(b"three")
        file.flush()
        assert file.size() == 16
    with gfile.Open(path) as file:
        assert file.readline() == "one\n"
        assert file.tell() == 4
        assert list(file) == ["two ü\n", "three"]
        file.seek(0)
        assert file.read(3) == "one"
        assert file.readlines() == ["\n", "two ü\n", "three"]
    assert gfile.FastGFile(path, "rb").read() == b"one\ntwo \xc3\xbc\nthree"
    with gfile.GFile(path, "a") as file:
        file.write("!")
    assert gfile.Stat(path).length == 17
    with pytest.raises(tf.errors.PermissionDeniedError, match="File isn't open for reading"):
        gfile.GFile(path, "w").read()
    with pytest.raises(tf.errors.PermissionDeniedError, match="File isn't open for writing"):
        gfile.GFile(path, "r").write("x")
    with pytest.raises(tf.errors.InvalidArgumentError, match="mode is not"):
        gfile.GFile(path, "x")


def test_folders(tmp_path: Path) -> None:
    top = str(tmp_path / "top")
    gfile.MakeDirs(f"{top}/a/b")
    gfile.MakeDirs(f"{top}/a/b")
    for name in ("2.txt", "1.txt", "c.py"):
        gfile.GFile(f"{top}/{name}", "w").write(name)
    assert gfile.ListDirectory(top) == ["1.txt", "2.txt", "a", "c.py"]
    assert gfile.Glob(f"{top}/*.txt") == [f"{top}/1.txt", f"{top}/2.txt"]
    assert gfile.Glob([f"{top}/*.py", f"{top}/none*"]) == [f"{top}/c.py"]
    assert list(gfile.Walk(top)) == [
        (top, ["a"], ["1.txt", "2.txt", "c.py"]), (f"{top}/a", ["b"], []), (f"{top}/a/b", [], []),
    ]  # fmt: skip
    assert [folder for folder, _, _ in gfile.Walk(top, in_order=False)][-1] == top
    assert gfile.Exists(top)
    assert gfile.IsDirectory(top)
    assert gfile.Stat(top).is_directory
    gfile.Copy(f"{top}/c.py", f"{top}/d.py")
    with pytest.raises(tf.errors.AlreadyExistsError, match="file already exists"):
        gfile.Copy(f"{top}/1.txt", f"{top}/d.py")
    gfile.Rename(f"{top}/1.txt", f"{top}/d.py", overwrite=True)
    assert gfile.GFile(f"{top}/d.py").read() == "1.txt"
    gfile.Remove(f"{top}/d.py")
    assert gfile.ListDirectory(top) == ["2.txt", "a", "c.py"]
    gfile.DeleteRecursively(top)
    assert not gfile.Exists(top)


@pytest.mark.parametrize(
    "deed",
    [
        lambda p: gfile.GFile(p).read(), gfile.Remove, gfile.ListDirectory, gfile.Stat,
        gfile.DeleteRecursively, lambda p: gfile.Rename(p, f"{p}2"), lambda p: gfile.MkDir(f"{p}/x"),
    ],
)  # fmt: skip
def test_what_is_not_there(deed: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "none")
    with pytest.raises(tf.errors.NotFoundError, match=os.path.basename(path)):
        deed(path)


def test_what_is_in_the_way(tmp_path: Path) -> None:
    gfile.MkDir(tmp_path)  # no error, as in TensorFlow
    with pytest.raises(tf.errors.InvalidArgumentError, match="mode is not 'r' or 'w' or 'a' or"):
        gfile.GFile(tmp_path / "x", "q")
    with pytest.raises(tf.errors.FailedPreconditionError, match="Is a directory"):
        gfile.GFile(tmp_path).read()


def example(**features: Any) -> bytes:
    lists = {int: "int64_list", float: "float_list", bytes: "bytes_list"}
    kinds = {
        key: tf.train.Feature(**{lists[type(values[0])]: {"value": values}})
        for key, values in features.items()
    }
    data: bytes = tf.train.Example(features=tf.train.Features(feature=kinds)).SerializeToString()
    return data


SPEC = {
    "i": tf.FixedLenFeature([2], tf.int64),
    "f": tf.FixedLenFeature([], tf.float32),
    "b": tf.FixedLenFeature([1], tf.string, default_value=b"none"),
}


def test_wire_format_of_an_example() -> None:
    """By hand after the protocol buffers' encoding: nested fields 1, 1, key 1, value 2, kind 3."""
    assert example(a=[1, 300]) == bytes.fromhex("0a0e 0a0c 0a01 61 1207 1a05 0a03 01ac02")


def test_examples() -> None:
    data = [example(i=[1, -2], f=[0.5], b=[b"x\0"]), example(i=[3, 4], f=[-1.0])]
    with tf.Graph().as_default(), tf.Session() as session:
        batch = tf.parse_example(tf.constant(data), SPEC)
        one = tf.parse_single_example(tf.constant(data[0]), SPEC)
        assert [batch[key].shape.as_list() for key in "ifb"] == [[2, 2], [2], [2, 1]]
        assert [one[key].shape.as_list() for key in "ifb"] == [[2], [], [1]]
        doubled = session.run(tf.reduce_sum(batch["i"]) * 2)
        assert doubled == 12
        found = session.run(batch)
        assert found["i"].tolist() == [[1, -2], [3, 4]]
        assert found["f"].tolist() == [0.5, -1.0]
        assert found["b"].tolist() == [[b"x\0"], [b"none"]]
        assert session.run(one)["i"].tolist() == [1, -2]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (example(i=[1, 2]), r"Feature: f \(data type: float\) is required but could not be found."),
        (example(i=[1, 2], f=[1]), r"Key: f.  Data types don't match. Data type: int64 but expec"),
        (example(i=[1], f=[1.0]), r"Key: i.  Number of int64 values != expected.  Values size: 1"),
        (b"\xff", r"Could not parse example input"),
    ],
    ids=["missing", "dtype", "size", "garbage"],  # bytes of a map have no fixed order
)
def test_wrong_examples(data: bytes, message: str) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        one = tf.parse_single_example(data, SPEC)
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            session.run(one)


def test_wrong_features() -> None:
    with tf.Graph().as_default():
        with pytest.raises(ValueError, match="must be fully defined"):
            tf.parse_single_example("", {"a": tf.FixedLenFeature([None], tf.int64)})
        with pytest.raises(ValueError, match="has type int32; it may be float32, int64 or string"):
            tf.parse_single_example("", {"a": tf.FixedLenFeature([], tf.int32)})
        with pytest.raises(ValueError, match="Missing features"):
            tf.parse_example([""], {})


def test_decode_raw() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        raw = tf.decode_raw([b"\1\0\2\0", b"\0\0\0\1"], tf.int16)
        assert raw.shape.as_list() == [2, None]
        assert session.run(raw + tf.cast(1, tf.int16)).tolist() == [[2, 3], [1, 257]]
        big = tf.decode_raw(b"\0\1", tf.uint16, little_endian=False)
        assert session.run(big).tolist() == [1]
        assert session.run(tf.decode_raw(np.zeros(0, "S1"), tf.uint8)).shape == (0, 0)
        for data, text in (([b"ab", b"a"], "same size"), ([b"abc"], "not a multiple of 2")):
            with pytest.raises(tf.errors.InvalidArgumentError, match=text):
                session.run(tf.decode_raw(data, tf.int16))


def test_test_case() -> None:
    class Sample(tf.test.TestCase):  # type: ignore[misc]
        """What test_test_case runs."""

        def runTest(self) -> None:
            with self.test_session():
                x = tf.constant([1.0, 2.0])
                self.assertAllEqual(x, [1, 2])
                self.assertAllClose(self.evaluate({"y": x}), {"y": [1.0, 2.0 + 1e-7]})
                self.assertNotAllClose(x, [1.0, 2.1])
                self.assertShapeEqual(np.zeros(2), x)
                with self.assertRaisesOpError("uninitialized"):
                    tf.Variable(1.0).eval()
                with self.assertRaisesWithPredicateMatch(ValueError, lambda e: "a" in str(e)):
                    raise ValueError("a")
            self.assertNear(1.0, 1.1, 0.2)
            self.assertArrayNear([1.0], [1.0], 0)
            with pytest.raises(AssertionError):
                self.assertAllEqual([1, 2], [1, 3])
            with pytest.raises(AssertionError):
                self.assertAllClose([1.0], [1.1])
            Path(self.get_temp_dir(), "file").write_text("x")

    result = Sample().run()
    assert result is not None
    assert result.errors == result.failures == []
    assert result.testsRun == 1


def test_versions() -> None:
    assert tf.VERSION.split(".")[0] == "1"
    assert tf.GRAPH_DEF_VERSION > 20
    assert isinstance(tf.GIT_VERSION, str)


def test_compute_gradient() -> None:
    with tf.Graph().as_default(), tf.Session():
        x = tf.placeholder(tf.float64, [2, 3])
        w = tf.Variable(np.arange(6.0).reshape(3, 2))
        y = tf.matmul(tf.square(x), w)
        at = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        init = w.initializer
        exact, numeric = tf.test.compute_gradient(x, [2, 3], y, [2, 2], at, init_targets=init)
        assert exact.shape == (6, 4)
        assert exact[1].tolist() == [8.0, 12.0, 0.0, 0.0]
        np.testing.assert_allclose(exact, numeric, rtol=1e-6)
        assert tf.test.compute_gradient_error(x, [2, 3], y, [2, 2]) < 1e-6
        wrong = tf.stop_gradient(x) * x
        assert tf.test.compute_gradient_error(x, [2, 3], wrong, [2, 3], at) > 3.9
    with pytest.raises(ValueError, match="needs a default session"):
        tf.test.compute_gradient(x, [2, 3], y, [2, 2])
