"""The benchmark: its rows, its measurements and its reports, on small models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator

from tensorkiln.benchmarks import micro
from tensorkiln.benchmarks.models import mlp
from tensorkiln.benchmarks.models.cnn import cnn
from tensorkiln.benchmarks.models.light import light
from tensorkiln.benchmarks.suite import SUITE, Row
from tensorkiln.frontends.cli import bench_command
from tensorkiln.frontends.cli.bench.engines import Ceiling, ceilings
from tensorkiln.frontends.cli.bench.machine_rates import machine_rates
from tensorkiln.frontends.cli.bench.measure import Measurement, Options
from tensorkiln.frontends.cli.bench.overheads import c_overhead, session_overhead
from tensorkiln.frontends.cli.bench.report import markdown, table
from tensorkiln.frontends.cli.bench.rows import chosen
from tensorkiln.frontends.cli.main import main
from tensorkiln.frontends.cli.progress import Progress
from tensorkiln.frontends.onnx import import_model

ONE = Options(rounds=1)
HERE = Options().processors


def test_measures_a_model_of_the_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, report = tmp_path / "small.onnx", tmp_path / "report.json"
    model.write_bytes(mlp("batch", sizes=(4, 3)).SerializeToString())
    words = ["bench", str(model), "--dim", "batch=2", "--threads", "1,2", "--repeat", "1"]
    words += ["--end-to-end", "--also-target", "x86-64-v2"]
    assert main([*words, "-o", str(report)]) == 0
    printed = capsys.readouterr().out
    assert "| small |" in printed
    results = json.loads(report.read_text())["results"]
    assert [result["threads"] for result in results] == [1, 2]
    for result in results:
        assert set(result["engines"]) == {"compiled", "compiled x86-64-v2", "interpreted"}
        assert set(result["end_to_end"]) == {"compiled", "compiled x86-64-v2"}
        assert 0 < result["engines"]["compiled"]["median"] < 1
        assert result["differences"]["compiled"] < 1e-5
        assert set(result["ceilings"]) == {"fma_peak", "fma_peak x86-64-v2", "read"}


def test_wrong_answers_are_not_timed(tmp_path: Path) -> None:
    row = Row("strict", lambda: mlp(1, sizes=(64, 64)), tolerance=-1.0)
    result = Measurement(row, tmp_path, {}, Progress(False), ONE).run(1, [], {})
    assert result.wrong
    assert "compiled" not in result.engines
    assert "failed" in markdown(table([result]))


def test_a_row_that_fails_does_not_end_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> ModelProto:
        raise ValueError("no weights")

    rows: list[Row | str] = [Row("broken", broken), Row("mlp", lambda: mlp(1, sizes=(4, 3)))]
    monkeypatch.setattr(bench_command, "chosen", lambda names: rows)
    assert main(["bench", "--repeat", "1"]) == 1
    printed = capsys.readouterr().out
    assert "broken, 1 threads: compiled: ValueError('no weights')" in printed
    assert "| mlp " in printed


def test_ceilings_do_their_work() -> None:
    (fma, old) = ceilings(10**9, 0, 1, levels=["x86-64"])
    plain, streaming = ceilings(0, 1 << 20, 1)
    (read,) = ceilings(0, 1 << 20, 1, only_read=True)
    for ceiling in (fma, old, plain, streaming, read):
        assert isinstance(ceiling, Ceiling)
        assert all(0 < seconds < 10 for seconds in ceiling.times(0.01, 3))
    for ceiling in (plain, streaming):
        np.testing.assert_array_equal(*ceiling.arrays)
    given, sums = read.arrays
    assert sums[: len(sums) // (len(given) >> 14)].sum() == given.sum()


def test_rates_of_the_machine_have_places() -> None:
    found = {result.name: result for result in machine_rates(1, 1, HERE)}
    assert {"ceiling fma_peak", "ceiling copy L2", "ceiling read memory"} <= set(found)
    for result in found.values():
        assert bool(result.flops) != bool(result.bytes)
        assert 1e8 < (result.flops or result.bytes) / result.engines["compiled"].median < 1e13


def test_calls_of_a_session_and_of_a_c_program() -> None:
    for result in (session_overhead(1, 1, HERE), c_overhead(1, 1, HERE)):
        assert result.errors == {}
        assert 0 < result.engines["compiled"].median < 1e-3
        assert result.limit is not None


@pytest.mark.parametrize(
    "model",
    [micro.matmul(5), micro.linear(5), micro.softmax(3, 7), micro.layer_norm(3, 7),
     micro.elementwise_chain(33), micro.convolution(4, 6), micro.convolution(4, 6, 4),
     micro.column_sums(5, 3), micro.many_ops(20), micro.trivial(), cnn(1)],
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
        if row.name.startswith(("matmul_512", "softmax", "lenet", "mlp", "compile_ops_300")):
            import_model(row.model())


def test_growing_graphs_have_the_nodes_they_say() -> None:
    for count in (10, 100, 1000):
        assert count <= len(micro.many_ops(count).graph.node) < count + 4


def test_light_models_have_random_weights_and_one_input() -> None:
    graph = light("squeezenet").graph
    assert [value.name for value in graph.input] == ["data_0"]
    assert not any(node.op_type == "ConstantOfShape" for node in graph.node)
    (weights,) = (w for w in graph.initializer if w.name == "conv1_w_0")
    assert len(set(np.frombuffer(weights.raw_data, np.float32)[:10])) > 5


def test_rows_are_chosen_by_patterns(capsys: pytest.CaptureFixture[str]) -> None:
    def names(*patterns: str) -> list[str]:
        return [row if isinstance(row, str) else row.name for row in chosen(patterns)]

    assert names("mlp_b*", "ceilings") == ["ceilings", "mlp_b1", "mlp_b256"]
    assert len(names("light_*")) == 9
    everything = names()
    assert "resnet50_b1" in everything
    assert not any(name.startswith(("growth", "compile")) for name in everything)
    assert main(["bench", "no_such*"]) == 2
    assert "no row 'no_such*'" in capsys.readouterr().err
