"""Training artifacts whose initial state and constants lie in a file of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from artifacts.toolchain import HERE, compile_c, output_of, tool

import tensorkiln as tf
from tensorkiln.benchmarks.models import mlp
from tensorkiln.frontends.cli.main import main
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.load import run_self_test
from tensorkiln.runtime.status import MESSAGES, WEIGHTS_NOT_LOADED, WEIGHTS_UNREADABLE
from tensorkiln.runtime.trainer import Trainer

LOSS = "softmax_cross_entropy"


def model() -> onnx.ModelProto:
    """f32[4,6] -> f32[4,3]; the first layer is not trained, so it is a constant of the code."""
    return mlp(4, sizes=(6, 5, 3))


def kept() -> list[str]:
    """What is trained: the last layer."""
    return [tensor.name for tensor in model().graph.initializer][2:]


def images() -> np.ndarray:
    numbers: np.ndarray = np.arange(24) % 7
    return (numbers.astype(np.float32) / np.float32(7) - np.float32(0.4)).reshape(4, 6)


def losses(trainer: Trainer) -> list[float]:
    feeds = {"input": images(), "labels": np.array([0, 1, 2, 1])}
    return [float(trainer.train_step(feeds)[0]) for _ in range(2)]


@pytest.mark.parametrize("isa", [(), ("v2", "v3", "v4")], ids=["host", "levels"])
def test_c_trains_with_a_side_file(isa: tuple[str, ...], tmp_path: Path) -> None:
    tool("cc")
    folder = tmp_path / "file"
    folder.mkdir()
    given = {"loss": LOSS, "trainable": kept(), "isa": isa, "self_test": True, "name": "net"}
    written = tf.export_training(model(), folder / "net.so", weights="file", **given)
    assert written.weights == folder / "net.weights"
    embedded = tf.export_training(model(), tmp_path / "net.so", **given)
    assert embedded.weights is None
    program = compile_c(
        folder, HERE / "side_file_driver.c", str(written.path), "-Wl,-rpath,$ORIGIN"
    )
    lines = output_of(program, written.weights).splitlines()
    not_loaded = MESSAGES[WEIGHTS_NOT_LOADED]
    assert lines[:4] == [not_loaded, not_loaded, MESSAGES[WEIGHTS_UNREADABLE], "self-test 0"]
    trainer = tf.load(embedded.path)
    assert isinstance(trainer, Trainer)
    np.testing.assert_allclose([float(line) for line in lines[4:6]], losses(trainer), atol=2e-6)
    (y,) = trainer.predict({"input": images()})
    np.testing.assert_allclose(float(lines[6]), y[0, 0], atol=2e-6)
    assert int(lines[7]) == WEIGHTS_NOT_LOADED


def test_python_takes_the_file_beside_it(tmp_path: Path) -> None:
    tool("cc")
    given = {"loss": LOSS, "trainable": kept(), "self_test": True}
    written = tf.export_training(model(), tmp_path / "a.so", weights="file", **given)
    assert run_self_test(written.path) is None
    trainer = tf.load(written.path)
    plain = tf.load(tf.export_training(model(), tmp_path / "b.so", **given).path)
    assert isinstance(trainer, Trainer)
    assert isinstance(plain, Trainer)
    for name, array in trainer.state.items():
        np.testing.assert_array_equal(array, plain.state[name])
    first = losses(trainer)
    assert losses(plain) == first
    assert losses(trainer) != first
    # the state is a copy: another trainer of the same file starts anew
    again = tf.load(written.path)
    assert isinstance(again, Trainer)
    assert losses(again) == first


def test_a_side_file_that_is_missing_or_another_one(tmp_path: Path) -> None:
    tool("cc")
    path = tf.export_training(model(), tmp_path / "a.so", loss=LOSS, weights="file").path
    other = tf.export_training(
        model(), tmp_path / "b.so", loss=LOSS, trainable=kept(), weights="file"
    )
    assert other.weights is not None
    other.weights.replace(tmp_path / "a.weights")
    with pytest.raises(ArtifactError, match=r"a\.weights: .*not the one"):
        tf.load(path)
    (tmp_path / "a.weights").unlink()
    with pytest.raises(ArtifactError, match=r"a\.weights: .*cannot be opened"):
        tf.load(path)


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool("cc")
    onnx.save(model(), tmp_path / "m.onnx")
    output = tmp_path / "t.so"
    arguments = ["compile", str(tmp_path / "m.onnx"), "-o", str(output), "--train", LOSS]
    assert main([*arguments, "--weights", "file", "--self-test"]) == 0
    assert str(tmp_path / "t.weights") in capsys.readouterr().out
    assert main(["verify", str(output), "--against", str(tmp_path / "m.onnx")]) == 0
