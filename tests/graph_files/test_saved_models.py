from pathlib import Path

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.runtime.errors import ModelError

VALUE = np.arange(6, dtype=np.float32).reshape(2, 3)
KEY = tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY
SERVING = tf.saved_model.tag_constants.SERVING


@pytest.fixture(autouse=True)
def _fresh_graph() -> None:
    tf.reset_default_graph()


def model() -> tuple[tf.Tensor, tf.Tensor, tf.Operation]:
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    w = tf.get_variable("w", [3, 2])
    y = tf.nn.softmax(tf.matmul(x, w), name="y")
    return x, y, tf.train.AdamOptimizer().minimize(tf.reduce_sum(tf.square(y)))


def predict(folder: Path, tags: list[str], scope: str | None = None) -> np.ndarray:
    with tf.Session(graph=tf.Graph()) as sess:
        meta = tf.saved_model.loader.load(sess, tags, str(folder), import_scope=scope)
        signature = meta.signature_def[KEY]
        assert signature.method_name == "tensorflow/serving/predict"
        graph = tf.get_default_graph()
        x, y = (
            tf.saved_model.utils.get_tensor_from_tensor_info(info, graph, scope)
            for info in (signature.inputs["in"], signature.outputs["out"])
        )
        return sess.run(y, {x: VALUE})


def test_simple_save_and_load(tmp_path: Path) -> None:
    x, y, train = model()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(train, {x: VALUE})
        expected = sess.run(y, {x: VALUE})
        tf.saved_model.simple_save(sess, f"{tmp_path}/m", {"in": x}, {"out": y})
    assert sorted(p.name for p in (tmp_path / "m").rglob("*")) == [
        "saved_model.pb", "variables", "variables.data-00000-of-00001", "variables.index",
    ]  # fmt: skip
    np.testing.assert_array_equal(predict(tmp_path / "m", [SERVING]), expected)
    np.testing.assert_array_equal(predict(tmp_path / "m", [SERVING], "scope"), expected)
    assert tf.saved_model.contains_saved_model(f"{tmp_path}/m")
    assert not tf.saved_model.contains_saved_model(str(tmp_path))


def test_several_meta_graphs_assets_and_a_first_op_as_text(tmp_path: Path) -> None:
    x, y, _ = model()
    (tmp_path / "words.txt").write_text("a b")
    asset = tf.constant(f"{tmp_path}/words.txt", name="words")
    ready = tf.get_variable("ready", [], initializer=tf.zeros_initializer())
    signature = tf.saved_model.signature_def_utils.predict_signature_def({"in": x}, {"out": y})
    assert tf.saved_model.signature_def_utils.is_valid_signature(signature)
    builder = tf.saved_model.builder.SavedModelBuilder(f"{tmp_path}/m")
    with pytest.raises(AssertionError, match="has not been saved yet"):
        builder.add_meta_graph([SERVING])
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        expected = sess.run(y, {x: VALUE})
        first = tf.assign(ready, 1.0, name="first").op
        builder.add_meta_graph_and_variables(
            sess, [SERVING, "gpu"], {KEY: signature}, [asset], main_op=first
        )
        builder.add_meta_graph([SERVING], {KEY: signature})
        with pytest.raises(AssertionError, match="already been saved"):
            builder.add_meta_graph_and_variables(sess, ["again"])
    assert builder.save(as_text=True) == f"{tmp_path}/m/saved_model.pbtxt".encode()
    assert (tmp_path / "m/assets/words.txt").read_text() == "a b"
    np.testing.assert_array_equal(predict(tmp_path / "m", ["gpu", SERVING]), expected)
    np.testing.assert_array_equal(predict(tmp_path / "m", [SERVING]), expected)
    with tf.Session(graph=tf.Graph()) as sess:
        tf.saved_model.load(sess, [SERVING, "gpu"], f"{tmp_path}/m")
        assert sess.run("ready:0") == 1.0
    with tf.Session(graph=tf.Graph()) as sess:
        tf.saved_model.load(sess, [SERVING], f"{tmp_path}/m")
        assert sess.run("ready:0") == 0.0


def test_what_is_written_holds_no_op_that_tensorflow_lacks(tmp_path: Path) -> None:
    x, y, train = model()
    tf.add_to_collection("train", train)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        tf.saved_model.simple_save(sess, f"{tmp_path}/m", {"in": x}, {"out": y})
    message = tf.saved_model.loader.read_saved_model(f"{tmp_path}/m").meta_graphs[0]
    types = {node.op for node in message.graph_def.node}
    assert {"VariableV2", "Softmax", "RestoreV2"} <= types
    assert not {"SymbolicGradient", "ApplyAdam"} & types
    assert "train" not in message.collection_def


def test_errors(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("")
    with pytest.raises(AssertionError, match="Export directory already exists, and isn't empty"):
        tf.saved_model.Builder(f"{tmp_path}/full")
    x, y, _ = model()
    with tf.Session() as sess:
        with pytest.raises(OSError, match="SavedModel file does not exist at: nothing"):
            tf.saved_model.load(sess, [SERVING], "nothing")
        sess.run(tf.global_variables_initializer())
        tf.saved_model.simple_save(sess, f"{tmp_path}/m", {"in": x}, {"out": y})
        with pytest.raises(RuntimeError, match="tags 'train' could not be found in SavedModel"):
            tf.saved_model.load(sess, ["train"], f"{tmp_path}/m")
        with pytest.raises(ValueError, match="Prediction inputs cannot be None or empty"):
            tf.saved_model.simple_save(sess, f"{tmp_path}/n", {}, {"out": y})
        with pytest.raises(ValueError, match="must be of type string, got float32"):
            tf.saved_model.regression_signature_def(x, y)
    (tmp_path / "m/saved_model.pb").write_bytes(b"\xff\xff")
    with tf.Session() as sess, pytest.raises(ModelError, match=r"cannot parse .*saved_model\.pb"):
        tf.saved_model.load(sess, [SERVING], f"{tmp_path}/m")


def test_assets_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    model()
    (tmp_path / "words.txt").write_text("a b")
    asset = tf.constant(f"{tmp_path}/words.txt", name="words")
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        builder = tf.saved_model.Builder(f"{tmp_path}/m")
        builder.add_meta_graph_and_variables(sess, [SERVING], None, [asset], main_op=tf.no_op())
        path = Path(builder.save().decode())
    message = tf.saved_model.loader.read_saved_model(f"{tmp_path}/m")
    message.meta_graphs[0].asset_file_def[0].filename = "../../words.txt"
    path.write_bytes(message.SerializeToString())
    with (
        tf.Session(graph=tf.Graph()) as sess,
        pytest.raises(ModelError, match=r"'../../words.txt' is outside of the model's folder"),
    ):
        tf.saved_model.load(sess, [SERVING], f"{tmp_path}/m")
