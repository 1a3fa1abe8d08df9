"""Milliseconds of a training step: compiled, interpreted, and by another engine, one thread.

    python -m tensorkiln.benchmarks.training.compare --peer-python /path/to/python

Rounds of all engines alternate, so that a busy machine is busy for all of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import tensorkiln as tf
from tensorkiln.benchmarks.training.networks import ROWS, Row

# times(calls) -> seconds of single steps
Times = Callable[[int], list[float]]


def ours(row: Row, interpreted: bool) -> Times:
    """Steps of a session of our own."""
    graph = tf.Graph()
    with graph.as_default():
        training = row.build(tf)
        start = tf.global_variables_initializer()
    config = tf.ConfigProto(intra_op_parallelism_threads=1, interpreted=interpreted)
    session = tf.Session(graph=graph, config=config)
    images, labels = row.data()
    feeds = {training.images: images, training.labels: labels}
    session.run(start)
    fetches = [training.train, training.loss]
    session.run(fetches, feeds)

    def times(calls: int) -> list[float]:
        found = []
        for _ in range(calls):
            begin = time.perf_counter()
            session.run(fetches, feeds)
            found.append(time.perf_counter() - begin)
        return found

    return times


def peer(row: Row, python: str, jit: bool) -> Times:
    """Steps of TensorFlow in a process of its own."""
    script = Path(__file__).with_name("run_tensorflow.py")
    process = subprocess.Popen(
        [python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip

    def ask(request: dict[str, object]) -> list[float]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        return [float(value) for value in json.loads(process.stdout.readline())]

    ask({"row": row.name, "jit": jit})
    return lambda calls: ask({"calls": calls})


def main() -> None:
    """Prints a line for each row: medians in milliseconds."""
    parser = argparse.ArgumentParser(description="Milliseconds of a training step.")
    parser.add_argument("rows", nargs="*", help="rows of networks.py; all by default")
    parser.add_argument("--peer-python", help="a Python that has TensorFlow")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=5, help="steps of a round")
    parser.add_argument("--interpreted", action="store_true", help="time interpreted mode too")
    arguments = parser.parse_args()
    for row in ROWS:
        if arguments.rows and row.name not in arguments.rows:
            continue
        engines = {"compiled": ours(row, False)}
        if arguments.interpreted:
            engines["interpreted"] = ours(row, True)
        if arguments.peer_python:
            engines["tensorflow"] = peer(row, arguments.peer_python, False)
            engines["tensorflow xla"] = peer(row, arguments.peer_python, True)
        samples: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(arguments.rounds):
            for name, times in engines.items():
                samples[name] += times(1 if name == "interpreted" else arguments.calls)
        medians = ", ".join(
            f"{name} {statistics.median(found) * 1e3:.2f} (least {min(found) * 1e3:.2f})"
            for name, found in samples.items()
        )
        print(f"{row.name}: {medians}", flush=True)


if __name__ == "__main__":
    main()
