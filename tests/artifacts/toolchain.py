"""The system's compilers for tests, which are skipped where there is none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic")


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def compile_c(folder: Path, source: Path, *arguments: str, output: str = "program") -> Path:
    """The program made from `source`, which includes headers of `folder`."""
    program = folder / output
    command = [tool("cc"), "-std=c99", *STRICT, f"-I{folder}", str(source), *arguments]
    command += ["-o", str(program), "-lm", "-lpthread"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert result.returncode == 0, result.stderr
    return program


def output_of(*command: str | Path, cwd: Path | None = None) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        capture_output=True, text=True, check=False, cwd=cwd, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, (result.returncode, result.stderr)
    return result.stdout
