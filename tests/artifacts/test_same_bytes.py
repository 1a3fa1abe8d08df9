"""A model compiled by two processes that order sets differently is the same file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from artifacts.toolchain import tool

from tensorkiln.benchmarks.models import lenet

COMPILE = "import sys; from tensorkiln.frontends.cli.main import main; sys.exit(main(sys.argv[1:]))"
LEVELS = ("--isa", "v2,v3", "--self-test")


@pytest.mark.parametrize(
    "options", [LEVELS, ("--train", "softmax_cross_entropy", "--target", "x86-64-v3")],
    ids=["levels", "training"],
)  # fmt: skip
def test_hash_seeds_change_nothing(options: tuple[str, ...], tmp_path: Path) -> None:
    tool("cc")
    onnx.save(lenet(2), tmp_path / "lenet.onnx")
    files = []
    for seed in ("1", "77"):
        folder = tmp_path / seed
        folder.mkdir()
        command = [
            sys.executable, "-c", COMPILE, "compile", str(tmp_path / "lenet.onnx"),
            "-o", str(folder / "lenet.so"), *options,
        ]  # fmt: skip
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        )
        files.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert set(files[0]) == {"lenet.so", "lenet.h"}
    assert files[0] == files[1]
