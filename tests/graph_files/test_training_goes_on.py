"""Training goes on from the files that TensorFlow left, with the losses that it would have had."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import tensorkiln as tf

SCRIPT = Path(__file__).parent / "tensorflow_trains.py"
DATA = Path(__file__).parent / "data" / "training"
CASES = sorted(path.stem for path in DATA.glob("*.npz"))
ENDINGS = {"meta": "meta", "index": "index", "data": "data-00000-of-00001"}


def go_on(case: Path, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The losses of the next steps, here and there."""
    found = np.load(case)
    for key, ending in ENDINGS.items():
        (folder / f"m.{ending}").write_bytes(found[f"file_{key}"].tobytes())
    tf.reset_default_graph()
    saver = tf.train.import_meta_graph(f"{folder}/m.meta")
    feeds = {f"{n[5:]}:0": found[n] for n in found.files if n.startswith("feed_")}
    with tf.Session() as sess:
        saver.restore(sess, f"{folder}/m")
        losses = [sess.run(["train", "loss:0"], feeds)[1] for _ in range(len(found["losses"]))]
        assert sess.run(tf.train.get_global_step()) == 2 + len(losses)
    return np.array(losses), found["losses"]


def test_there_are_cases() -> None:
    assert len(CASES) >= 19


@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_of_tensorflow(case: str, tmp_path: Path) -> None:
    losses, expected = go_on(DATA / f"{case}.npz", tmp_path)
    assert len(set(expected)) == len(expected)
    np.testing.assert_allclose(losses, expected, rtol=2e-4)


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_files_written_now(tmp_path: Path) -> None:
    for case in ("cnn-adam-res", "lstm-sgd-ref"):
        subprocess.run([sys.executable, str(SCRIPT), str(tmp_path), case], check=True)
        losses, expected = go_on(tmp_path / f"{case}.npz", tmp_path)
        np.testing.assert_allclose(losses, expected, rtol=2e-4)
