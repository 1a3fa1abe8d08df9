"""Artifacts with several instruction sets, test vectors, and the program's own threads and memory."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from artifacts.bodies import affine
from artifacts.toolchain import HERE, compile_c, output_of, tool

import tensorkiln as tf
from tensorkiln.benchmarks.models import lenet
from tensorkiln.compiler.codegen.artifact import write_artifact
from tensorkiln.compiler.codegen.target import isa_names, target_named
from tensorkiln.compiler.codegen.vectors import vector_input
from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.pipeline import compile_function
from tensorkiln.compiler.self_test import make_self_test
from tensorkiln.frontends.cli.main import main
from tensorkiln.runtime.compiled import Sample, SelfTest
from tensorkiln.runtime.elements import ELEMENTS
from tensorkiln.runtime.errors import ArtifactError, UnsupportedError
from tensorkiln.runtime.load import load, read_manifest, run_self_test
from tensorkiln.runtime.manifest import TensorSpec
from tensorkiln.runtime.processor import architecture, missing_features

pytestmark = pytest.mark.skipif(architecture() != "x86_64", reason="levels are those of x86-64")
LEVELS = ("v2", "v3", "v4")
HERE_RUN = [
    n for n, name in enumerate(isa_names(["v1", *LEVELS]), 1)
    if not missing_features(target_named(name).features)
]  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tool("cc")
    path = tmp_path_factory.mktemp("versions") / "net.so"
    tf.export(lenet(5), path, name="net", isa=LEVELS, self_test=True)
    return path


def test_every_level_runs_and_passes_its_test(written: Path) -> None:
    rpath = f"-Wl,-rpath,{written.parent}"
    program = compile_c(written.parent, HERE / "versions_driver.c", str(written), rpath)
    lines = output_of(program).splitlines()
    best = max(HERE_RUN)
    assert lines[0] == f"level {best}"
    expected = [f"select 0: 0, level {best}, self-test 0"]
    for level in range(1, 6):
        runs = level in (2, 3, 4) and level in HERE_RUN
        expected.append(
            f"select {level}: 0, level {level}, self-test 0" if runs else f"select {level}: 7"
        )
    assert lines[1:7] == expected
    assert lines[7:] == [
        "equal 1",
        "loops 1, ranges 1, taken 1, given 1, workspace 1",
        "refused: the workspace cannot be allocated",
        "equal 1",
    ]


def test_what_the_manifest_says(written: Path) -> None:
    info = read_manifest(written).artifact
    assert info is not None
    assert info.self_test
    assert [v.name for v in info.versions] == ["x86-64-v2", "x86-64-v3", "x86-64-v4"]
    for version in info.versions:
        assert {"/conv1/Conv", "/fc3/Gemm"} <= {n for k in version.kernels for n in k.nodes}
    manifest = read_manifest(written)
    assert manifest.workspace_bytes == max(v.workspace_bytes for v in info.versions)
    assert "avx" not in manifest.features


def test_python_loads_and_tests_it(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.ones((5, 1, 28, 28), np.float32)
    (got,) = load(written).run({"input": x})
    (expected,) = tf.compile(lenet(5)).run({"input": x})
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    assert run_self_test(written) is None
    assert main(["verify", str(written)]) == 0
    assert "agrees   self-test" in capsys.readouterr().out


def test_weights_in_a_file(tmp_path: Path) -> None:
    tool("cc")
    written = tf.export(
        lenet(1), tmp_path / "net.so", isa=("v2", "v3"), self_test=True, weights="file"
    )
    assert run_self_test(written.path) is None
    assert written.weights is not None
    data = bytearray(written.weights.read_bytes())
    data[-64:] = np.full(16, 1e3, np.float32).tobytes()
    written.weights.write_bytes(data)
    assert run_self_test(written.path) is not None
    assert main(["verify", str(written.path)]) == 4


def test_equal_constants_are_stored_once(tmp_path: Path) -> None:
    data = np.random.default_rng(0).random(40000, np.float32).tobytes().hex()
    function = parse_function(
        "func @f(%a: f32[40000]) -> (f32[40000]) {\n"
        f"  %b: f32[40000] = constant() {{value = f32[40000] 0x{data}}}\n"
        "  %c: f32[40000] = add(%a, %b)\n  return %c\n}\n"
    )
    pairs = [(compile_function(function, name), target_named(name)) for name in isa_names(LEVELS)]
    path = write_artifact(*pairs[0], tmp_path / "f.o", others=pairs[1:]).path
    assert 160000 <= path.stat().st_size < 300000


def test_the_same_level_twice_and_other_models_are_refused(tmp_path: Path) -> None:
    compiled = affine(target_name="x86-64-v2")
    target = target_named("x86-64-v2")
    with pytest.raises(ArtifactError, match="different levels"):
        write_artifact(compiled, target, tmp_path / "a.o", others=[(compiled, target)])
    other = affine(10, target_name="x86-64-v3")
    with pytest.raises(ArtifactError, match="one model"):
        write_artifact(
            compiled, target, tmp_path / "a.o", others=[(other, target_named("x86-64-v3"))]
        )
    with pytest.raises(ArtifactError, match="not of host"):
        write_artifact(
            compiled, target, tmp_path / "a.o", others=[(affine(), target_named("host"))]
        )
    with pytest.raises(UnsupportedError, match="v9"):
        isa_names(["v9"])
    with pytest.raises(ArtifactError, match="not both"):
        tf.export(lenet(1), tmp_path / "a.o", "x86-64-v3", isa=("v2",))
    with pytest.raises(SystemExit):
        main(["compile", "x.onnx", "-o", "x.o", "--isa", "v9"])
    assert main(["compile", "x.onnx", "-o", "x.o", "--isa", "v2", "--target", "aarch64"]) == 2


@pytest.mark.parametrize("dtype", [name for name in ELEMENTS if name in (
    "bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "bf16", "f32", "f64")])  # fmt: skip
def test_inputs_of_every_dtype_are_the_same_in_c(dtype: str, tmp_path: Path) -> None:
    tool("cc")
    function = parse_function(
        f"func @f(%a: {dtype}[7,13], %b: {dtype}[]) -> ({dtype}[13,7], {dtype}[1]) {{\n"
        f"  %c: {dtype}[13,7] = transpose(%a) {{permutation = (1, 0)}}\n"
        f"  %d: {dtype}[1] = reshape(%b) {{shape = (1)}}\n"
        "  return %c, %d\n}\n"
    )
    compiled = compile_function(function)
    test = make_self_test(lambda point: function, [compiled])
    (call,) = test.calls
    exact = tuple(replace(sample, tolerance=0.0) for sample in call.outputs)

    def of(samples: tuple[Sample, ...]) -> SelfTest:
        return replace(test, calls=(replace(call, outputs=samples),))

    path = write_artifact(
        compiled, target_named("host"), tmp_path / "f.so", self_test=of(exact)
    ).path
    assert run_self_test(path) is None
    values = vector_input(TensorSpec("a", (7, 13), dtype), 0, 1)
    assert len(np.unique(values.astype(np.float64))) >= 2
    shifted = tuple(replace(o, values=tuple(v + 1 for v in o.values)) for o in exact)
    wrong = write_artifact(
        compiled, target_named("host"), tmp_path / "g.so",
        self_test=of(shifted),
    ).path  # fmt: skip
    assert run_self_test(wrong) is not None


def test_a_model_that_is_wrong_gets_no_vectors() -> None:
    function = parse_function(
        "func @f(%a: f32[4]) -> (f32[4]) {\n  %b: f32[4] = negate(%a)\n  return %b\n}\n"
    )
    other = parse_function("func @f(%a: f32[4]) -> (f32[4]) {\n  return %a\n}\n")
    with pytest.raises(ArtifactError, match="fails its self-test"):
        make_self_test(lambda point: function, [compile_function(other)])


def test_an_artifact_without_vectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool("cc")
    path = tf.export(lenet(1), tmp_path / "net.so").path
    with pytest.raises(ArtifactError, match="--self-test"):
        run_self_test(path)
    assert main(["verify", str(path)]) == 0
    assert "skipped  self-test" in capsys.readouterr().out
    library = ctypes.CDLL(str(path))
    assert not hasattr(library, "net_self_test")
    assert not hasattr(library, "net_select")
