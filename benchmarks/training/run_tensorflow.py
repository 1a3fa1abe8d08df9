"""The same steps in TensorFlow's own graph mode, on requests that come as lines of JSON.

Started as a script by compare.py with another Python: {"row": name} builds a row, {"calls": n}
answers with the seconds of n steps.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import networks
import tensorflow.compat.v1 as tf

tf.disable_eager_execution()


def prepare(name: str, jit: bool) -> Any:
    """A function that runs one step of the row."""
    row = next(row for row in networks.ROWS if row.name == name)
    images, labels = row.data()
    with tf.Graph().as_default():
        training = row.build(tf)
        config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        if jit:
            config.graph_options.optimizer_options.global_jit_level = tf.OptimizerOptions.ON_2
        session = tf.Session(config=config)
        session.run(tf.global_variables_initializer())
    feeds = {training.images: images, training.labels: labels}
    return lambda: session.run([training.train, training.loss], feeds)


def serve() -> None:
    """Answers until stdin ends."""
    step: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        if "row" in request:
            step = prepare(request["row"], request["jit"])
            step()
        times = []
        for _ in range(request.get("calls", 0)):
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    serve()
