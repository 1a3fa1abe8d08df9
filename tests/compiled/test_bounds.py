"""Checked code: no access of the op table leaves its buffer, and those that do are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from compiled.batches import (
    SAMPLES,
    arrays_of,
    assert_shares_agree,
    batch_name,
    batches,
    build_batch,
    representative,
)
from compiled.check import small_limits
from ops.derived import derived_samples
from ops.samples import Sample

from tensorkiln.benchmarks.models import lenet
from tensorkiln.compiler import pipeline
from tensorkiln.compiler.bounds import CheckedCode
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.kernel.parse import parse_kernel
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Structural
from tensorkiln.frontends.cli.main import main
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.errors import BoundsError
from tensorkiln.runtime.processor import missing_features

HOST = target_named("host")
PARTS = 7  # of the whole table, each tens of seconds at one level
FEW = batches(representative(SAMPLES, 0), 48)
NEGATE = """func @f(%a: f32[40]) -> (f32[40]) {
  %b: f32[40] = negate(%a) loc("minus", "m.py", 3)
  return %b
}
"""


def run_batch(batch: Sequence[Sample], name: str) -> None:
    function, target = build_batch(batch), target_named(name)
    arrays = arrays_of(batch)
    found = CheckedCode(function, target, 2).run(arrays)
    assert_shares_agree(batch, found, evaluate(function, arrays), target)


@pytest.mark.parametrize("batch", FEW, ids=batch_name)
def test_an_op_of_each_kind_stays_in_its_buffers(batch: Sequence[Sample]) -> None:
    run_batch(batch, "host")


def test_every_op_is_among_them() -> None:
    structural = {r.name for r in REGISTRY if isinstance(r.lowering, Structural)}
    ops = {sample.op for batch in FEW for sample in batch}
    assert {r.name for r in REGISTRY} - structural - ops == set()


@cache
def whole_table() -> list[tuple[Sample, ...]]:
    return batches((*SAMPLES, *derived_samples()), 48)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_the_whole_table_stays_in_its_buffers(
    target: str, part: int, request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("--whole-table"):
        pytest.skip("minutes of work: pytest --whole-table")
    if missing_features(target_named(target).features):
        pytest.skip(f"this processor has not all of {target}")
    for batch in whole_table()[part::PARTS]:
        run_batch(batch, target)


def test_a_network_with_small_blocks_stays_in_its_buffers() -> None:
    function = import_model(lenet(3))
    x = np.random.default_rng(0).standard_normal((3, 1, 28, 28), np.float32)
    with small_limits():
        (got,) = CheckedCode(function, HOST, 3).run([x])
    np.testing.assert_allclose(got, evaluate(function, [x])[0], rtol=1e-3, atol=1e-3)


KERNEL = """kernel @negate(in0: f32[40], out0: out f32[40]) {
  for b in 0..5 {
    vector l in 0..8 {
      out0[b * 8 + l] = neg(in0[b * 8 + l])
    }
  }
}
"""
READ, WRITTEN = "neg(in0[b * 8 + l])", "out0[b * 8 + l] ="


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3", "x86-64-v4"])
@pytest.mark.parametrize(
    ("before", "after", "element"),
    [(READ, READ, None), (READ, "neg(in0[39])", None), (READ, "neg(in0[b * 9])", None),
     (READ, "neg(in0[b * 11])", "44 of the buffer in0"),
     (READ, "neg(in0[b * 8 + l - 1])", "-1 of the buffer in0"),
     (READ, "neg(in0[b * 8 + l * 5])", "8 of the buffer in0"),
     (WRITTEN, "out0[b * 8 + l + 3] =", "35 of the buffer out0"),
     (WRITTEN, "out0[b * 64 + l] =", "64 of the buffer out0"),
     (WRITTEN, "out0[l * 6 + b] =", "0 of the buffer out0")],
)  # fmt: skip
def test_what_leaves_a_buffer_is_told_and_harms_nothing(
    before: str, after: str, element: str | None, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing_features(target_named(target).features):
        pytest.skip(f"this processor has not all of {target}")
    real = pipeline.lower_function
    assert before in KERNEL
    kernel = parse_kernel(KERNEL.replace(before, after))
    monkeypatch.setattr(
        pipeline, "lower_function", lambda *given: replace(real(*given), kernels=(kernel,))
    )
    code = CheckedCode(parse_function(NEGATE), target_named(target), 1)
    array = np.ones(40, np.float32)
    if element is None:
        np.testing.assert_array_equal(code.run([array])[0], -1)
        return
    with pytest.raises(BoundsError) as caught:
        code.run([array])
    text = str(caught.value)
    assert "kernel negate (nodes minus)" in text
    assert f"element {element}: f32[40]" in text
    np.testing.assert_array_equal(array, 1)


def test_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx.save(lenet(1), tmp_path / "m.onnx")
    assert main(["run", str(tmp_path / "m.onnx"), "--check-bounds"]) == 0
    assert "output" in capsys.readouterr().out
    assert main(["run", str(tmp_path / "m.so"), "--check-bounds"]) == 2
    assert main(["run", str(tmp_path / "m.onnx"), "--check-bounds", "--interpreted"]) == 2
