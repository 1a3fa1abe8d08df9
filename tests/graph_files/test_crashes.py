"""A process that is killed while it saves leaves a checkpoint that can be restored, old or new."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tensorkiln as tf

# Saves all the time: step k holds k in every element, large enough that a save takes a while.
WRITER = """
import sys
import numpy as np
import tensorkiln as tf

folder, same = sys.argv[1], sys.argv[2] == "same"
v = tf.get_variable("v", [500, 1000])
w = tf.get_variable("w", [3])
step = tf.placeholder(tf.float32, [])
assign = [tf.assign(t, tf.fill(t.shape, step)) for t in (v, w)]
saver = tf.train.Saver(max_to_keep=2)
with tf.Session(config=tf.ConfigProto(interpreted=True)) as session:
    for k in range(1, 10000):
        session.run(assign, {step: k})
        saver.save(session, f"{folder}/model", None if same else k, write_meta_graph=False)
        print(k, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("names", ["same", "numbered"])
def test_killed_while_saving(names: str, tmp_path: Path) -> None:
    random = np.random.RandomState(sum(map(ord, names)))
    for attempt in range(2):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        command = [sys.executable, "-c", WRITER, str(folder), names]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()  # the first save is complete
            time.sleep(random.uniform(0.0, 0.1))
            process.kill()
            said = [int(line) for line in process.stdout.read().split()]
        done = max(said, default=1)
        path = tf.train.latest_checkpoint(str(folder))
        assert path is not None
        with tf.Graph().as_default(), tf.Session() as session:
            v, w = tf.get_variable("v", [500, 1000]), tf.get_variable("w", [3])
            saver = tf.train.Saver()
            saver.restore(session, path)
            first, second = session.run([v, w])
            # All of one save, and not older than the last one that returned.
            assert np.all(first == second[0])
            assert np.all(second == second[0])
            assert second[0] >= done
            saver.save(session, f"{folder}/again")  # what the crash left over is no hindrance
