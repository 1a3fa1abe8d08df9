"""How much memory compiling takes, measured as the largest resident size of a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tensorkiln.benchmarks.models import mlp
from tensorkiln.benchmarks.models.builder import ModelBuilder

# Times the model's file, beyond the interpreter with the compiler imported. The promise is 4, which
# models of many small kernels need more of than these.
LIMIT = 3

# VmHWM begins anew with a program; ru_maxrss is inherited from whoever started it.
PROGRAM = """
import sys
from pathlib import Path
from tensorkiln.frontends.compile import compile_model, export_model

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

before = peak()
if len(sys.argv) > 2:
    export_model(sys.argv[1], sys.argv[2], cache=False, weights="file")
else:
    compile_model(sys.argv[1], cache=False)
print(peak() - before)
"""


def taken(*arguments: Path) -> int:
    """Bytes at the peak beyond what the process began with."""
    if not Path("/proc/self/status").exists():
        pytest.skip("there is no /proc/self/status here")
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def large(path: Path) -> Path:
    """A model of 50 MB: four products, whose weights are packed, and their biases."""
    path.write_bytes(mlp(1, sizes=(1024, 2048, 2048, 2048, 1024)).SerializeToString())
    return path


def test_compiling_takes_less_than_three_times_the_model(tmp_path: Path) -> None:
    model = large(tmp_path / "large.onnx")
    assert taken(model) < LIMIT * model.stat().st_size


def test_so_does_writing_an_artifact(tmp_path: Path) -> None:
    model = large(tmp_path / "large.onnx")
    assert taken(model, tmp_path / "large.o") < LIMIT * model.stat().st_size


def test_constants_that_passes_replace_do_not_stay(tmp_path: Path) -> None:
    builder = ModelBuilder("folded", 1, (64, 8, 8), 0)
    x = "input"
    for number in range(8):  # 36 MB of 1x1 convolutions, each folded with its batch norm
        channels = (64, 1024) if number == 0 else (1024, 1024)
        x = builder.conv(x, f"layer{number}", channels, 1)
        x = builder.batch_norm(x, f"norm{number}", 1024)
    model = tmp_path / "folded.onnx"
    x = builder.linear(builder.pooled_features(x), "last", 1024, 1024)
    model.write_bytes(builder.finish(x, 1024).SerializeToString())
    assert taken(model) < LIMIT * model.stat().st_size
