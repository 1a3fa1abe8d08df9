"""Both directions against the real package, where it is installed."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.frontends.graph.files.bundle import write_bundle
from tensorkiln.frontends.graph.files.signatures import PRIVATE
from tensorkiln.frontends.graph.kinds import TABLE

SCRIPT = Path(__file__).parent / "tensorflow_reads.py"
KINDS = [
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16",
    "uint32", "uint64", "complex64", "complex128", "bool", ml_dtypes.bfloat16,
]  # fmt: skip

CONTRIBUTED = {"GatherTree"}
"""Op types that TensorFlow 1 had in `contrib`."""


def write(folder: Path) -> None:
    """What TensorFlow is to read."""
    tf.reset_default_graph()
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    w = tf.get_variable("w", [3, 2])
    y = tf.nn.softmax(tf.matmul(x, w), name="y")
    saver = tf.train.Saver()
    value = np.arange(6, dtype=np.float32).reshape(2, 3)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        saver.save(sess, f"{folder}/m")
        frozen = tf.graph_util.convert_variables_to_constants(
            sess, sess.graph.as_graph_def(), ["y"]
        )
        tf.train.write_graph(frozen, str(folder), "frozen.pb", as_text=False)
        np.savez(folder / "values.npz", x=value, y=sess.run(y, {x: value}))
        tf.train.AdamOptimizer().minimize(tf.reduce_sum(y))
        sess.run(tf.global_variables_initializer())
        saver.restore(sess, f"{folder}/m")
        tf.saved_model.simple_save(sess, f"{folder}/model", {"x": x}, {"y": y})
    tensors = {np.dtype(k).name: (np.arange(6).reshape(2, 3) % 2).astype(k) for k in KINDS}
    tensors["text"] = np.array([b"", b"\x00\xff", b"abc" * 100], object)
    write_bundle(f"{folder}/kinds", tensors)
    (folder / "types.txt").write_text("\n".join(sorted(set(TABLE) - PRIVATE - CONTRIBUTED)))


def read(folder: Path) -> None:
    """What TensorFlow has written."""
    for name in ("reference", "resource"):
        values = np.load(folder / f"{name}.npz")
        with tf.Session(graph=tf.Graph()) as sess:
            meta = tf.saved_model.load(sess, ["serve"], f"{folder}/{name}")
            signature = meta.signature_def["serving_default"]
            feeds = {signature.inputs["x"].name: values["x"]}
            found = sess.run(signature.outputs["y"].name, feeds)
            np.testing.assert_allclose(found, values["y"], rtol=1e-5)
        with tf.Session(graph=tf.Graph()) as sess:
            saver = tf.train.import_meta_graph(f"{folder}/{name}.ckpt.meta")
            saver.restore(sess, f"{folder}/{name}.ckpt")
            found = sess.run("y:0", {"x:0": values["x"]})
            np.testing.assert_allclose(found, values["y"], rtol=1e-5)


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_files_of_both_sides(tmp_path: Path) -> None:
    write(tmp_path)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "types that TensorFlow lacks:"
    read(tmp_path)
