"""The comparison of training steps with other engines, one of them played by a small one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tensorkiln.benchmarks.training.compare import Training, main
from tensorkiln.benchmarks.training.networks import ROWS
from tensorkiln.frontends.cli.bench.measure import Options
from tensorkiln.frontends.cli.bench.peer import Peer
from tensorkiln.frontends.cli.bench.result import Result
from tensorkiln.frontends.cli.progress import Progress

PEERS = Path(__file__).parents[2] / "benchmarks" / "training" / "peers"
(REGRESSION,) = (row for row in ROWS if row.name == "softmax_regression_b100")

ENGINE = """
import numpy as np
from losses import parameters, prepared

VERSION = "1"


def prepare(model, inputs, threads):
    w, b = parameters(inputs)
    x, y = inputs["images"], inputs["labels"]

    def step():
        z = x @ w + b
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        d = (p - y) / len(x) * {rate}
        w[...] -= x.T @ d
        b[...] -= d.sum(0)
        return float(-np.log((p * y).sum(1)).mean())

    return prepared(step)
"""


def run_with(folder: Path, rate: float) -> Result:
    (folder / "run_fake.py").write_text(ENGINE.format(rate=rate))
    training = Training(REGRESSION, folder, Progress(False))
    peer = Peer("fake", 1, sys.executable, Options().processors, [folder, PEERS])
    try:
        return training.run(1, [peer], {}, 1)
    finally:
        peer.close()


def test_an_engine_that_trains_alike_is_timed(tmp_path: Path) -> None:
    result = run_with(tmp_path, 0.5)
    assert result.errors == {}
    assert set(result.engines) == {"compiled", "interpreted", "fake"}
    assert result.differences["fake"] < 1e-4
    assert result.flops > 2 * 3 * 100 * 784 * 10 * 0.6


def test_an_engine_that_trains_otherwise_is_not(tmp_path: Path) -> None:
    result = run_with(tmp_path, 0.25)
    assert "losses" in result.errors["fake"]
    assert "fake" not in result.engines


def test_a_report_is_saved_and_merged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    path = tmp_path / "training.json"
    words = [REGRESSION.name, "--repeat", "1", "-o", str(path), "--merge", str(path)]
    assert main(words) == 0
    before = path.read_text()
    (result,) = json.loads(before)["results"]
    assert (result["name"], result["group"]) == (f"train_{REGRESSION.name}", "training")
    assert main(words) == 0
    assert path.read_text() == before
    assert capsys.readouterr().out.count(f"| train_{REGRESSION.name} |") == 2


def test_wrong_names_are_refused() -> None:
    for words in (["no_such_row"], ["--peers", "caffe"], ["--threads", "1000"]):
        with pytest.raises(SystemExit) as error:
            main(words)
        assert error.value.code == 2


def test_rates_are_those_of_the_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PEERS))
    rates = pytest.importorskip("rates")
    assert set(rates.DESCENT) | set(rates.ADAM) == {row.name for row in ROWS}
    assert np.isclose(rates.DESCENT[REGRESSION.name], 0.5)
