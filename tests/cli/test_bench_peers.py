"""Other engines in processes of their own, played by a small one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator

from tensorkiln.benchmarks import micro
from tensorkiln.benchmarks.models import mlp, t5_small
from tensorkiln.benchmarks.models.builder import ModelBuilder
from tensorkiln.benchmarks.suite import Row
from tensorkiln.frontends.cli.bench import peer as peer_module
from tensorkiln.frontends.cli.bench.measure import Measurement, Options
from tensorkiln.frontends.cli.bench.peer import Peer, PeerError, start_peers
from tensorkiln.frontends.cli.bench.rest import wait_for_rest
from tensorkiln.frontends.cli.progress import Progress

FOLDER = Path(peer_module.__file__).with_name("peers")
HERE = Options().processors

ENGINE = """
import threading, time
from onnx.reference import ReferenceEvaluator
from prepared import Prepared

VERSION = "1.2"


def prepare(model, inputs, threads):
    session = ReferenceEvaluator(model)
    found = []

    def call():
        found[:] = [{scale} * y for y in session.run(None, dict(inputs))]
        {after}

    return Prepared(call, lambda: list(found), lambda: [{whole} * y for y in session.run(None, dict(inputs))])
"""


def engine(folder: Path, **parts: object) -> Path:
    """A folder with an engine `fake`."""
    given = {"scale": 1, "whole": 1, "after": "pass", **parts}
    (folder / "run_fake.py").write_text(ENGINE.format(**given))
    return folder


@pytest.fixture
def measurement(tmp_path: Path) -> Measurement:
    (tmp_path / "row").mkdir()
    row = Row("row", lambda: mlp(2, sizes=(6, 5, 3)))
    options = Options(rounds=1, end_to_end=True)
    return Measurement(row, tmp_path / "row", {}, Progress(False), options)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Peer]]:
    peers: list[Peer] = []
    yield peers
    for peer in peers:
        peer.close()


def test_a_peer_is_measured_in_both_forms(
    tmp_path: Path, measurement: Measurement, started: list[Peer]
) -> None:
    started.append(Peer("fake", 1, sys.executable, HERE, [engine(tmp_path)]))
    result = measurement.run(1, started, {"other": "not installed"})
    assert started[0].version == "1.2"
    assert result.errors == {}
    assert result.fastest == "fake"
    assert set(result.end_to_end) == {"compiled", "fake"}
    assert result.ratio == result.engines["compiled"].median / result.engines["fake"].median
    assert "fake" in result.rest
    assert result.missing == {"other": "not installed"}


def test_a_peer_with_wrong_answers_is_not_timed(
    tmp_path: Path, measurement: Measurement, started: list[Peer]
) -> None:
    started.append(
        Peer("fake", 1, sys.executable, HERE, [engine(tmp_path, scale=1.01, whole=1.01)])
    )
    result = measurement.run(1, started, {})
    assert "differs from the reference" in result.errors["fake"]
    assert "fake" not in result.engines
    assert not result.wrong


def test_forms_that_do_not_agree_are_an_error(
    tmp_path: Path, measurement: Measurement, started: list[Peer]
) -> None:
    started.append(Peer("fake", 1, sys.executable, HERE, [engine(tmp_path, whole=2)]))
    result = measurement.run(1, started, {})
    assert "results differ between bound arrays and numpy arrays" in result.errors["fake"]


def test_an_engine_whose_process_ends_is_started_anew(
    tmp_path: Path, measurement: Measurement, started: list[Peer]
) -> None:
    last = "import os; os.path.exists(r'%s') or os._exit(7)" % (tmp_path / "well")
    started.append(Peer("fake", 1, sys.executable, HERE, [engine(tmp_path, after=last)]))
    result = measurement.run(1, started, {})
    assert result.errors["fake"] == "its process ended with 7"
    (tmp_path / "well").touch()
    result = measurement.run(1, started, {})
    assert result.errors == {}
    assert "fake" in result.engines


def test_no_answer_is_no_answer_for_ever(
    tmp_path: Path, measurement: Measurement, started: list[Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    started.append(
        Peer("fake", 1, sys.executable, HERE, [engine(tmp_path, after="time.sleep(60)")])
    )
    monkeypatch.setattr(peer_module, "_LONGEST_SECONDS", 0.3)
    result = measurement.run(1, started, {})
    assert result.errors["fake"] == "no answer for 0.3 seconds"


def test_an_engine_that_is_not_there_is_told() -> None:
    with pytest.raises(PeerError, match="ModuleNotFoundError"):
        Peer("no_such_engine", 1, sys.executable, HERE)
    found, missing = start_peers(["no_such_engine"], 1, {}, HERE)
    assert found == []
    assert "not installed" in missing["no_such_engine"]


def test_rest_waits_for_threads_that_spin(tmp_path: Path, started: list[Peer]) -> None:
    spin = (
        "threading.Thread(target=lambda end=time.monotonic() + 0.2:"
        " [0 for _ in iter(lambda: time.monotonic() < end, False)]).start()"
    )
    peer = Peer("fake", 1, sys.executable, HERE, [engine(tmp_path, after=spin)])
    started.append(peer)
    model, inputs = tmp_path / "m.onnx", tmp_path / "i.npz"
    model.write_bytes(mlp(2, sizes=(6, 5, 3)).SerializeToString())
    np.savez(inputs, input=np.ones((2, 6), np.float32))
    wait_for_rest(peer.process)
    peer.prepare(model, inputs, tmp_path / "o.npz")
    start = time.monotonic()
    assert wait_for_rest(peer.process) > 0.1
    assert time.monotonic() - start < 0.9
    assert wait_for_rest(peer.process) < 0.05


def small_net() -> ModelProto:
    """Nodes with constant parts, as exporters write them."""
    b = ModelBuilder("net", 2, (3, 8, 8), 0)
    x = b.relu(b.batch_norm(b.conv("input", "c", (3, 4), 3, padding=1), "n", 4), "r")
    shape = b.weight("shape", np.array([0, -1], np.int64))
    kept = b.node("Identity", [shape], "same")
    flat = b.node("Reshape", [x, kept], "flat")
    return b.finish(b.linear(flat, "l", 256, 5), 5)


def test_nodes_without_inputs_are_computed_when_a_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    nodes = pytest.importorskip("onnx_nodes")
    path = tmp_path / "net.onnx"
    path.write_bytes(small_net().SerializeToString())
    model = nodes.Model(str(path))
    assert [node.kind for node in model.nodes] == [
        "Conv", "BatchNormalization", "Relu", "Reshape", "Gemm"
    ]  # fmt: skip
    assert model.nodes[3].inputs[1] == [0, -1]
    with pytest.raises(NotImplementedError, match="no translation of BatchNormalization, Conv"):
        model.check({"Relu": None, "Reshape": None, "Gemm": None})


def test_old_softmaxes_and_loops_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    nodes = pytest.importorskip("onnx_nodes")

    def kinds(model: ModelProto) -> list[str]:
        path = tmp_path / "m.onnx"
        path.write_bytes(model.SerializeToString())
        return [node.kind for node in nodes.Model(str(path)).nodes]

    softmax = micro.softmax(2, 3)
    assert kinds(softmax) == ["Softmax"]
    softmax.opset_import[0].version = 12
    assert kinds(softmax) == ["SoftmaxOfRows"]
    # A loop reads more than its inputs: it is not computed when the model is loaded.
    assert "Loop" in kinds(t5_small(1, tokens=4, steps=2, layers=1))


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_translations_agree_with_the_reference(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(library)
    monkeypatch.syspath_prepend(str(FOLDER))
    path = tmp_path / "net.onnx"
    path.write_bytes(small_net().SerializeToString())
    given = {"input": np.random.default_rng(0).random((2, 3, 8, 8), np.float32)}
    name = "run_torch_eager" if library == "torch" else "run_jax"
    prepared = pytest.importorskip(name).prepare(str(path), given, 1)
    (wanted,) = ReferenceEvaluator(str(path)).run(None, given)
    np.testing.assert_allclose(prepared.end_to_end()[0], wanted, rtol=1e-4, atol=1e-4)
