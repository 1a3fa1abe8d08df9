"""Training artifacts for several levels and sizes: in Python, in C, and against their vectors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from artifacts.toolchain import HERE, STRICT, compile_c, output_of, tool
from artifacts.trained_models import open_mlp

import tensorkiln as tf
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.training import TrainingModel
from tensorkiln.frontends.cli.main import main
from tensorkiln.frontends.training import train_onnx
from tensorkiln.runtime.errors import ArtifactError, FeedError, ModelError
from tensorkiln.runtime.load import load_model, read_manifest, run_self_test
from tensorkiln.runtime.processor import architecture
from tensorkiln.runtime.trainer import Trainer
from tensorkiln.runtime.training_manifest import TrainingManifest

ARGUMENTS = {"loss": "softmax_cross_entropy", "optimizer": "adam", "learning_rate": 0.05}
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Batch 4, for three levels where the machine has them, with test vectors."""
    tool("cc")
    path = tmp_path_factory.mktemp("trainer") / "net.so"
    isa = ("v2", "v3", "v4") if architecture() == "x86_64" else ()
    tf.export_training(open_mlp(), path, dims={"batch": 4}, isa=isa, self_test=True, **ARGUMENTS)
    return path


@pytest.fixture(scope="module")
def ranged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Batch 1 to 12, trained by momentum, whose state is not upset by rounding."""
    tool("cc")
    folder = tmp_path_factory.mktemp("ranged")
    onnx.save(open_mlp(), folder / "net.onnx")
    arguments = ["compile", str(folder / "net.onnx"), "-o", str(folder / "net.so"), "--self-test"]
    arguments += ["--train", "softmax_cross_entropy", "--optimizer", "momentum"]
    assert main([*arguments, "--learning-rate", "0.05", "--dim", "batch=1..12"]) == 0
    return folder / "net.so"


def loaded(path: Path, threads: int = 0) -> Trainer:
    trainer = tf.load(path, threads)
    assert isinstance(trainer, Trainer)
    return trainer


def feeds(batch: int, seed: int = 0) -> Arrays:
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((batch, 6), np.float32)
    return {"input": x, "labels": generator.integers(0, 3, batch)}


def interpret(model: TrainingModel, state: Arrays, fed: Arrays) -> tuple[float, Arrays, np.ndarray]:
    """The loss of a step, the state after it, and the prediction with that."""
    values = {**state, **fed}
    results = evaluate(model.step, [values[v.name] for v in model.step.parameters])
    after = dict(state)
    for position, parameter in model.step.aliases.items():
        after[model.step.parameters[parameter].name] = results[position]
    values = {**after, **fed}
    (output,) = evaluate(model.predict, [values[v.name] for v in model.predict.parameters])
    return float(results[0]), after, output


def test_a_trainer_does_what_the_interpreter_does(fixed: Path, tmp_path: Path) -> None:
    trainer = loaded(fixed)
    assert [s.name for s in trainer.train_inputs] == ["input", "labels"]
    assert [s.name for s in trainer.train_outputs] == ["loss"]
    assert [s.name for s in trainer.predict_inputs] == ["input"]
    assert [str(s) for s in trainer.predict_outputs] == ["f32[4,3]"]
    model = train_onnx(open_mlp(), dims={"batch": 4}, **ARGUMENTS)  # type: ignore[arg-type]
    assert set(trainer.state) == set(model.state)
    state: Arrays = dict(model.state)
    for seed in range(3):
        fed = feeds(4, seed)
        wanted, state, output = interpret(model, state, fed)
        (loss,) = trainer.train_step(fed)
        assert loss == pytest.approx(wanted, rel=1e-4)
        (got,) = trainer.predict({"input": fed["input"]})
        np.testing.assert_allclose(got, output, rtol=1e-3, atol=1e-4)
    trainer.save(tmp_path / "state")
    kept = {name: array.copy() for name, array in trainer.state.items()}
    assert kept["adam/beta1_power"] == pytest.approx(0.9**3)
    trainer.init()
    np.testing.assert_array_equal(trainer.state["fc0.weight"], model.state["fc0.weight"])
    other = loaded(fixed)
    other.load(tmp_path / "state")
    for name, array in kept.items():
        np.testing.assert_array_equal(other.state[name], array)
    other.state["fc1.bias"][...] = 7
    assert other.predict({"input": fed["input"]})[0].mean() > 3
    with pytest.raises(ArtifactError, match=r"nowhere.*cannot be read"):
        trainer.load(tmp_path / "nowhere")
    (tmp_path / "state").write_bytes(b"x")
    with pytest.raises(ArtifactError, match="damaged"):
        trainer.load(tmp_path / "state")
    with pytest.raises(ArtifactError, match="cannot be written"):
        trainer.save(tmp_path / "no" / "folder")


def test_wrong_feeds_are_named(fixed: Path, ranged: Path) -> None:
    trainer = loaded(fixed)
    with pytest.raises(FeedError, match="missing input 'labels'"):
        trainer.train_step({"input": np.zeros((4, 6), np.float32)})
    with pytest.raises(FeedError, match=r"input 'input' expects f32\[4,6\]"):
        trainer.predict({"input": np.zeros((5, 6), np.float32)})
    opened = loaded(ranged)
    with pytest.raises(FeedError, match=r"its batch is 13.*batch=1\.\.12"):
        opened.predict({"input": np.zeros((13, 6), np.float32)})
    with pytest.raises(FeedError, match="expects"):
        opened.train_step({"input": np.zeros((5, 6), np.float32), "labels": np.zeros(4, np.int64)})


@pytest.mark.parametrize("kind", ["fixed", "ranged"])
def test_the_commands(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = request.getfixturevalue(kind)
    onnx.save(open_mlp(), tmp_path / "net.onnx")
    dims = ["--dim", f"batch={4 if kind == 'fixed' else 5}"]
    against = ["--against", str(tmp_path / "net.onnx")]
    if kind == "ranged":
        assert main(["verify", str(path), *against, *dims]) == 0
        assert "3 agree" in capsys.readouterr().out
        assert main(["verify", str(path), "--dim", "length=3"]) == 2
        assert "batch=1..12" in capsys.readouterr().err
    assert main(["verify", str(path)]) == 0
    assert "agrees   self-test" in capsys.readouterr().out
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert "fc0.weight  f32[5,6] at 0" in text
    assert "softmax_cross_entropy" in text
    assert main(["inspect", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [s["name"] for s in report["train_step"]["inputs"]][:2] == ["input", "labels"]
    assert main(["profile", str(path), "--seconds", "0.1", "--json"]) == 0
    times = json.loads(capsys.readouterr().out)["functions"]
    assert [t["name"] for t in times] == ["train_step", "predict"]
    assert main(["run", str(path)]) == 1
    assert "is trained" in capsys.readouterr().err
    with pytest.raises(ArtifactError, match=r"tensorkiln\.load"):
        load_model(path)


def test_a_range_of_sizes_trains(ranged: Path) -> None:
    trainer = loaded(ranged)
    assert [str(s) for s in trainer.train_inputs] == ["f32[batch,6]", "i64[batch]"]
    arguments = {**ARGUMENTS, "optimizer": "momentum"}
    state: Arrays = dict(train_onnx(open_mlp(), dims={"batch": 1}, **arguments).state)  # type: ignore[arg-type]
    for batch in (1, 7, 12, 3):
        model = train_onnx(open_mlp(), dims={"batch": batch}, **arguments)  # type: ignore[arg-type]
        fed = feeds(batch, batch)
        wanted, state, output = interpret(model, state, fed)
        assert trainer.train_step(fed)[0] == pytest.approx(wanted, rel=1e-4)
        (got,) = trainer.predict({"input": fed["input"]}, threads=2)
        np.testing.assert_allclose(got, output, rtol=1e-3, atol=1e-5)
    header = ranged.with_suffix(".h").read_text()
    assert "net_train_step_workspace_for(int32_t batch)" in header
    assert "net_predict_workspace_for(int32_t batch)" in header
    for compiler, standard in (("cc", "c99"), ("c++", "c++17")):
        language = "c" if compiler == "cc" else "c++"
        command = [tool(compiler), f"-std={standard}", *STRICT, "-fsyntax-only", f"-x{language}"]
        output_of(*command, ranged.with_suffix(".h"))


@pytest.mark.parametrize("kind", ["fixed", "ranged"])
def test_the_vectors_find_a_changed_weight(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    path = request.getfixturevalue(kind)
    assert run_self_test(path) is None
    data = path.read_bytes()
    weight = loaded(path).state["fc1.weight"].tobytes()
    loaded(path).init()
    initial = train_onnx(open_mlp(), dims={"batch": 4}, **ARGUMENTS).state["fc1.weight"]  # type: ignore[arg-type]
    assert weight == initial.tobytes()
    assert data.count(weight) == 1
    changed = initial.copy()
    changed[0, 0] += 0.01
    (tmp_path / "net.so").write_bytes(data.replace(weight, changed.tobytes()))
    assert run_self_test(tmp_path / "net.so") is not None
    assert main(["verify", str(tmp_path / "net.so")]) == 4


@pytest.mark.skipif(architecture() != "x86_64", reason="levels are those of x86-64")
def test_c_trains_at_every_level(fixed: Path) -> None:
    rpath = f"-Wl,-rpath,{fixed.parent}"
    program = compile_c(fixed.parent, HERE / "trainer_driver.c", str(fixed), rpath)
    *levels, equal, error = output_of(program, fixed.parent / "state").splitlines()
    losses = set()
    for level, line in zip((2, 3, 4), levels, strict=True):
        head, _, rest = line.partition(", self-test ")
        if rest:
            assert head == f"level {level}: 0, is {level}"
            losses.add(rest)
        else:
            assert line == f"level {level}: 7"
    assert len(losses) == 1, losses
    assert losses.pop().startswith("0 ")
    assert equal == "equal 1, taken 1, given back 1"
    assert "cannot be read" in error


def test_a_graph_with_one_size_for_two_placeholders(tmp_path: Path) -> None:
    tool("cc")
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        y = tf.placeholder(tf.float32, [None], name="y")
        w = tf.get_variable("w", [3, 1], initializer=tf.ones_initializer())
        out = tf.squeeze(tf.matmul(x, w), 1, name="out")
        loss = tf.reduce_mean(tf.square(out - y), name="loss")
        step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            path = tf.export_training(
                graph, tmp_path / "g.so", train=[step], loss=loss, outputs=[out], session=session,
                dims={"x.0": (1, 4), "y.0": "x.0"}, self_test=True,
            ).path  # fmt: skip
            assert run_self_test(path) is None
            trainer = loaded(path)
            for rows in (1, 4, 3):
                a = np.random.default_rng(rows).random((rows, 3), np.float32)
                b = a.sum(1) * 2
                (got,) = trainer.train_step({"x": a, "y": b})
                assert got == pytest.approx(session.run([loss, step], {x: a, y: b})[0], rel=1e-5)
            np.testing.assert_allclose(trainer.state["w"], session.run(w), rtol=1e-5)
            with pytest.raises(ModelError, match=r"as large as 'z\.0'"):
                tf.export_training(
                    graph, tmp_path / "h.so", train=[step], loss=loss, outputs=[out],
                    session=session, dims={"x.0": 4, "y.0": "z.0"},
                )  # fmt: skip


def test_manifests_of_strangers(fixed: Path) -> None:
    manifest = read_manifest(fixed)
    assert isinstance(manifest, TrainingManifest)
    assert TrainingManifest.from_json(manifest.to_json()) == manifest
    assert manifest.recipe is not None
    assert manifest.recipe.optimizer == "adam"
    first, *others = manifest.state
    for wrong, text in (
        (replace(manifest, state=(first, first, *others)), "one name"),
        (replace(manifest, state=(replace(first, shape=(1,)), *others)), "is f32"),
        (replace(manifest, state=tuple(others)), "changes an input"),
        (replace(manifest, step=replace(manifest.step, artifact=None)), "name its functions"),
    ):
        with pytest.raises(ArtifactError, match=text):
            TrainingManifest.from_json(wrong.to_json())
    data = json.loads(manifest.to_json())
    for changed in (
        {**data, "version": 99}, {**data, "extra": 1}, {**data, "predict": []},
        {**data, "recipe": {**data["recipe"], "learning_rate": "fast"}},
        {k: v for k, v in data.items() if k != "state"},
    ):  # fmt: skip
        with pytest.raises(ArtifactError):
            TrainingManifest.from_json(json.dumps(changed))
