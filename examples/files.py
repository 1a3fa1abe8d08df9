"""Trains a small network, goes on from its checkpoint, freezes it, and runs it from C++.

    python examples/files.py [folder]

The digits are those of scikit-learn.  The last part needs a C++ compiler.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import tensorkiln as tf
from tensorkiln.tools import tfcompile

IMAGES, LABELS = load_digits(return_X_y=True)
IMAGES = (IMAGES / 16).astype(np.float32)
HELD = slice(1500, None)

CONFIG = """
feed { id { node_name: "images" } shape { dim { size: 297 } dim { size: 64 } } name: "images" }
fetch { id { node_name: "digits" } name: "digits" }
"""
PROGRAM = """
#include <cstdio>
#include "net.h"

int main() {
  example::Net net;
  if (std::fread(net.arg_images_data(), 1, net.arg0_size(), stdin) != net.arg0_size()) return 1;
  if (!net.Run()) return std::fprintf(stderr, "%s\\n", net.error_msg().c_str()), 1;
  for (size_t k = 0; k < net.result0_count(); ++k) std::printf("%d\\n", int(net.result_digits(k)));
}
"""


def build() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Operation]:
    images = tf.placeholder(tf.float32, [None, 64], name="images")
    labels = tf.placeholder(tf.int64, [None], name="labels")
    logits = tf.layers.dense(tf.layers.dense(images, 32, activation=tf.nn.relu), 10)
    loss = tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    )
    step = tf.train.get_or_create_global_step()
    train = tf.train.AdamOptimizer(0.01).minimize(loss, global_step=step)
    return images, labels, tf.argmax(logits, 1, name="digits"), train


def train(folder: Path, steps: int) -> str:
    """Trains and saves every 20 steps; the result is the latest checkpoint."""
    tf.reset_default_graph()
    images, labels, _, step = build()
    saver = tf.train.Saver(max_to_keep=2)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for k in range(1, steps + 1):
            rows = np.arange(100 * k, 100 * k + 100) % 1500
            sess.run(step, {images: IMAGES[rows], labels: LABELS[rows]})
            if k % 20 == 0:
                path = saver.save(sess, f"{folder}/net.ckpt", global_step=k)
                print("saved", Path(path).name)
    return tf.train.latest_checkpoint(str(folder))


def go_on(path: str, folder: Path) -> np.ndarray:
    """Reads graph and variables from the checkpoint alone, and writes the frozen graph."""
    tf.reset_default_graph()
    saver = tf.train.import_meta_graph(f"{path}.meta")
    with tf.Session() as sess:
        saver.restore(sess, path)
        found = sess.run("digits:0", {"images:0": IMAGES[HELD]})
        definition = sess.graph.as_graph_def()
        frozen = tf.graph_util.convert_variables_to_constants(sess, definition, ["digits"])
    tf.train.write_graph(frozen, str(folder), "frozen.pb", as_text=False)
    print(f"step {path.rsplit('-', maxsplit=1)[-1]}: {(found == LABELS[HELD]).mean():.1%} right")
    return found


def in_cpp(folder: Path) -> np.ndarray:
    """Compiles the frozen graph to an object file and a class, and a program around that."""
    (folder / "net.pbtxt").write_text(CONFIG)
    (folder / "main.cc").write_text(PROGRAM)
    status = tfcompile.main(
        ["--graph", f"{folder}/frozen.pb", "--config", f"{folder}/net.pbtxt", "--cpp_class",
         "example::Net", "--out_function_object", f"{folder}/net.o", "--out_header",
         f"{folder}/net.h"]
    )  # fmt: skip
    assert status == 0
    command = ["c++", "main.cc", "net.o", "-o", "net", "-lm", "-lpthread"]
    subprocess.run(command, cwd=folder, check=True)
    ran = subprocess.run(
        [folder / "net"], check=True, input=IMAGES[HELD].tobytes(), capture_output=True
    )
    return np.array(ran.stdout.split(), int)


def main(folder: Path, steps: int = 60) -> None:
    found = go_on(train(folder, steps), folder)
    if shutil.which("c++") is None:
        print("no C++ compiler: the program in C++ is left out")
        return
    print(f"C++ agrees on {(in_cpp(folder) == found).mean():.1%} of {len(found)} images")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name))
