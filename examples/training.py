"""Ships a network that is trained in C: Python builds and compiles it, the C program trains it.

`python examples/training.py [FOLDER]` writes trainer.so with its header and the data, compiles
examples/train_digits.c, and runs that twice: the second run goes on from the state of the first.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import tensorkiln as tf

HERE = Path(__file__).parent
BATCH = 64


def export(folder: Path) -> tf.Graph:
    """A dense network with its training by Adam, written to `folder`; the graph."""
    graph = tf.Graph()
    with graph.as_default():
        images = tf.placeholder(tf.float32, [BATCH, 64], name="images")
        labels = tf.placeholder(tf.int64, [BATCH], name="labels")
        glorot = tf.glorot_uniform_initializer
        w1 = tf.get_variable("hidden/w", [64, 96], initializer=glorot(seed=1))
        b1 = tf.get_variable("hidden/b", [96], initializer=tf.zeros_initializer())
        w2 = tf.get_variable("output/w", [96, 10], initializer=glorot(seed=2))
        b2 = tf.get_variable("output/b", [10], initializer=tf.zeros_initializer())
        hidden = tf.nn.relu(tf.matmul(images, w1) + b1)
        logits = tf.add(tf.matmul(hidden, w2), b2, name="logits")
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        loss = tf.reduce_mean(losses, name="loss")
        step = tf.train.AdamOptimizer(2e-3).minimize(loss)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            tf.export_training(
                graph, folder / "trainer.so", train=[step], loss=loss, outputs=[logits],
                session=session,
            )  # fmt: skip
    return graph


def write_data(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """1797 scanned digits, shuffled, as raw files."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images = (data.images[order].reshape(-1, 64) / 16).astype(np.float32)
    labels = data.target[order].astype(np.int64)
    images.tofile(folder / "images.f32")
    labels.tofile(folder / "labels.i64")
    return images, labels


def build_program(folder: Path) -> Path:
    """The C program, linked with the trainer."""
    program = folder / "train_digits"
    command = ["cc", "-std=c99", "-O1", f"-I{folder}", str(HERE / "train_digits.c")]
    command += [str(folder / "trainer.so"), f"-Wl,-rpath,{folder}", "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def run(program: Path, folder: Path, epochs: int) -> str:
    """What the program prints."""
    files = [folder / "images.f32", folder / "labels.i64", str(epochs), folder / "state.bin"]
    ran = subprocess.run([program, *files], check=True, stdout=subprocess.PIPE, text=True)
    return ran.stdout


def main() -> int:
    """The demonstration."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    export(folder)
    write_data(folder)
    program = build_program(folder)
    for _ in range(2):
        print(run(program, folder, 15), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
