"""The command line as a user meets it: in a process of its own where that matters."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from tensorkiln.benchmarks import micro
from tensorkiln.benchmarks.models import mlp
from tensorkiln.frontends.cli.main import main

SIZES = (6, 5, 3)
DRIVER = Path(__file__).with_name("mlp_driver.c")


def call(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tensorkiln.frontends.cli.main", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, check=False, timeout=120,
    )  # fmt: skip


class Here:
    """Calls `main` in this process, which is faster; its results look like those of `call`."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys = capsys
        self.monkeypatch = monkeypatch

    def __call__(self, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        self.monkeypatch.chdir(cwd)
        words = [str(argument) for argument in arguments]
        try:
            code = main(words)
        except SystemExit as end:  # argparse
            code = int(end.code or 0)
        printed = self.capsys.readouterr()
        return subprocess.CompletedProcess(words, code, printed.out, printed.err)


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    return Here(capsys, monkeypatch)


def failed(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """The call ended with `code` and one line on stderr that has the words."""
    assert result.returncode == code, (result.returncode, result.stderr)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("tensorkiln: error: ")
    for word in words:
        assert word in lines[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "mlp.onnx").write_bytes(mlp(2, sizes=SIZES).SerializeToString())
    (folder / "open.onnx").write_bytes(mlp("batch", sizes=SIZES).SerializeToString())
    return folder


def expected(x: np.ndarray) -> np.ndarray:
    weights = {t.name: np.frombuffer(t.raw_data, np.float32).reshape(t.dims)
               for t in mlp(2, sizes=SIZES).graph.initializer}  # fmt: skip
    hidden = np.maximum(x @ weights["fc0.weight"].T + weights["fc0.bias"], 0)
    return hidden @ weights["fc1.weight"].T + weights["fc1.bias"]


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_from_onnx_to_a_c_program(folder: Path, tmp_path: Path) -> None:
    done = call(
        "compile", folder / "open.onnx", "-o", "net.so", "--dim", "batch=2", "--json", cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["files"] == ["net.so", "net.h"]
    assert report["inputs"] == [{"name": "input", "shape": [2, 6], "dtype": "f32"}]
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 6)
    np.save(tmp_path / "x.npy", x)
    ran = call("run", "net.so", "x.npy", "-o", "y.npz", "--threads", "1", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    y = np.load(tmp_path / "y.npz")["output"]
    np.testing.assert_allclose(y, expected(x), rtol=1e-5, atol=1e-6)
    command = ["cc", "-std=c99", "-Wall", "-Werror", "-I.", str(DRIVER), "./net.so", "-o", "driver"]
    command.append(f"-Wl,-rpath,{tmp_path}")
    subprocess.run(command, check=True, cwd=tmp_path)
    text = subprocess.run(["./driver"], check=True, cwd=tmp_path, capture_output=True, text=True)
    numbers = np.array([float.fromhex(word) for word in text.stdout.split()], np.float32)
    np.testing.assert_array_equal(numbers, y.reshape(-1))


def test_run_compiled_and_interpreted(folder: Path, tmp_path: Path, here: Here) -> None:
    x = np.linspace(-2, 2, 12, dtype=np.float32).reshape(2, 6)
    np.savez(tmp_path / "x.npz", input=x)
    for extra in ([], ["--interpreted"]):
        ran = here("run", folder / "mlp.onnx", "x.npz", "--json", *extra, cwd=tmp_path)
        assert (ran.returncode, ran.stderr) == (0, "")
        (output,) = json.loads(ran.stdout)["outputs"]
        values = np.array(output["values"]).reshape(output["shape"])
        np.testing.assert_allclose(values, expected(x), rtol=1e-5, atol=1e-6)


def test_random_inputs_follow_the_seed(folder: Path, here: Here) -> None:
    first, again, other = (
        here("run", "mlp.onnx", "--seed", seed, cwd=folder).stdout for seed in (1, 1, 2)
    )
    assert first == again != other
    assert first.startswith("output  f32[2,3]  min ")


@pytest.mark.parametrize(
    ("stage", "part"),
    [("graph", "mlp (float[2,6] input)"), ("ir", "dot_general("), ("fused", "fusion("), ("kernels", "kernel @"),
     ("llvm", "define "), ("asm", ".text")],
)  # fmt: skip
def test_inspect(folder: Path, stage: str, part: str, here: Here) -> None:
    done = here("inspect", "mlp.onnx", "--stage", stage, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert part in done.stdout


def test_inspect_ptx(folder: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / "rows.onnx").write_bytes(micro.softmax(3, 40).SerializeToString())
    done = here("inspect", "rows.onnx", "--stage", "ptx", "--gpu", "sm_90", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert ".target sm_90" in done.stdout
    # matrix products have no kernel for GPUs
    failed(here("inspect", folder / "mlp.onnx", "--stage", "ptx", cwd=tmp_path), 1, "/fc0/Gemm")


def test_object_file_with_weights_beside_it(folder: Path, tmp_path: Path, here: Here) -> None:
    done = here("compile", folder / "mlp.onnx", "-o", "net.o", "--weights", "file", "--name", "net",
                "--target", "x86-64-v2", "-v", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "fuse" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.h", "net.o", "net.weights"]
    shown = here("inspect", "net.o", cwd=tmp_path)
    assert "input       input  f32[2,6]" in shown.stdout


def test_wrong_arguments(folder: Path, here: Here) -> None:
    assert here(cwd=folder).returncode == 2
    assert here("compile", "mlp.onnx", cwd=folder).returncode == 2
    failed(here("compile", "mlp.onnx", "-o", "net.dll", cwd=folder), 2, "net.dll", ".so")
    failed(here("run", "mlp.onnx", "-i", "input", cwd=folder), 2, "NAME=FILE.npy")
    failed(here("inspect", "mlp.onnx", cwd=folder), 2, "--stage")


def test_a_process_tells_its_error_without_a_traceback(folder: Path) -> None:
    failed(call("run", "nowhere.onnx", cwd=folder), 1, "nowhere.onnx", "No such file")
    shown = call("run", "nowhere.onnx", "--debug", cwd=folder)
    assert shown.returncode == 1
    assert "Traceback" in shown.stderr


def test_bad_models(folder: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / "half.onnx").write_bytes((folder / "mlp.onnx").read_bytes()[:-40])
    failed(here("compile", "half.onnx", "-o", "x.so", cwd=tmp_path), 1, "half.onnx", "truncated")
    node = helper.make_node("Sparkle", ["x"], ["y"], "twinkle")
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy"]
    graph = helper.make_graph([node], "g", infos[:1], infos[1:])
    (tmp_path / "odd.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    failed(here("run", "odd.onnx", cwd=tmp_path), 1, "Sparkle", "twinkle")
    (tmp_path / "fake.so").write_bytes(b"no elf")
    failed(here("run", "fake.so", cwd=tmp_path), 1, "fake.so")
    failed(here("run", folder / "open.onnx", cwd=tmp_path), 1, "batch", "--dim batch=1")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fake.so", "half.onnx", "odd.onnx"]


def test_bad_inputs(folder: Path, tmp_path: Path, here: Here) -> None:
    model = folder / "mlp.onnx"
    np.save(tmp_path / "shape.npy", np.zeros((2, 7), np.float32))
    np.save(tmp_path / "dtype.npy", np.zeros((2, 6), np.int64))
    (tmp_path / "text.npy").write_text("not an array")
    failed(here("run", model, "shape.npy", cwd=tmp_path), 1, "'input'", "7")
    failed(here("run", model, "dtype.npy", cwd=tmp_path), 1, "'input'", "int64")
    failed(here("run", model, "text.npy", cwd=tmp_path), 1, "text.npy")
    failed(here("run", model, "-i", "x=shape.npy", cwd=tmp_path), 1, "no input x", "input")
    failed(here("run", model, "none.npz", cwd=tmp_path), 1, "none.npz")
    (tmp_path / "text.npy").write_text("text")
    shown = here("run", model, "text.npy", cwd=tmp_path)
    failed(shown, 1, "text.npy is no file of numpy arrays, or damaged")
    assert "pickle" not in shown.stderr
    shown = here("run", model, "-o", "nowhere/y.npz", cwd=tmp_path)
    failed(shown, 1, "nowhere/y.npz: its folder does not exist")
    shown = here("profile", model, "--html", "nowhere/y.html", cwd=tmp_path)
    failed(shown, 1, "nowhere/y.html: its folder does not exist")
    shown = here("profile", model, "--seconds", "0.01", "--trace", tmp_path, cwd=tmp_path)
    failed(shown, 1, f"{tmp_path}: Is a directory")
    assert "Errno" not in shown.stderr


def test_unwritable_output_and_missing_linker(
    folder: Path, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = folder / "mlp.onnx"
    shown = here("compile", model, "-o", "nowhere/net.o", cwd=tmp_path)
    failed(shown, 1, "cannot write to nowhere: No such file")
    assert ".tensorkiln-" not in shown.stderr
    failed(here("run", "none.so", cwd=tmp_path), 1, "none.so cannot be read: No such file")
    failed(here("compile", model, "-o", "/proc/net.o", cwd=tmp_path), 1, "/proc")
    monkeypatch.setenv("PATH", str(tmp_path))
    failed(here("compile", model, "-o", "net.so", cwd=tmp_path), 1, "linker", "install")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_compile_leaves_nothing(
    folder: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    # A linker that never ends: the compile is in the middle of writing.
    linker = tmp_path / "bin" / "cc"
    linker.parent.mkdir()
    linker.write_text('#!/bin/sh\necho started > "$PROBE"\nexec sleep 60\n')
    linker.chmod(0o755)
    output, probe = tmp_path / "out", tmp_path / "probe"
    output.mkdir()
    path = f"{linker.parent}:{os.environ['PATH']}"
    # A shell's background jobs, CI among them, start with SIGINT ignored, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "tensorkiln.frontends.cli.main", "compile", str(folder / "mlp.onnx"),
         "-o", "net.so"],
        cwd=output, env={**os.environ, "PATH": path, "PROBE": str(probe)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 60
    while not probe.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert list(output.iterdir()) == []
