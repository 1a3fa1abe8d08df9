"""The programs for TensorFlow 1 users: each runs, for few steps, as it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tensorkiln as tf

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "tensorflow1"
COUNT = Path(__file__).with_name("count_clusters.py")

# What TensorFlow itself prints for this program, steps 0 and 500.
CUSTOM_LOSS = (
    "After 0 training step(s), loss on all data is 29.8745\n"
    "After 500 training step(s), loss on all data is 2.38814\n"
)


# The first lines that TensorFlow 2.21's compat.v1 prints for these.
RECORDED = {
    "autoencoder.py": (["5"], "epoch 5: loss 27.26\ncodes of the first digits: (200, 2)"),
    "q_learning.py": (
        ["20"],
        "episode 10: return -0.47, steps 54, copies 2\n"
        "episode 20: return -0.84, steps 105, copies 5\n",
    ),
    "word_vectors.py": (
        ["500"],
        "step 500: loss 2.165, saved words-500\n[('vectors', [24, 8])]\nrestored alike: True\n"
        "cat is like ",
    ),
}


def run(program: str, *arguments: str) -> str:
    """What the program prints; its training step must be one cluster, with summaries after it."""
    command = [sys.executable, str(COUNT), str(FOLDER / program), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    if program != "averages_test.py":  # which trains nothing
        found = json.loads(ran.stderr.splitlines()[-1])
        assert found["clusters"] == 1, found
        on_host = ("Summary", "CandidateSampler")
        assert all(kind.endswith(on_host) for kind in found["host"]), found
    return ran.stdout


def test_linear_regression(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    logdir = f"--logdir={tmp_path}"
    assert run("linear_regression.py", logdir, "--steps=20").startswith("after step 20 the loss")
    again = run("linear_regression.py", logdir, "--steps", "10").splitlines()
    assert again[0] == "going on from step 20"
    assert re.fullmatch(r"after step 30 the loss is 0\.[45]\d+", again[1])
    assert Path(f"{tf.train.latest_checkpoint(str(tmp_path))}.index").name == "model.ckpt-30.index"
    files = sorted(tmp_path.glob("events*"), key=lambda path: path.stat().st_mtime_ns)
    events = list(tf.train.summary_iterator(str(files[-1])))
    assert [e.step for e in events if e.HasField("summary")] == list(range(21, 31))
    assert sum(e.HasField("graph_def") for e in events) == 1
    assert {v.tag for e in events for v in e.summary.value} == {"loss_1", "W"}


def test_averages(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    folder = str(tmp_path / "model")
    assert run("averages_test.py", folder) == "No checkpoint file found\n"
    assert run("averages_train.py", folder, "150").startswith("After 150 training step(s), loss")
    found = re.fullmatch(
        r"After 150 training step\(s\), test accuracy = (\S+)\n", run("averages_test.py", folder)
    )
    assert found
    assert float(found[1]) > 0.5


@pytest.mark.parametrize(
    ("program", "arguments", "pattern"),
    [
        ("custom_loss.py", ["501"], re.escape(CUSTOM_LOSS) + r"Final w1 is:\n.*"),
        ("perceptron.py", [], r"epoch 16, mean error 0\noutputs \[0 0 0 1 0 0 1 1\]\n"),
        ("softmax_regression.py", ["200"], r"accuracy 0\.[89]\d+\n"),
        ("cnn.py", ["60"], r"step 0, accuracy \S+\ntest accuracy 0\.[789]\d+\n"),
        ("back_propagation.py", ["3"], r"epoch 0: \d+ of 397\n.*\nepoch 2: [23]\d\d of 397\n"),
        ("dream.py", ["3"], r"before: .* is 0\.[0-4]\d+\nafter:  .* is (0\.[89]\d+|1\.000)\n.*"),
        ("seq2seq.py", ["60"], r"loss [01]\.\d+\n.* backwards is .*\nsymbols right: 0\.[2-9]\d+\n"),
        ("lstm_rows.py", ["40"], r"test accuracy 0\.[3-9]\d+\n"),
    ],
)
def test_programs(program: str, arguments: list[str], pattern: str) -> None:
    pytest.importorskip("sklearn")
    out = run(program, *arguments)
    assert re.fullmatch(pattern, out, re.DOTALL), out


@pytest.mark.parametrize("program", RECORDED)
def test_programs_that_print_what_tensorflow_prints(program: str) -> None:
    pytest.importorskip("sklearn")
    arguments, text = RECORDED[program]
    assert run(program, *arguments).startswith(text)
