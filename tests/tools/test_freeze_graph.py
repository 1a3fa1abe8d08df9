from pathlib import Path

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.frontends.tools.freeze_graph import main

X = np.array([[1.0, 2.0, 3.0]], np.float32)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, np.ndarray]:
    tf.reset_default_graph()
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    y = tf.nn.relu(tf.matmul(x, tf.get_variable("w", [3, 2])), name="y")
    tf.train.write_graph(tf.get_default_graph(), str(tmp_path), "g.pbtxt")
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        tf.train.Saver().save(sess, f"{tmp_path}/m")
        tf.saved_model.simple_save(sess, f"{tmp_path}/saved", {"x": x}, {"y": y})
        return tmp_path, sess.run(y, {x: X})


@pytest.mark.parametrize(
    "options",
    [
        ["--input_graph=g.pbtxt", "--input_checkpoint=m", "--input_binary=false"],
        ["--input_meta_graph=m.meta", "--input_checkpoint=m"],
        ["--input_saved_model_dir=saved"],
    ],
)
def test_frozen_from_every_source(
    options: list[str], files: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder, expected = files
    monkeypatch.chdir(folder)
    assert main([*options, "--output_graph=f.pb", "--output_node_names=y"]) == 0
    assert capfd.readouterr().out == "5 ops in the final graph.\n"
    tf.reset_default_graph()
    definition = tf.GraphDef.FromString((folder / "f.pb").read_bytes())
    (y,) = tf.import_graph_def(definition, return_elements=["y:0"], name="")
    with tf.Session() as sess:
        np.testing.assert_array_equal(sess.run(y, {"x:0": X}), expected)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "give --input_graph, --input_meta_graph or"),
        (["--input_graph=g.pbtxt"], "give --input_checkpoint"),
        (["--input_graph=nothing", "--input_checkpoint=m"], "nothing"),
        (["--input_graph=g.pbtxt", "--input_checkpoint=q"], "not a valid checkpoint: q"),
        (["--input_saved_model_dir=saved", "--output_node_names=q"], "q is not in graph"),
    ],
)
def test_what_is_wrong_is_said(
    options: list[str], text: str, files: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(files[0])
    assert main(["--output_graph=f.pb", "--output_node_names=y", *options]) == 1
    assert text in capfd.readouterr().err
    assert not (files[0] / "f.pb").exists()
