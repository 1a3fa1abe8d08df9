"""Training artifacts: the same numbers as a Session's, a file of the state, ONNX models."""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from artifacts.toolchain import output_of, tool
from numpy.typing import NDArray

import tensorkiln as tf
from tensorkiln.benchmarks.models import mlp
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.frontends.cli.main import main
from tensorkiln.frontends.training import train_onnx
from tensorkiln.frontends.training_rules import OPTIMIZERS
from tensorkiln.runtime.errors import ModelError, UnsupportedError
from tensorkiln.runtime.status import NULL_ARGUMENT, STATE_MISMATCH, STATE_UNREADABLE

SOURCE = Path(__file__).resolve().parents[2] / "examples" / "training.py"


class Trainer:
    """The C functions of a training artifact with one output a function."""

    def __init__(self, path: Path, prefix: str) -> None:
        self.library = ctypes.CDLL(str(path))
        self.prefix = prefix
        self.function("state_size").restype = ctypes.c_size_t
        raw = np.zeros(self.function("state_size")() + 64, np.uint8)
        self.state = raw[-raw.ctypes.data % 64 :][: raw.size - 64]

    def function(self, name: str) -> ctypes._NamedFuncPointer:
        found: ctypes._NamedFuncPointer = getattr(self.library, f"{self.prefix}_{name}")
        return found

    def call(
        self, name: str, inputs: list[NDArray[np.generic]], result: NDArray[np.generic]
    ) -> NDArray[np.generic]:
        pointers = (ctypes.c_void_p * max(1, len(inputs)))(*(a.ctypes.data for a in inputs))
        out = (ctypes.c_void_p * 1)(result.ctypes.data)
        state = ctypes.c_void_p(self.state.ctypes.data)
        assert self.function(name)(state, pointers, out, None, 2) == 0
        return result

    def file(self, name: str, path: Path) -> int:
        status: int = self.function(name)(ctypes.c_void_p(self.state.ctypes.data), bytes(path))
        return status

    def init(self) -> None:
        assert self.function("init")(ctypes.c_void_p(self.state.ctypes.data)) == 0


@pytest.fixture(scope="module")
def example() -> ModuleType:
    pytest.importorskip("sklearn")
    tool("cc")
    spec = importlib.util.spec_from_file_location("training_example", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["training_example"] = module
    spec.loader.exec_module(module)
    return module


def test_c_trains_on_digits_as_python_does(example: ModuleType, tmp_path: Path) -> None:
    graph = example.export(tmp_path)
    images, labels = example.write_data(tmp_path)
    program = example.build_program(tmp_path)
    lines = example.run(program, tmp_path, 4).splitlines()
    split = len(labels) // 5 * 4
    with tf.Session(graph=graph) as session:
        session.run(tf.global_variables_initializer())
        step = next(op for op in graph.get_operations() if op.name == "Adam")
        for line in lines[:4]:
            losses = [
                session.run(
                    ["loss:0", step],
                    {"images:0": images[k : k + 64], "labels:0": labels[k : k + 64]},
                )[0]
                for k in range(0, split - 63, 64)
            ]
            assert float(line.split()[-1]) == pytest.approx(np.mean(losses), rel=1e-5)
    # the next run goes on where this one ended
    later = example.run(program, tmp_path, 8).splitlines()
    assert later[0].startswith("going on")
    assert float(later[1].split()[-1]) < float(lines[3].split()[-1])
    hits, tried = map(int, (later[-1].split()[1], later[-1].split()[3]))
    assert hits / tried > 0.95


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_onnx_model_trains(optimizer: str, tmp_path: Path) -> None:
    tool("cc")
    model = mlp(16, sizes=(6, 9, 3))
    path = tf.export_training(
        model, tmp_path / "net.so", loss="softmax_cross_entropy", optimizer=optimizer,
        learning_rate=0.05,
    ).path  # fmt: skip
    trainer = Trainer(path, "net")
    trainer.init()
    generator = np.random.default_rng(0)
    x = generator.standard_normal((16, 6)).astype(np.float32)
    labels = generator.integers(0, 3, 16)
    expected = train_onnx(
        model, loss="softmax_cross_entropy", optimizer=optimizer, learning_rate=0.05
    )
    state = dict(expected.state)
    for _ in range(5):
        loss = trainer.call("train_step", [x, labels], np.zeros((), np.float32))
        fed = {**state, "input": x, "labels": labels}
        wanted, *updated = evaluate(expected.step, [fed[v.name] for v in expected.step.parameters])
        np.testing.assert_allclose(loss, wanted, rtol=2e-4)
        targets = [expected.step.parameters[k].name for k in expected.step.aliases.values()]
        state.update(zip(targets, updated, strict=True))
    (logits,) = evaluate(
        expected.predict,
        [{**state, "input": x}[v.name] for v in expected.predict.parameters],
    )
    got = trainer.call("predict", [x], np.zeros((16, 3), np.float32))
    np.testing.assert_allclose(got, logits, rtol=1e-3, atol=1e-4)
    first = float(trainer.call("train_step", [x, labels], np.zeros((), np.float32)))
    for _ in range(60):
        last = float(trainer.call("train_step", [x, labels], np.zeros((), np.float32)))
    assert last < first * 0.8


def test_the_file_of_the_state(tmp_path: Path) -> None:
    tool("cc")
    arguments = {"loss": "mean_squared_error", "optimizer": "momentum"}
    path = tf.export_training(mlp(4, sizes=(5, 2)), tmp_path / "net.so", **arguments).path
    trainer = Trainer(path, "net")
    trainer.init()
    x, y = np.ones((4, 5), np.float32), np.zeros((4, 2), np.float32)
    trainer.call("train_step", [x, y], np.zeros((), np.float32))
    saved, file = trainer.state.copy(), tmp_path / "state.bin"
    assert trainer.file("save", file) == 0
    assert [p.name for p in tmp_path.glob("state*")] == ["state.bin"]
    trainer.call("train_step", [x, y], np.zeros((), np.float32))
    changed = trainer.state.copy()
    assert (changed != saved).any()
    whole = file.read_bytes()
    for bad in (b"", whole[:-1], whole + b"x", b"y" + whole[1:], whole[:40]):
        file.write_bytes(bad)
        assert trainer.file("load", file) == STATE_MISMATCH
        np.testing.assert_array_equal(trainer.state, changed)
    file.write_bytes(whole)
    assert trainer.file("load", file) == 0
    np.testing.assert_array_equal(trainer.state, saved)
    assert trainer.file("load", tmp_path / "none") == STATE_UNREADABLE
    assert trainer.file("save", tmp_path / "no" / "folder") != 0
    assert trainer.function("init")(None) == NULL_ARGUMENT
    assert trainer.function("train_step")(None, None, None, None, 1) == NULL_ARGUMENT
    other = tf.export_training(mlp(4, sizes=(5, 3)), tmp_path / "other.so", **arguments).path
    assert Trainer(other, "other").file("load", file) == STATE_MISMATCH


def test_random_ops_go_on_from_the_session(tmp_path: Path) -> None:
    tool("cc")
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [8], name="x")
        v = tf.get_variable("v", [8], initializer=tf.ones_initializer())
        loss = tf.reduce_sum(x * v * tf.random_uniform([8], seed=5), name="loss")
        train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            arguments = {"train": [train], "loss": loss, "outputs": [v * 2.0], "session": session}
            path = tf.export_training(graph, tmp_path / "r.so", **arguments).path
            array = np.arange(8, dtype=np.float32)
            trainer = Trainer(path, "r")
            trainer.init()
            for _ in range(3):
                wanted = session.run([loss, train], {x: array})[0]
                got = trainer.call("train_step", [array], np.zeros((), np.float32))
                np.testing.assert_allclose(got, wanted, rtol=1e-6)
            with pytest.raises(UnsupportedError, match="draw random numbers"):
                tf.export_training(
                    graph, tmp_path / "q.so", **{**arguments, "outputs": [tf.random_uniform([2])]}
                )


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(mlp(4, sizes=(5, 3)), tmp_path / "m.onnx")
    arguments = ["compile", str(tmp_path / "m.onnx"), "-o", str(tmp_path / "t.a")]
    assert main([*arguments, "--train", "softmax_cross_entropy", "--optimizer", "sgd"]) == 0
    names = output_of(tool("nm"), "--defined-only", "-g", tmp_path / "t.a")
    assert {"t_init", "t_train_step", "t_predict", "t_save", "t_load"} <= set(names.split())
    assert "tk_body" not in names
    assert main([*arguments, "--train", "mean_squared_error", "--trainable", "none"]) == 1
    assert "no initializer none" in capsys.readouterr().err
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-xc"]
    subprocess.run([tool("cc"), *strict, str(tmp_path / "t.h")], check=True)


def test_what_cannot_be_trained(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="choose of"):
        tf.export_training(mlp(4, sizes=(5, 3)), tmp_path / "t.o", loss="hinge")
    with pytest.raises(ModelError, match="train="):
        tf.export_training(tf.Graph(), tmp_path / "t.o", loss="x")
    with tf.Graph().as_default() as graph, tf.Session() as session:
        v = tf.get_variable("v", [2], initializer=tf.ones_initializer())
        read = tf.reduce_sum(v)
        session.run(tf.global_variables_initializer())
        given = {"loss": read, "outputs": [read], "session": session, "train": [tf.no_op()]}
        with pytest.raises(ModelError, match="updates nothing"):
            tf.export_training(graph, tmp_path / "t.o", **given)
        with pytest.raises(ModelError, match="a graph has its own"):
            tf.export_training(graph, tmp_path / "t.o", optimizer="sgd", **given)
