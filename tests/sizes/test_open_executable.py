"""Models compiled for ranges of sizes, called from Python and from C."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from sizes.open_models import CASES, cnn, mlp, random_inputs

import tensorkiln
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.frontends.cli.main import main
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.errors import FeedError, ModelError, UnsupportedError
from tensorkiln.runtime.open_executable import OpenExecutable


@pytest.mark.parametrize("name", CASES)
def test_every_shape_of_the_range(name: str) -> None:
    case = CASES[name]()
    executable = tensorkiln.compile(case.model, dims=case.ranges, cache=False)
    assert isinstance(executable, OpenExecutable)
    for sizes in case.points:
        function = import_model(case.model, dims=sizes)
        arrays = random_inputs([p.shape for p in function.parameters], sum(sizes.values()))
        first = executable(*arrays)
        for got, wanted in zip(first, evaluate(function, arrays), strict=True):
            assert got.shape == wanted.shape
            np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=2e-5)
        feeds = dict(zip((spec.name for spec in executable.inputs), arrays, strict=True))
        for threads in (1, 2, 3):
            again = executable.run(feeds, threads=threads)
            assert all(a.tobytes() == b.tobytes() for a, b in zip(first, again, strict=True))


def test_wrong_sizes_name_the_input_and_the_range() -> None:
    case = mlp()
    executable = tensorkiln.compile(case.model, dims={"batch": (2, 9)}, cache=False)
    assert isinstance(executable, OpenExecutable)
    with pytest.raises(
        FeedError, match=r"'x' has shape \[10, 20\]: its batch is 10, .* batch=2..9"
    ):
        executable(np.zeros((10, 20), np.float32))
    with pytest.raises(FeedError, match=r"expects f32\[batch,20\] where batch=3"):
        executable(np.zeros((3, 21), np.float32))
    with pytest.raises(FeedError, match="float64"):
        executable(np.zeros((3, 20)))
    assert executable.workspace_bytes({"batch": 2}) <= executable.workspace_bytes({"batch": 9})


def test_ranges_that_make_no_sense() -> None:
    case = mlp()
    for given in ((5, 2), (1, 2, 3), (1, 1 << 40)):
        with pytest.raises(ModelError, match="batch"):
            tensorkiln.compile(case.model, dims={"batch": given}, cache=False)  # type: ignore[dict-item]


def test_what_cannot_be_open_is_named() -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"], name="cut")]
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [2, -1])
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, [shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises((UnsupportedError, ModelError), match=r"cut|reshape"):
        tensorkiln.compile(model, dims={"n": (2, 16)}, cache=False)


def test_symbols_of_tensor_ir() -> None:
    text = """
func @f<n: 1..40>(%x: f32[n,3]) -> (f32[n,3]) {
  %0: f32[3] = reduce(%x) {dimensions = (0), reducer = "add"}
  %1: f32[n,3] = broadcast_in_dim(%0) {shape = (n, 3), dimensions = (1)}
  %2: f32[n,3] = subtract(%x, %1)
  return %2
}
"""
    executable = tensorkiln.compile(parse_function(text), cache=False)
    assert isinstance(executable, OpenExecutable)
    for n in (1, 2, 17, 40):
        (x,) = random_inputs([(n, 3)])
        np.testing.assert_allclose(executable(x)[0], x - x.sum(0), rtol=1e-4, atol=1e-4)


def test_it_is_taken_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSORKILN_CACHE", str(tmp_path))
    model = mlp().model.SerializeToString()
    (x,) = random_inputs([(5, 20)])
    results = [tensorkiln.compile(model, dims={"batch": (1, 9)})(x)[0] for _ in range(2)]
    assert results[0].tobytes() == results[1].tobytes()


PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include "net.h"
int main(void) {
  static float x[64 * 20], y[64 * 10];
  int32_t sizes[] = {1, 2, 13, 64, 65};
  for (int k = 0; k < 5; ++k) {
    int32_t batch = sizes[k];
    for (int i = 0; i < batch * 20 && i < 64 * 20; ++i) x[i] = (float)(i % 7) / 7 - 0.4f;
    net_inputs in = {x, &batch};
    net_outputs out = {y};
    void *space = aligned_alloc(64, (net_workspace_for(batch) + 63) / 64 * 64 + 64);
    int32_t status = net_run(&in, &out, space, 2);
    if (status) { printf("%s\\n", net_error(status)); return status == NET_SIZE_OUT_OF_RANGE ? 0 : 1; }
    double sum = 0;
    for (int i = 0; i < batch * 10; ++i) sum += (i % 3 + 1) * y[i];
    printf("%d %.5f\\n", batch, sum);
    free(space);
  }
  return 2;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_c_program_chooses_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = mlp()
    model = tmp_path / "net.onnx"
    model.write_bytes(case.model.SerializeToString())
    target = tmp_path / "net.so"
    assert (
        main(["compile", str(model), "--dim", "batch=1..64", "-o", str(target), "--no-cache"]) == 0
    )
    (tmp_path / "main.c").write_text(PROGRAM)
    program = tmp_path / "main"
    command = ["cc", "-Wall", "-Werror", "-o", str(program), str(tmp_path / "main.c"), str(target)]
    command += [f"-Wl,-rpath,{tmp_path}", "-lm", "-lpthread"]
    subprocess.run(command, check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    *lines, last = done.stdout.splitlines()
    assert "range" in last
    for line in lines:
        batch, total = line.split()
        n = int(batch)
        x = ((np.arange(n * 20) % 7) / 7 - 0.4).astype(np.float32).reshape(n, 20)
        (y,) = evaluate(import_model(case.model, dims={"batch": n}), [x])
        wanted = ((np.arange(n * 10) % 3 + 1) * y.reshape(-1)).sum()
        np.testing.assert_allclose(float(total), wanted, rtol=1e-3)
    loaded = tensorkiln.load(target)
    assert isinstance(loaded, OpenExecutable)
    (x,) = random_inputs([(17, 20)])
    assert loaded(x)[0].shape == (17, 10)
    capsys.readouterr()
    assert main(["run", str(target), "--dim", "batch=5"]) == 0
    assert "f32[5,10]" in capsys.readouterr().out
    assert main(["verify", str(target), "--against", str(model), "--dim", "batch=7"]) == 0


def test_several_instruction_sets(tmp_path: Path) -> None:
    if tensorkiln.compile(cnn().model, dims={"batch": 1}).manifest.triple.split("-")[0] != "x86_64":
        pytest.skip("levels of x86-64 need such a processor")
    path = tmp_path / "levels.o"
    tensorkiln.export(cnn().model, path, dims={"batch": (1, 3)}, isa=("v2", "v3"), cache=False)
    assert "workspace_for(int32_t batch)" in path.with_suffix(".h").read_text()
