"""Trains a small network on scanned digits, ships it as a shared object, and calls that from C.

Every step of training is one compiled function: forward, backward and the optimizer's update. The
trained network then becomes a library that needs neither Python nor TensorKiln; a C program
classifies held-out images with it, and its answers must be Python's. Times are shown beside those
of interpreted mode, in which every op is run by numpy.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from sklearn.datasets import load_digits

import tensorkiln as tf

HERE = Path(__file__).parent
BATCH = 64
EPOCHS = 24
HELD_OUT = 360


@dataclass
class Network:
    """The graph's tensors that training and export name."""

    graph: tf.Graph
    images: tf.Tensor
    labels: tf.Tensor
    logits: tf.Tensor
    loss: tf.Tensor
    train: tf.Operation
    initialize: tf.Operation


def build() -> Network:
    """Two convolutions with pooling, then a dense layer."""
    graph = tf.Graph()
    with graph.as_default():
        images = tf.placeholder(tf.float32, [None, 8, 8, 1], name="images")
        labels = tf.placeholder(tf.int64, [None], name="labels")
        x = pooled(images, "first", 1, 16, seed=1)
        x = pooled(x, "second", 16, 32, seed=2)
        flat = tf.reshape(x, [-1, 2 * 2 * 32])
        weights = tf.get_variable(
            "dense/w", [128, 10], initializer=tf.glorot_uniform_initializer(seed=3)
        )
        bias = tf.get_variable("dense/b", [10], initializer=tf.zeros_initializer())
        logits = tf.add(tf.matmul(flat, weights), bias, name="logits")
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        loss = tf.reduce_mean(losses)
        train = tf.train.AdamOptimizer(2e-3).minimize(loss)
        return Network(
            graph, images, labels, logits, loss, train, tf.global_variables_initializer()
        )


def pooled(x: tf.Tensor, name: str, inner: int, outer: int, seed: int) -> tf.Tensor:
    """A 3x3 convolution, a bias, a ReLU, and the largest of each 2x2."""
    glorot = tf.glorot_uniform_initializer(seed=seed)
    weights = tf.get_variable(f"{name}/w", [3, 3, inner, outer], initializer=glorot)
    bias = tf.get_variable(f"{name}/b", [outer], initializer=tf.zeros_initializer())
    x = tf.nn.relu(tf.nn.conv2d(x, weights, [1, 1, 1, 1], "SAME") + bias)
    return tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")


def digits() -> tuple[np.ndarray, np.ndarray]:
    """1797 scanned digits of 8x8 pixels from 0 to 1, and which digits they are, shuffled."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images = (data.images[order] / 16).astype(np.float32)[..., None]
    return images, data.target[order].astype(np.int64)


def train(net: Network, session: tf.Session, images: np.ndarray, labels: np.ndarray) -> None:
    """Trains on shuffled batches and prints the loss now and then."""
    session.run(net.initialize)
    generator = np.random.default_rng(1)
    for epoch in range(1, EPOCHS + 1):
        order = generator.permutation(len(labels))
        losses = []
        for start in range(0, len(order) - BATCH + 1, BATCH):
            rows = order[start : start + BATCH]
            feeds = {net.images: images[rows], net.labels: labels[rows]}
            losses.append(session.run([net.train, net.loss], feeds)[1])
        if epoch in (1, 2, 4, 8, 16, EPOCHS):
            print(f"  epoch {epoch:2}  loss {np.mean(losses):.4f}")


def c_answers(net: Network, session: tf.Session, images: np.ndarray, folder: Path) -> np.ndarray:
    """Compiles the network and a C program around it, and lets that classify the images."""
    dims = {"images.0": len(images)}
    written = tf.export(
        net.graph, folder / "network.so", outputs=[net.logits], session=session, dims=dims
    )
    size = written.path.stat().st_size
    print(f"  wrote {written.path.name} ({size} bytes) and {written.header.name}")
    images.tofile(folder / "images.f32")
    program = folder / "digits"
    command = ["cc", "-O1", f"-I{folder}", str(HERE / "digits.c"), str(written.path)]
    subprocess.run([*command, f"-Wl,-rpath,{folder}", "-o", str(program)], check=True)
    ran = subprocess.run(
        [str(program), str(folder / "images.f32")], check=True, stdout=subprocess.PIPE, text=True
    )
    return np.array(ran.stdout.split(), dtype=np.int64)


def milliseconds(call: Callable[[], object], most: int) -> float:
    """The median time of a call, for about a second or `most` calls."""
    call()
    times: list[float] = []
    end = time.perf_counter() + 1
    while len(times) < most and (not times or time.perf_counter() < end):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * median(times)


def speed(net: Network, images: np.ndarray, labels: np.ndarray) -> str:
    """A table of compiled against interpreted times."""
    feeds = {net.images: images[:BATCH], net.labels: labels[:BATCH]}
    tasks = {
        f"training step, batch {BATCH}": ([net.train, net.loss], feeds),
        f"classify, batch {BATCH}": (net.logits, {net.images: images[:BATCH]}),
        "classify, one image": (net.logits, {net.images: images[:1]}),
    }
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for interpreted in (False, True):
        config = tf.ConfigProto(interpreted=interpreted, intra_op_parallelism_threads=1)
        with tf.Session(graph=net.graph, config=config) as session:
            session.run(net.initialize)
            for name, (fetches, fed) in tasks.items():
                run = lambda what=fetches, fed=fed: session.run(what, fed)  # noqa: E731
                found[name].append(milliseconds(run, 300))
    lines = [f"  {'one thread':28} {'compiled':>12} {'interpreted':>14} {'times':>8}"]
    lines += [
        f"  {name:28} {compiled:9.3f} ms {slow:11.3f} ms {slow / compiled:8.1f}"
        for name, (compiled, slow) in found.items()
    ]
    return "\n".join(lines)


def main() -> int:
    """The demonstration; 1 if the C program and Python disagree."""
    net = build()
    images, labels = digits()
    held_images, held_labels = images[-HELD_OUT:], labels[-HELD_OUT:]
    print(f"Training on {len(labels) - HELD_OUT} scanned digits, each step one compiled function:")
    with tf.Session(graph=net.graph) as session:
        start = time.perf_counter()
        train(net, session, images[:-HELD_OUT], labels[:-HELD_OUT])
        print(f"  {time.perf_counter() - start:.1f} s, compiling included")
        python = session.run(net.logits, {net.images: held_images}).argmax(axis=1)
        accuracy = (python == held_labels).mean()
        print(f"  accuracy on {HELD_OUT} held-out digits: {accuracy:.1%}")
        print("\nThe trained network as a shared object, called from C:")
        with tempfile.TemporaryDirectory() as folder:
            answers = c_answers(net, session, held_images, Path(folder))
    for who, values in (("scanned", held_labels), ("Python", python), ("C", answers)):
        print(f"  {who:8} {' '.join(map(str, values[:30]))} ...")
    equal = int((answers == python).sum())
    print(f"  {equal} of {HELD_OUT} answers of the C program are Python's")
    print("\nSpeed:")
    print(speed(net, images, labels))
    return 0 if equal == HELD_OUT else 1


if __name__ == "__main__":
    sys.exit(main())
