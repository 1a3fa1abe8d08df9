"""Artifacts called from C and from Python: answers, memory, dependencies, symbols."""

from __future__ import annotations

import gc
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from artifacts.bodies import affine, affine_expected, counter
from artifacts.toolchain import HERE, compile_c, output_of, tool

from tensorkiln.compiler.codegen.artifact import write_artifact
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.load import load, read_manifest

HOST = target_named("host")
X = np.arange(1000, dtype=np.float32) / 8


def printed(text: str) -> np.ndarray:
    return np.array([float.fromhex(line) for line in text.split()], np.float32)


@pytest.mark.parametrize("kind", [".so", ".a", ".o"])
def test_c_program_gets_pythons_answers(tmp_path: Path, kind: str) -> None:
    tool("cc")
    written = write_artifact(affine(), HOST, tmp_path / f"affine{kind}")
    assert (written.header, written.weights) == (tmp_path / "affine.h", None)
    program = compile_c(
        tmp_path, HERE / "affine_driver.c", str(written.path), f"-Wl,-rpath,{tmp_path}"
    )
    np.testing.assert_array_equal(printed(output_of(program)), affine_expected(X))


def test_no_allocation_with_the_callers_workspace(tmp_path: Path) -> None:
    if "GLIBC" not in output_of(tool("ldd"), "--version"):
        pytest.skip("allocations are counted through glibc's internal names")
    written = write_artifact(affine(), HOST, tmp_path / "affine.o")
    program = compile_c(
        tmp_path, HERE / "affine_driver.c", str(written.path), "-DCOUNT_ALLOCATIONS"
    )
    np.testing.assert_array_equal(printed(output_of(program)), affine_expected(X))


def test_sanitized_c_program(tmp_path: Path) -> None:
    written = write_artifact(affine(), HOST, tmp_path / "affine.o")
    probe = tmp_path / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    try:
        compile_c(tmp_path, probe, "-fsanitize=address,undefined")
    except AssertionError:
        pytest.skip("the C compiler has no sanitizers")
    program = compile_c(
        tmp_path, HERE / "affine_driver.c", str(written.path), "-fsanitize=address,undefined", "-g"
    )
    np.testing.assert_array_equal(printed(output_of(program)), affine_expected(X))


def test_weights_in_a_side_file(tmp_path: Path) -> None:
    tool("cc")
    written = write_artifact(affine(), HOST, tmp_path / "affine.so", weights="file")
    assert written.weights == tmp_path / "affine.weights"
    assert written.weights.stat().st_size == 8064
    program = compile_c(
        tmp_path, HERE / "affine_driver.c", str(written.path), "-DSIDE_FILE",
        f"-Wl,-rpath,{tmp_path}",
    )  # fmt: skip
    text = output_of(program, written.weights)
    np.testing.assert_array_equal(printed(text), affine_expected(X))
    np.testing.assert_array_equal(load(written.path)(X)[0], affine_expected(X))


def test_side_file_that_is_missing_truncated_or_of_another_model(tmp_path: Path) -> None:
    tool("cc")
    written = write_artifact(affine(), HOST, tmp_path / "affine.so", weights="file")
    assert written.weights is not None
    right = written.weights.read_bytes()
    for content, words in (
        (right[:-1], "not the one"),
        (b"x" + right[1:], "not the one"),
        (None, "cannot be opened"),
    ):
        written.weights.unlink()
        if content is not None:
            written.weights.write_bytes(content)
        with pytest.raises(ArtifactError, match=rf"affine\.weights: .*{words}"):
            load(written.path)
        written.weights.write_bytes(right)
    np.testing.assert_array_equal(load(written.path)(X)[0], affine_expected(X))


@pytest.mark.parametrize("kind", [".o", ".a", ".so"])
def test_two_models_in_one_program(tmp_path: Path, kind: str) -> None:
    tool("cc")
    files = [
        str(write_artifact(compiled, HOST, tmp_path / f"{compiled.manifest.model}{kind}").path)
        for compiled in (affine(), counter())
    ]
    program = compile_c(tmp_path, HERE / "two_models.c", *files, f"-Wl,-rpath,{tmp_path}")
    assert output_of(program) == "right\n"


def test_loaded_artifact_is_an_executable(tmp_path: Path) -> None:
    tool("cc")
    compiled = affine()
    exe = load(write_artifact(compiled, HOST, tmp_path / "affine.so").path, threads=2)
    assert exe.threads == 2
    assert exe.inputs == compiled.manifest.inputs
    assert exe.outputs == compiled.manifest.outputs
    assert exe.cost().flops == 2000
    assert exe.memory().workspace == 4000
    for threads in (0, 1, 2, 3):
        np.testing.assert_array_equal(exe.run({"x:0": X}, threads=threads)[0], affine_expected(X))
    assert load(tmp_path / "affine.so").threads >= 1


def test_loaded_state_is_copied_or_donated(tmp_path: Path) -> None:
    tool("cc")
    exe = load(write_artifact(counter(), HOST, tmp_path / "counter.so").path)
    x, state = np.ones((2, 2), np.int64), np.zeros((2, 2), np.int64)
    assert (exe.run({"x": x, "state": state})[0] == 1).all()
    assert (state == 0).all()
    assert exe.run({"x": x, "state": state}, donate=True)[0] is state
    assert (state == 1).all()


def test_a_file_that_was_written_again_is_loaded_again(tmp_path: Path) -> None:
    tool("cc")
    path = write_artifact(affine(1000), HOST, tmp_path / "model.so").path
    first = [load(path), load(path)]
    write_artifact(affine(10), HOST, path)
    second = load(path)
    np.testing.assert_array_equal(second(X[:10])[0], affine_expected(X[:10]))
    for exe in first:
        np.testing.assert_array_equal(exe(X)[0], affine_expected(X))
    del first, exe
    write_artifact(counter(), HOST, path)
    assert (load(path)(np.ones((2, 2), np.int64), np.ones((2, 2), np.int64))[0] == 2).all()


def test_unloading_ends_the_threads_and_unmaps_the_code(tmp_path: Path) -> None:
    tool("cc")
    path = write_artifact(affine(), HOST, tmp_path / "affine.so").path
    gc.collect()  # what other tests loaded
    before = len(list(Path("/proc/self/task").iterdir()))
    exe = load(path)
    exe.run({"x:0": X}, threads=3)
    assert len(list(Path("/proc/self/task").iterdir())) == before + 2
    assert str(path) in Path("/proc/self/maps").read_text()
    del exe
    assert len(list(Path("/proc/self/task").iterdir())) == before
    assert str(path) not in Path("/proc/self/maps").read_text()


def test_a_file_that_is_loaded_twice_keeps_its_weights(tmp_path: Path) -> None:
    tool("cc")
    path = write_artifact(affine(), HOST, tmp_path / "affine.so", weights="file").path
    x = np.ones(1000, np.float32)
    first, second = load(path), load(path)
    expected = first(x)[0]
    del first
    gc.collect()
    np.testing.assert_array_equal(second(x)[0], expected)
    del second
    gc.collect()
    np.testing.assert_array_equal(load(path)(x)[0], expected)


def test_depends_on_libc_only_and_shows_only_its_functions(tmp_path: Path) -> None:
    tool("cc")
    path = write_artifact(affine(), HOST, tmp_path / "affine.so").path
    dynamic = output_of(tool("readelf"), "-dW", path)
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
    assert needed <= {"libc.so.6", "libm.so.6", "libpthread.so.0"}
    assert "TEXTREL" not in dynamic
    symbols = output_of(tool("nm"), "-D", "--defined-only", path).split()[2::3]
    assert sorted(symbols) == [
        f"affine_{name}"
        for name in (
            "error", "input_info", "manifest", "output_info", "run", "run_with", "thread_count",
            "workspace_size",
        )
    ]  # fmt: skip
    assert "RWE" not in output_of(tool("readelf"), "-lW", path)


def test_constants_are_aligned_in_memory(tmp_path: Path) -> None:
    path = write_artifact(affine(), HOST, tmp_path / "affine.o").path
    sections = output_of(tool("readelf"), "-SW", path)
    assert re.search(r"\.rodata\.tk_constants_run\s+PROGBITS.* 64$", sections, re.MULTILINE)


@pytest.mark.parametrize(("target", "machine"), [("aarch64", "AArch64"), ("x86-64", "X86-64")])
def test_objects_for_other_machines(tmp_path: Path, target: str, machine: str) -> None:
    compiled = affine(target_name=target)
    path = write_artifact(compiled, target_named(target), tmp_path / "affine.o").path
    assert machine in output_of(tool("readelf"), "-hW", path)
    assert "tk_" not in output_of(tool("nm"), "-u", path)
    assert read_manifest(path).triple == target_named(target).triple


@pytest.mark.parametrize("kind", [".so", ".a", ".o"])
def test_same_model_gives_the_same_bytes(tmp_path: Path, kind: str) -> None:
    if kind == ".so":
        tool("cc")
    paths = [tmp_path / str(k) / f"affine{kind}" for k in range(2)]
    for path in paths:
        path.parent.mkdir()
        write_artifact(affine(), HOST, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_manifest_survives_stripping(tmp_path: Path) -> None:
    tool("cc")
    path = write_artifact(affine(), HOST, tmp_path / "affine.so").path
    output_of(tool("strip"), path)
    np.testing.assert_array_equal(load(path)(X)[0], affine_expected(X))


def test_strangers_names(tmp_path: Path) -> None:
    compiled = affine()
    hostile = replace(
        compiled.manifest,
        model='*/ int x; /* "\\\n#error ??/ é',
        inputs=(replace(compiled.manifest.inputs[0], name='*/ "; } int\n%s\\'),),
    )
    tool("cc")
    write_artifact(replace(compiled, manifest=hostile), HOST, tmp_path / "m.so")
    exe = load(tmp_path / "m.so")
    assert exe.manifest.model == hostile.model
    np.testing.assert_array_equal(exe.run({hostile.inputs[0].name: X})[0], affine_expected(X))
    source = tmp_path / "main.c"
    source.write_text(
        '#include "m.h"\nint main(void) { return sizeof(int_x_error_inputs) == 0; }\n'
    )
    output_of(compile_c(tmp_path, source))
