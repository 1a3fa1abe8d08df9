"""The commands on the training step of an ONNX model, and wrong arguments about training."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from tensorkiln.benchmarks.models import mlp
from tensorkiln.frontends.cli.main import main

TRAIN = ["--train", "mean_squared_error", "--optimizer", "sgd"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("trained") / "net.onnx"
    onnx.save(mlp(3, sizes=(4, 5, 2)), path)
    return str(path)


def test_verify_and_inspect_a_step(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", model, *TRAIN, "--target", "host", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {check["outcome"] for check in report["checks"]} == {"agrees"}
    assert main(["inspect", model, *TRAIN, "--stage", "ir"]) == 0
    text = capsys.readouterr().out
    assert '"fc0.weight/new"' in text
    assert "%targets: f32[3,2]" in text


def test_profile_a_step(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", model, *TRAIN, "--seconds", "0.05", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model"] == "train_step"
    assert any("/fc0/Gemm" in kernel["nodes"] for kernel in report["timings"])


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["inspect", "MODEL", *TRAIN, "--stage", "graph"], 2, "before training is added"),
        (["inspect", "x.so", *TRAIN], 2, "for ONNX models"),
        (["verify", "x.so", *TRAIN], 2, "has its training in it"),
        (["profile", "x.so", *TRAIN], 2, "not for shared objects"),
        (["profile", "x.so", "--html", "x.html"], 2, "not for shared objects"),
        (["compile", "MODEL", "-o", "x.o", *TRAIN, "--target", "wasm32"], 1, "only for Linux"),
        (["verify", "MODEL", *TRAIN, "--learning-rate", "-1"], 1, "positive number"),
        (["compile", "MODEL", "-o", "x.so", "--optimizer", "sgd"], 2, "goes with --train"),
        (["profile", "MODEL", "--learning-rate", "0.1"], 2, "goes with --train"),
        (["profile", "MODEL", *TRAIN, "--trainable", "w"], 1, "no initializer w"),
    ],
)
def test_wrong_arguments(
    model: str,
    arguments: list[str],
    code: int,
    text: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # should one of them write something after all
    assert main([model if word == "MODEL" else word for word in arguments]) == code
    assert text in capsys.readouterr().err
