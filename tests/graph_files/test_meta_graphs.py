import logging
from pathlib import Path

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.runtime.errors import ModelError

DATA = Path(__file__).parent / "data"
VALUE = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)


@pytest.fixture(autouse=True)
def _fresh_graph() -> None:
    tf.reset_default_graph()


def trained(folder: Path) -> tuple[str, np.ndarray, np.ndarray]:
    """A checkpoint with its meta graph, the prediction there, and the loss of the next step."""
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    with tf.variable_scope("net"):
        w = tf.get_variable("w", [3, 2])
    y = tf.matmul(x, w, name="y")
    step = tf.train.get_or_create_global_step()
    loss = tf.reduce_mean(tf.square(y - 1.0), name="loss")
    train = tf.train.AdamOptimizer(0.1).minimize(loss, global_step=step)
    for item in (train, loss):
        tf.add_to_collection("mine", item)
    tf.add_to_collection("sizes", 7)
    tf.add_to_collection("rates", 0.5)
    tf.add_to_collection("texts", "abc")
    tf.add_to_collection("objects", object())
    saver = tf.train.Saver()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(train, {x: VALUE})
        path = saver.save(sess, f"{folder}/m", global_step=step)
        prediction = sess.run(y, {x: VALUE})
        return path, prediction, sess.run([train, loss], {x: VALUE})[1]


def test_a_model_goes_on_from_its_files_alone(tmp_path: Path) -> None:
    path, prediction, loss = trained(tmp_path)
    tf.reset_default_graph()
    saver = tf.train.import_meta_graph(f"{path}.meta")
    train, loss_tensor = tf.get_collection("mine")
    assert [v.name for v in tf.trainable_variables()] == ["net/w:0"]
    assert [v.name for v in tf.global_variables()] == [
        "net/w:0", "global_step:0", "beta1_power:0", "beta2_power:0", "net/w/Adam:0",
        "net/w/Adam_1:0",
    ]  # fmt: skip
    assert tf.global_variables()[0] is tf.trainable_variables()[0]
    assert tf.get_collection("sizes") == [7]
    assert tf.get_collection("rates") == [0.5]
    assert tf.get_collection("texts") == [b"abc"]
    assert tf.get_collection("objects") == []
    with tf.Session() as sess:
        saver.restore(sess, path)
        np.testing.assert_array_equal(sess.run("y:0", {"x:0": VALUE}), prediction)
        assert sess.run(tf.train.get_global_step()) == 1
        assert sess.run([train, loss_tensor], {"x:0": VALUE})[1] == loss
        saver.save(sess, f"{tmp_path}/again")
        sess.run(tf.global_variables_initializer())


def test_below_a_scope_and_as_text(tmp_path: Path) -> None:
    path, prediction, _ = trained(tmp_path)
    tf.train.export_meta_graph(f"{tmp_path}/g.txt", as_text=True, collection_list=["variables"])
    tf.reset_default_graph()
    saver = tf.train.import_meta_graph(f"{path}.meta", import_scope="old")
    with tf.Session() as sess:
        saver.restore(sess, path)
        np.testing.assert_array_equal(sess.run("old/y:0", {"old/x:0": VALUE}), prediction)
    tf.reset_default_graph()
    saver = tf.train.import_meta_graph(f"{tmp_path}/g.txt")
    assert tf.get_collection("mine") == []
    with tf.Session() as sess:
        saver.restore(sess, path)
        np.testing.assert_array_equal(sess.run("y:0", {"x:0": VALUE}), prediction)


def test_a_meta_graph_of_tensorflow_without_what_cannot_be_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Written by TensorFlow 2.21 with a queue, a while loop, gradients and a sharded saver."""
    with caplog.at_level(logging.WARNING):
        saver = tf.train.import_meta_graph(str(DATA / "trained.meta"))
    assert "op types that cannot be read" in caplog.text
    expected = np.load(DATA / "trained.npz")
    with tf.Session() as sess:
        saver.restore(sess, str(DATA / "trained"))
        found = sess.run("y:0", {"x:0": expected["x"]})
    np.testing.assert_allclose(found, expected["y"], rtol=1e-6)


def test_broken_files(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"File does not exist. Received: nothing.meta"):
        tf.train.import_meta_graph("nothing.meta")
    (tmp_path / "x.meta").write_bytes(b"\xff\xff\xff")
    with pytest.raises(ModelError, match=r"cannot parse .*x\.meta"):
        tf.train.import_meta_graph(f"{tmp_path}/x.meta")
    tf.constant(1.0)
    tf.train.export_meta_graph(f"{tmp_path}/empty.meta")
    tf.reset_default_graph()
    assert tf.train.import_meta_graph(f"{tmp_path}/empty.meta") is None
