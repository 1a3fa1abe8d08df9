"""The benchmark: its rows, its measurements and its reports, on small models."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator

from tensorkiln.benchmarks import micro
from tensorkiln.benchmarks.models import mlp
from tensorkiln.benchmarks.suite import SUITE, Row
from tensorkiln.frontends.cli.bench.engines import Ceiling, Peer, PeerError, ceilings
from tensorkiln.frontends.cli.bench.measure import Measurement
from tensorkiln.frontends.cli.bench.report import table
from tensorkiln.frontends.cli.main import main
from tensorkiln.frontends.cli.progress import Progress
from tensorkiln.frontends.onnx import import_model


def test_measures_a_model_of_the_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, report = tmp_path / "small.onnx", tmp_path / "report.json"
    model.write_bytes(mlp("batch", sizes=(4, 3)).SerializeToString())
    words = ["bench", str(model), "--dim", "batch=2", "--threads", "1,2", "--repeat", "1"]
    assert main([*words, "-o", str(report)]) == 0
    printed = capsys.readouterr().out
    assert "| small |" in printed
    results = json.loads(report.read_text())["results"]
    assert [result["threads"] for result in results] == [1, 2]
    for result in results:
        assert set(result["engines"]) == {"compiled", "interpreted"}
        assert 0 < result["engines"]["compiled"]["median"] < 1
        assert result["differences"]["compiled"] < 1e-5


def test_wrong_answers_are_not_timed(tmp_path: Path) -> None:
    row = Row("strict", lambda: mlp(1, sizes=(64, 64)), tolerance=-1.0)
    result = Measurement(row, tmp_path, {}, Progress(False)).run(1, [], 1)
    assert result.wrong
    assert "compiled" not in result.engines
    assert "failed" in table([result])


def test_ceilings_do_their_work() -> None:
    (fma,) = ceilings(10**9, 0, 1)
    plain, streaming = ceilings(0, 1 << 20, 1)
    for ceiling in (fma, plain, streaming):
        assert isinstance(ceiling, Ceiling)
        assert all(0 < seconds < 10 for seconds in ceiling.times(0.01, 3))
    for ceiling in (plain, streaming):
        np.testing.assert_array_equal(*ceiling.arrays)


def test_an_engine_that_is_not_there() -> None:
    with pytest.raises(PeerError, match="ModuleNotFoundError"):
        Peer("no_such_engine", 1, sys.executable)


@pytest.mark.parametrize(
    "model",
    [micro.matmul(5), micro.linear(5), micro.softmax(3, 7), micro.layer_norm(3, 7),
     micro.elementwise_chain(33), micro.convolution(4, 6), micro.convolution(4, 6, 4),
     micro.column_sums(5, 3)],
)  # fmt: skip
def test_microkernels_agree_with_the_onnx_reference(model: ModelProto, tmp_path: Path) -> None:
    row = Row("micro", lambda: model)
    measurement = Measurement(row, tmp_path, {}, Progress(False))
    feeds = dict(np.load(tmp_path / "inputs.npz"))
    wanted = ReferenceEvaluator(model).run(None, feeds)
    np.testing.assert_allclose(measurement.reference[0], wanted[0], rtol=1e-4, atol=1e-5)


def test_rows_have_different_names_and_small_ones_import() -> None:
    names = [row.name for row in SUITE]
    assert len(set(names)) == len(names)
    for row in SUITE:
        if row.name.startswith(("matmul", "softmax", "lenet", "mlp")):
            import_model(row.model())
