"""Run by a Python that has TensorFlow: reads what test_with_tensorflow wrote, writes its own.

    python tensorflow_reads.py FOLDER

Files in FOLDER: `model` (a saved model), `m` (a checkpoint with its meta graph), `frozen.pb`,
`kinds` (a bundle), `values.npz` (x, y) and `types.txt` (op types that should be TensorFlow's).
"""

import sys

import numpy as np
import tensorflow as tf2
from tensorflow.python.framework import op_def_registry

tf = tf2.compat.v1


def same(name: str, found: object, expected: object) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=name)
    print("same", name)


def read(folder: str) -> None:
    values = np.load(f"{folder}/values.npz")
    x, y = values["x"], values["y"]
    loaded = tf2.saved_model.load(f"{folder}/model")
    same(
        "saved model in TensorFlow 2",
        loaded.signatures["serving_default"](x=tf2.constant(x))["y"],
        y,
    )
    reader = tf.train.NewCheckpointReader(f"{folder}/kinds")
    for name in sorted(reader.get_variable_to_shape_map()):
        if name == "text":
            assert reader.get_tensor(name).tolist() == [b"", b"\x00\xff", b"abc" * 100]
        else:
            same(name, reader.get_tensor(name).astype(complex), np.arange(6).reshape(2, 3) % 2)
    tf.disable_eager_execution()
    with tf.Session(graph=tf.Graph()) as sess:
        tf.saved_model.loader.load(sess, ["serve"], f"{folder}/model")
        same("saved model", sess.run("y:0", {"x:0": x}), y)
    with tf.Session(graph=tf.Graph()) as sess:
        saver = tf.train.import_meta_graph(f"{folder}/m.meta")
        saver.restore(sess, f"{folder}/m")
        same("meta graph", sess.run("y:0", {"x:0": x}), y)
    with tf.Session(graph=tf.Graph()) as sess:
        definition = tf.GraphDef()
        with open(f"{folder}/frozen.pb", "rb") as file:
            definition.ParseFromString(file.read())
        (found,) = tf.import_graph_def(definition, return_elements=["y:0"], name="")
        same("frozen graph", sess.run(found, {"x:0": x}), y)
    with open(f"{folder}/types.txt") as file:
        missing = [name for name in file.read().split() if op_def_registry.get(name) is None]
    print("types that TensorFlow lacks:", *missing)


def write(folder: str) -> None:
    for resource in (False, True):
        (tf.enable_resource_variables if resource else tf.disable_resource_variables)()
        with tf.Graph().as_default(), tf.Session() as sess:
            x = tf.placeholder(tf.float32, [None, 3], name="x")
            w = tf.get_variable("w", [3, 2])
            y = tf.nn.softmax(tf.matmul(x, w), name="y")
            tf.train.AdamOptimizer().minimize(tf.reduce_sum(y**2))
            sess.run(tf.global_variables_initializer())
            name = f"{folder}/resource" if resource else f"{folder}/reference"
            tf.saved_model.simple_save(sess, name, {"x": x}, {"y": y})
            tf.train.Saver().save(sess, f"{name}.ckpt")
            value = np.ones((2, 3), np.float32)
            np.savez(f"{name}.npz", x=value, y=sess.run(y, {x: value}))


read(sys.argv[1])
write(sys.argv[1])
